/* The result of a walk through a heap (walk.h), and of freeonce_walk(), which the library exports.
 * A program that finds it with dlsym(3) includes this header, and no other. */
#ifndef FO_HEAP_FREEONCE_WALK_H
#define FO_HEAP_FREEONCE_WALK_H

#include <stdbool.h>
#include <stdint.h>

struct fo_walk {
    uint64_t live, live_bytes; /* blocks that are handed out, and their payloads */
    uint64_t waiting;          /* freed slots in magazines, and slots that were never used */
    uint64_t back;             /* freed slots in their pages */
    uint64_t lost;             /* slots that are nowhere: their owner was killed */
    uint64_t pages_lost;       /* pages that no thread owns or can find, likewise */
    uint64_t magazines_lost;   /* magazines, likewise */
    uint64_t wrong;            /* broken invariants */
    const char *what;          /* the first of them */
    uintptr_t where;           /* its address */
};

/* Walk the heap; recover the caches of dead owners, if the heap is shared; walk it again.  Pages
 * and magazines that no thread can find even then count as wrong.  False: there is no heap. */
typedef bool freeonce_walk_function(struct fo_walk *out);

#endif
