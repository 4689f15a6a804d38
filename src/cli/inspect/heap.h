/* What the files of freeonce heap offer each other. */
#ifndef FO_CLI_INSPECT_HEAP_H
#define FO_CLI_INSPECT_HEAP_H

#include <sys/types.h>

#include "cli/inspect/show.h"

struct fo_heap_arguments {
    enum fo_heap_by by;
    bool json;
    unsigned long rows; /* of a table, at most; 0: all */
    pid_t pid;
    const char *core;     /* a file; NULL: a process */
    const char *save;     /* a file to be written, or NULL */
    bool stacks;          /* show who called, where that is kept */
    const char *flame;    /* a file for folded stacks, or NULL */
    const char *pprof;    /* a file for pprof's format, or NULL */
    bool diff;            /* of two files */
    const char *files[2]; /* with diff */
    double watch;         /* seconds from look to look; 0: one look */
    unsigned long looks;  /* with watch: so many; 0: until it is interrupted */
    unsigned long old;    /* with watch: a block that was seen so many times is old */
};

extern const char *const fo_heap_by_names[];

/* What a block is counted by, as a key of a tally. */
uint64_t fo_heap_key(struct fo_heap_shown *h, const struct fo_block_seen *block);

/* Count the blocks of a process, and give the rows their texts. */
void fo_heap_count(struct fo_heap_shown *h);
void fo_heap_shown_free(struct fo_heap_shown *h);

/* The text of a row that blocks of this kind count in; malloc(3). */
char *fo_heap_row_text(void *context, uint64_t key);

/* --diff: what grew from one saved file to the other?  Returns a status of exit.h. */
int fo_heap_diff(const struct fo_heap_arguments *a);

/* --watch: what grows, look by look.  Returns a status of exit.h. */
int fo_heap_watch(const struct fo_heap_arguments *a);

#endif
