/* What freeonce heap --save wrote.  The file is input: it may hold anything. */
#ifndef FO_CLI_INSPECT_SAVED_H
#define FO_CLI_INSPECT_SAVED_H

#include "cli/inspect/show.h"

struct fo_saved_row {
    char *text;    /* as in the table; malloc(3) */
    json_t *names; /* what says in JSON which row it is; owned */
    uint64_t blocks, bytes;
};

struct fo_saved {
    json_t *document;
    const char *path;
    enum fo_heap_by by;
    char *time, *name; /* clean; malloc(3) */
    uint64_t pid;      /* 0: not known */
    bool complete;
    uint64_t blocks, bytes;
    struct fo_saved_row *rows; /* by text */
    size_t count;
};

/* FO_EXIT_OK, or another status of exit.h after a message. */
int fo_saved_read(struct fo_saved *s, const char *path);
void fo_saved_free(struct fo_saved *s);

int fo_saved_write(const struct fo_heap_shown *h, const char *path);

#endif
