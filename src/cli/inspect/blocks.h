/* The blocks of a process, read from outside: those that live, with a call for each, and how many
 * there are of the others. */
#ifndef FO_CLI_INSPECT_BLOCKS_H
#define FO_CLI_INSPECT_BLOCKS_H

#include "cli/inspect/target.h"

struct fo_block_seen {
    uint64_t payload; /* its address */
    uint64_t site, size;
    uint32_t process; /* row of the process that allocated it; 0: not known */
    bool is_sampled;  /* its stack is in the table of FREEONCE_SAMPLE */
};
typedef void fo_block_visit(void *context, const struct fo_block_seen *block);

struct fo_blocks {
    uint64_t live, live_bytes;
    uint64_t waiting, waiting_bytes; /* freed, in quarantine or in a magazine */
    uint64_t held;                   /* being moved or freed at this moment */
    uint64_t unclear;                /* no header of a block: damaged, or just changing */
    uint64_t unread;                 /* pages of the heap, leaves and headers that were not read */
    uint64_t slots_bytes;            /* of pages of the heap that have slots or a large block */
    fo_block_visit *visit;
    void *context;
};

void fo_blocks_read(struct fo_target *t, struct fo_blocks *b);

/* Its two halves.  Where the registry knows the heap's blocks, too, the first one counts pages
 * only. */
void fo_blocks_read_heap(struct fo_target *t, struct fo_blocks *b);
void fo_blocks_read_registry(struct fo_target *t, struct fo_blocks *b);

void fo_blocks_count_live(struct fo_target *t, struct fo_blocks *b, uint64_t payload, uint64_t site,
                          uint64_t word);

#endif
