/* What was read of a process, for people and as JSON, on stdout. */
#ifndef FO_CLI_INSPECT_SHOW_H
#define FO_CLI_INSPECT_SHOW_H

#include <jansson.h>

#include "cli/inspect/blocks.h"
#include "cli/inspect/contexts.h"
#include "cli/inspect/objects.h"
#include "cli/inspect/stacks.h"
#include "cli/inspect/tally.h"

enum fo_heap_by {
    FO_HEAP_BY_LINE,
    FO_HEAP_BY_SIZE,
    FO_HEAP_BY_PROCESS,
    FO_HEAP_BY_OBJECT,
    FO_HEAP_BYS
};
extern const char *const fo_heap_by_titles[FO_HEAP_BYS]; /* of a table's last column */
enum { FO_HEAP_FORMAT_VERSION = 1 };

struct fo_heap_shown {
    struct fo_target *target;
    enum fo_heap_by by;
    struct fo_objects *objects; /* with FO_HEAP_BY_OBJECT */
    struct fo_blocks blocks;
    struct fo_tally tally;
    struct fo_contexts contexts; /* with FO_HEAP_BY_OBJECT */
    struct fo_stacks *stacks;    /* with --stacks; NULL: they are not wanted */
};

void fo_heap_text(const struct fo_heap_shown *h, unsigned long rows);
json_t *fo_heap_document(const struct fo_heap_shown *h);

/* stacks_show.c: the same by caller. */
void fo_stacks_text(const struct fo_heap_shown *h, unsigned long rows);
json_t *fo_stacks_document(const struct fo_heap_shown *h);

/* flame.c, pprof.c: into a file.  Returns a status of exit.h. */
int fo_stacks_write_folded(const struct fo_heap_shown *h, const char *path);
int fo_stacks_write_pprof(const struct fo_heap_shown *h, const char *path);

/* Which row it is, as members of a JSON object: of its key and its text. */
void fo_heap_row_names(json_t *row, const struct fo_heap_shown *h, uint64_t key, const char *text);

/* For both subcommands: what was not read, or not understood; and counts of blocks. */
void fo_blocks_doubts(const struct fo_target *t, const struct fo_blocks *b);
json_t *fo_blocks_json(const struct fo_target *t, const struct fo_blocks *b);
json_t *fo_process_json(const struct fo_target *t);
void fo_json_print(json_t *document);

/* "1,234,567" */
enum { FO_GROUPED = 32 };
const char *fo_grouped(uint64_t number, char text[FO_GROUPED]);

/* "+1,234,567", "-1", "0" */
const char *fo_signed(int64_t number, char text[FO_GROUPED]);

/* FO_EXIT_OK, or FO_EXIT_CANNOT_WRITE after a message. */
int fo_shown_is_written(void);

#endif
