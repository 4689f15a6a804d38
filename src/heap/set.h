/* Sets of numbers without locks: a bit for each number, and above them a bit for each 64 of those
 * that are not all zero.  The lowest number is taken first, so that what is used lies together
 * (address-ordered first fit: Wilson and others 1995).
 *
 * They say where to look for something, not what it is: that is said in one word of the thing
 * itself, which changes by compare-and-exchange.  So what is in a set may turn out to be something
 * else, adding twice is adding once, and whoever vanishes at any instruction costs a number its
 * place in a set at most, which adopt.c gives back to it. */
#ifndef FO_HEAP_SET_H
#define FO_HEAP_SET_H

#include "base/base.h"

/* Its words lie in rows, a word of each set in a row: what a small heap uses of all sets lies
 * together.  The lower ones lie in the chunks of layout.h, so many in each. */
struct fo_set {
    uint64_t *above;
    const uintptr_t *chunks;
    uint32_t offset;         /* of the first word in a chunk, in bytes */
    uint32_t words;          /* in a chunk */
    uint32_t row_above, row; /* words from one to the next */
};

/* So many words of memory, all zero, for the upper ones of a set of numbers below `numbers`. */
static inline uint32_t fo_set_above(uint32_t numbers)
{
    return (numbers + 64 * 64 - 1) / (64 * 64);
}

/* Once the thing's own word says that it belongs there. */
void fo_set_add(const struct fo_set *set, uint32_t number);

/* Out of the set; below `numbers`; 0, which is in no set: there is none.  Look at the thing's word
 * after it: whoever makes it belong there again adds it again. */
uint32_t fo_set_take(const struct fo_set *set, uint32_t numbers);

/* Has it more than so many? */
bool fo_set_is_longer(const struct fo_set *set, uint32_t numbers, uint32_t many);

/* Would it be found? */
bool fo_set_has(const struct fo_set *set, uint32_t number);

#endif
