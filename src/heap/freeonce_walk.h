/* The answer of a walk through a heap (walk.h), and of freeonce_walk(), which the library
 * has for programs that ask for it by name: they include this, and nothing else. */
#ifndef FO_HEAP_FREEONCE_WALK_H
#define FO_HEAP_FREEONCE_WALK_H

#include <stdbool.h>
#include <stdint.h>

struct fo_walk {
    uint64_t live, live_bytes; /* blocks that are handed out, and their payloads */
    uint64_t waiting;          /* freed slots in magazines, and slots that were never used */
    uint64_t back;             /* freed slots in their pages */
    uint64_t lost;             /* slots that are nowhere: their owner vanished with them */
    uint64_t pages_lost;       /* pages that nobody has or could take, the same */
    uint64_t magazines_lost;   /* the same of magazines */
    uint64_t wrong;            /* broken invariants */
    const char *what;          /* the first of them, */
    uintptr_t where;           /* and where */
};

/* First as it is; then those who are gone have their caches cleared up, and what nobody could find
 * even then counts as wrong.  False: there is no heap of ours. */
typedef bool freeonce_walk_function(struct fo_walk *out);

#endif
