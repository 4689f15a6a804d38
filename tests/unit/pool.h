/* A backend that checks the library: the functions of a program with an allocator of its own.
 * Every block must be freed exactly once.  On request, allocations fail. */
#ifndef FO_TESTS_UNIT_POOL_H
#define FO_TESTS_UNIT_POOL_H

#include "fixture.h"

struct pool {
    unsigned allocated, freed; /* successful calls */
    unsigned failed;
    unsigned wrong;         /* frees of pointers that are not live in the pool */
    size_t live_bytes;      /* headers included */
    unsigned fail_at;       /* the number of the call that fails, from 1; 0: none */
    bool fail_always;       /* all calls fail from now on */
    unsigned misaligned;    /* each n-th block is aligned to 8 only; 0: none */
    bool keeps;             /* never hands out an address twice */
    void *last_freed;       /* the pool's own address: payload - 16, or - 24 */
    const char *alloc_file; /* as passed to the last calls */
    const char *free_file;
    int alloc_line, free_line;
};
extern struct pool pool;

/* Make these the program's functions; call before the first allocation. */
void pool_register(void);

/* Is this block live in the pool? */
bool pool_holds(const void *block);

/* Check that all but `kept` blocks were freed, and none twice. */
void pool_check(unsigned kept);

#endif
