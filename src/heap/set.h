/* Sets of numbers without locks: a bit for each number, and above them a bit for each 64 of those
 * that are not all zero.  The lowest number is taken first, so that what is used lies together
 * (address-ordered first fit: Wilson and others 1995).
 *
 * A set tells where to look for a thing, not what the thing is: one word of the thing itself has
 * its state, and changes by compare-and-exchange.  So what is in a set may have another state by
 * now, and adding it twice is adding it once.  If a thread is killed at any instruction, a number
 * can be missing in a set at most, and adopt.c adds it again. */
#ifndef FO_HEAP_SET_H
#define FO_HEAP_SET_H

#include "base/base.h"

/* Its words lie in rows, a word of each set in a row: what a small heap uses of all sets lies
 * together.  The lower ones lie in the chunks of layout.h, `words` in each. */
struct fo_set {
    uint64_t *above;
    const uintptr_t *chunks;
    uint32_t offset;         /* of the first word in a chunk, in bytes */
    uint32_t words;          /* in a chunk */
    uint32_t row_above, row; /* words from one to the next */
};

/* How many upper words a set of numbers below `numbers` has; their memory must be zero at first. */
static inline uint32_t fo_set_above(uint32_t numbers)
{
    return (numbers + 64 * 64 - 1) / (64 * 64);
}

/* Add a number, after the thing's own word has a state that belongs there. */
void fo_set_add(const struct fo_set *set, uint32_t number);

/* Take the lowest below `numbers` out of the set; 0, which is in no set: there is none.  Read the
 * thing's word afterwards: a thread that makes it belong there again adds it again. */
uint32_t fo_set_take(const struct fo_set *set, uint32_t numbers);

/* Does the set have more than so many numbers? */
bool fo_set_is_longer(const struct fo_set *set, uint32_t numbers, uint32_t many);

/* Can fo_set_take() find the number? */
bool fo_set_has(const struct fo_set *set, uint32_t number);

#endif
