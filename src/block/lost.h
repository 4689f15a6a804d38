/* Which live blocks can the program not reach any more?  A block is reached if the first byte of
 * it, one inside or the one behind its end is the value of a word of the program's memory, or of a
 * block that is reached: what may be a pointer counts as one, so that no block in use is called
 * lost.  (The idea is Boehm's and Weiser's, 1988; valgrind's memcheck finds leaks in this way.)
 *
 * Of lost blocks, one that no other lost block leads to is the head of those that it leads to: of a
 * lost X509 its parts are held by it.  Where lost blocks lead to each other in a circle, one of
 * them is chosen. */
#ifndef FO_BLOCK_LOST_H
#define FO_BLOCK_LOST_H

#include "base/block.h"

struct fo_lost {
    uintptr_t payload;
    fo_site site;
    uint64_t word;
    size_t held, held_bytes; /* blocks that only it leads to */
};
typedef void fo_lost_visit(void *context, const struct fo_lost *lost);

struct fo_lost_asked {
    /* Is a block of this process row to be looked at?  All others count as reached. */
    bool (*is_asked)(uint32_t process);
    /* In a circle, the block for which this is lowest becomes the head. */
    uint64_t (*order)(uintptr_t payload, fo_site site, uint64_t word);
    fo_lost_visit *visit; /* for each head */
    void *context;
    bool others_run; /* there are other threads */
    bool in_place;   /* see block/roots.h */
    uintptr_t stack; /* what is in use of the calling thread's stack begins here */
};

/* NULL; or why it cannot be known, in words. */
const char *fo_lost_find(const struct fo_lost_asked *asked);

#endif
