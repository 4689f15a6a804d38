/* FREEONCE_SAMPLE=1/N: the call stacks of one allocation in N, so that a leak in production has its
 * caller, at a cost that can stay on.
 *
 * A sampled block names FO_BACKEND_SAMPLED in its header, which stands for the process's own
 * backend, and a table beside the blocks has its stack, by the block's address.  The header decides
 * whether a row of the table counts: when the block is freed, the next block at its address has a
 * header of its own.  So no free looks at the table, and a free costs the same as without.
 *
 * How an allocation is chosen: in a private heap, when a bin gets its next magazine, one of its
 * cells or none is drawn; allocations of this class take the slow path until it was handed out
 * (fo_region_stop()).  Everything else is counted down, a random distance for each thread.
 *
 * The table has FO_SAMPLES rows.  A row whose block is not sampled any more is used again; if there
 * is none near, the block is not sampled, and counted.  In a forked child table and blocks are
 * copies; where processes share the blocks, they share the table. */
#ifndef FO_BLOCK_SAMPLE_H
#define FO_BLOCK_SAMPLE_H

#include "base/base.h"
#include "base/shared_number.h"
#include "heap/direct.h"

enum { FO_SAMPLES = 1 << 16 };

struct fo_samples {
    struct fo_shared_u64 full; /* samples that found no place here or no room for their stack */
    struct fo_sample {
        struct fo_shared_u64 payload; /* 0: the row was never used */
        struct fo_shared_u32 stack;   /* report/stacks.h */
        uint32_t unused;
    } rows[FO_SAMPLES];
};
extern struct fo_samples *fo_samples;

/* The backend is chosen; before its first block.  Without memory a message is printed. */
void fo_sample_start(unsigned backend, bool shared);

/* Larger payloads than this are counted down; SIZE_MAX: none. */
extern FO_HIDDEN size_t fo_sample_above;

FO_COLD void fo_sample_due(void *p);
extern __thread int64_t fo_sample_left;

/* The payload of an allocation that the program has not seen yet; relaxed, as in hot.h. */
static inline void *fo_sample_counted(void *p, size_t size)
{
    if (size > FO_RELAXED_LOAD(&fo_sample_above) && fo_unlikely(--fo_sample_left < 0) && p != NULL)
        fo_sample_due(p);
    return p;
}

/* Instead of fo_malloc() and fo_realloc() where this option is on. */
void *fo_sample_malloc(size_t size, const char *file, int line);
void *fo_sample_realloc(void *p, size_t size, const char *file, int line);

/* The bin of a private heap is empty, or its class is stopped.  NULL: no block from there. */
FO_COLD void *fo_sample_refill(struct fo_direct *d, size_t size, const char *file, int line);

#endif
