/* Blocks by what they have in common: a source line, a size, a process. */
#ifndef FO_CLI_INSPECT_TALLY_H
#define FO_CLI_INSPECT_TALLY_H

#include <stddef.h>
#include <stdint.h>

enum { FO_TALLY_MOST = 1 << 16 }; /* keys; blocks of others are counted together */

struct fo_tally_row {
    uint64_t key;
    uint64_t blocks, bytes; /* blocks 0: the row is free */
    char *text;             /* fo_tally_name(); malloc(3) */
};

struct fo_tally {
    struct fo_tally_row *rows; /* malloc(3) */
    size_t room, used;
    struct fo_tally_row others;
};

void fo_tally_add(struct fo_tally *t, uint64_t key, uint64_t bytes);

/* Give each row its text, and make one of those that have the same.  Then most bytes come first. */
void fo_tally_name(struct fo_tally *t, char *(*name)(void *context, uint64_t key), void *context);

void fo_tally_free(struct fo_tally *t);

#endif
