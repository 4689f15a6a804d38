/* Numbers in the heap's records, each compared with its bound where it is read.
 *
 * In backend shm every process that shares the heap can write its records.  So a number from there
 * that names a page, a magazine, a class or a length is used only below its bound, which is private
 * memory of each process (struct fo_layout).  A number out of bounds is dropped and counted.  What
 * it named is left out; that costs memory at most.
 *
 * So is the address of a cell, and a payload in one. */
#ifndef FO_HEAP_BOUNDS_H
#define FO_HEAP_BOUNDS_H

#include "heap/layout.h"

/* Count a number out of bounds; the first one prints a message.  Returns 0. */
FO_COLD uint32_t fo_region_drop(void);

/* How many numbers this process has dropped. */
uint32_t fo_region_dropped(void);

/* The number, or 0 (no page) if it is out of bounds; likewise below. */
static inline uint32_t fo_bounded_page(uint32_t number)
{
    return fo_likely(number < fo_layout.page_count) ? number : fo_region_drop();
}

static inline uint32_t fo_bounded_magazine(uint32_t number)
{
    return fo_likely(number < fo_layout.magazine_count) ? number : fo_region_drop();
}

/* Out of bounds it is class 0, which exists and has the smallest slots. */
static inline unsigned fo_bounded_class(unsigned class)
{
    return fo_likely(class < FO_REGION_CLASSES) ? class : fo_region_drop();
}

/* Relaxed, as fo_run_at(): set by the page's owner before its state, which is acquired; a caller
 * that holds no block of the page gets a guess, and each number is bounded. */
static inline unsigned fo_page_class(const struct fo_page *pg)
{
    return fo_bounded_class(FO_RELAXED_LOAD(&pg->class));
}

/* Is it a cell of a magazine of the shared heap? */
static inline bool fo_cell_is_possible(const struct fo_cell *cell)
{
    return fo_likely((uintptr_t)cell - fo_layout.cells < fo_layout.cells_size) &&
           (uintptr_t)cell % sizeof(uint64_t) == 0;
}

/* Does a block of so many bytes at this address lie in the shared heap? */
static inline bool fo_payload_is_possible(uintptr_t payload, size_t size)
{
    const uint64_t first = FO_PAGE_SIZE + sizeof(struct fo_header); /* page 0 has no blocks */

    return fo_likely(payload - fo_layout.base - first <=
                     ((uint64_t)fo_layout.page_count << FO_PAGE_SHIFT) - first - size) &&
           payload % 16 == 0;
}

static inline uint32_t fo_least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Used slots, if they are of this class.  More is no damage: the page may have a new owner. */
static inline uint32_t fo_page_used(const struct fo_page *pg, unsigned class)
{
    return fo_least(__atomic_load_n(&pg->used, __ATOMIC_ACQUIRE), fo_layout.class[class].slots);
}

/* Pages of the run that begins here, from this word of its first page; at least 1, also if the run
 * was joined to another one meanwhile. */
static inline uint32_t fo_bounded_run(uint32_t page, uint64_t what)
{
    uint32_t pages = fo_run_of(what);

    if (fo_state_of(what) == FO_PAGE_INSIDE || fo_state_of(what) == FO_PAGE_NEVER)
        return 1;
    if (fo_likely(pages - 1 < fo_layout.page_count - page))
        return pages;
    fo_region_drop();
    return 1;
}

static inline uint32_t fo_run_at(uint32_t page)
{
    return fo_bounded_run(page, FO_RELAXED_LOAD(&fo_page_at(page)->what));
}

#endif
