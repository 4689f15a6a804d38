/* A backend that watches the library: the functions of a program that brings an allocator of its
 * own.  Every block must come back exactly once, and it can run out of memory on request. */
#ifndef FO_TESTS_UNIT_POOL_H
#define FO_TESTS_UNIT_POOL_H

#include "fixture.h"

struct pool {
    unsigned allocated, freed; /* calls that gave, and took back, a block */
    unsigned failed;
    unsigned wrong;         /* frees of what is not live in the pool */
    size_t live_bytes;      /* headers included */
    unsigned fail_at;       /* the number of the call that fails, from 1; 0: none */
    bool fail_always;       /* all from now on */
    unsigned misaligned;    /* every so many blocks is aligned to 8 only; 0: none */
    bool keeps;             /* never hands out an address twice */
    void *last_freed;       /* as the pool knows it: payload - 16, or - 24 */
    const char *alloc_file; /* as passed to the last calls */
    const char *free_file;
    int alloc_line, free_line;
};
extern struct pool pool;

/* Let the program's functions be these; call before the first allocation. */
void pool_register(void);

/* Is this block live in the pool? */
bool pool_holds(const void *block);

/* Check that everything came back, but for `kept` blocks, and nothing twice. */
void pool_check(unsigned kept);

#endif
