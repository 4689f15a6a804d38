/* Old blocks by what they are counted by, from look to look: which grow? */
#ifndef FO_CLI_INSPECT_GROWTH_H
#define FO_CLI_INSPECT_GROWTH_H

#include <stdbool.h>

#include "cli/inspect/tally.h"

struct fo_grown {
    char *text;                         /* malloc(3) */
    uint64_t key;                       /* of the tally */
    uint64_t first_blocks, first_bytes; /* at the first comparison */
    uint64_t blocks, bytes;             /* at the last one */
    unsigned long times;                /* looks at which there were more than at the one before */
};

struct fo_growth {
    struct fo_grown *rows; /* by text */
    size_t count;
    bool has_begun;
};

/* One look more; the tally's rows have their texts, and get another order. */
void fo_growth_take(struct fo_growth *g, struct fo_tally *old);

/* The rows that have grown, most bytes first, and what is no known object last; returns how many.
 * The caller frees the list. */
size_t fo_growth_list(const struct fo_growth *g, const struct fo_grown ***list);

void fo_growth_free(struct fo_growth *g);

#endif
