/* Magazines, by number; 0: none.  Only the thread of a cache uses the cache's magazines.  Those for
 * all threads are found in sets (set.h).  The word of each has its state and its owner, and
 * changes by one compare-and-exchange.
 *
 * Relaxed, here and in magazine.c, is what the owner of a magazine reads and writes: its word,
 * which is released and acquired, orders the rest (tests/models/magazine-handed.litmus).  Counts of
 * what is in use, and a failed exchange of one, are relaxed, too: the word decides. */
#ifndef FO_HEAP_MAGAZINE_H
#define FO_HEAP_MAGAZINE_H

#include "heap/region.h"

/* Cells that its class uses, of the magazine `m` with this number. */
static inline uint32_t fo_magazine_room(uint32_t number, const struct fo_magazine *m)
{
    return fo_layout.class[FO_RELAXED_LOAD(&m->what) % FO_CLASS_NUMBERS].cells[number % 2];
}

/* The first of them; the others follow, up to the end. */
static inline struct fo_cell *fo_magazine_first(uint32_t number)
{
    struct fo_magazine *m = fo_magazine_at(number);

    return fo_end_cell(m) - fo_magazine_room(number, m);
}

/* The word in the end of a magazine: its own address and the number.  It is odd; a payload, which
 * may lie where another end would be, is not. */
static inline uint64_t fo_magazine_sign(uintptr_t end, uint32_t number)
{
    return (uint64_t)(end / FO_MAGAZINE_END) << 21 | number << 1 | 1;
}
_Static_assert(FO_MAGAZINES_MOST <= 1 << 20, "a number has room there");

/* The magazine that a cell is in; 0: none. */
static inline uint32_t fo_magazine_of(const struct fo_cell *cell)
{
    uintptr_t end = ((uintptr_t)cell + FO_MAGAZINE_END - 1) & ~(uintptr_t)(FO_MAGAZINE_END - 1);

    for (int i = 0; i < 3; i++, end += FO_MAGAZINE_END) { /* in a long one, it is one of three */
        uint64_t sign = FO_RELAXED_LOAD(&((const struct fo_magazine *)end)->sign);
        if ((sign & 1) != 0 && sign >> 21 == end / FO_MAGAZINE_END)
            return fo_bounded_magazine((uint32_t)(sign >> 1) % FO_MAGAZINES_MOST);
    }
    return 0;
}

/* Is the cell in this one, or its end?  With number 0: is it the end of none? */
static inline bool fo_magazine_has(uint32_t number, const struct fo_cell *cell)
{
    uintptr_t before = (uintptr_t)fo_magazine_at(number) - (uintptr_t)cell;

    return before <= fo_magazine_cells(number) * sizeof *cell;
}

/* Prepare the end that bins without a magazine point to. */
void fo_magazines_start(void);

/* An empty one for this class.  When no more can be made: a spare of another bin, or a full one of
 * another class, whose slots go back into their pages.  0: none. */
uint32_t fo_magazine_new(unsigned class);

/* All its cells are empty: any thread can take it. */
void fo_magazine_spare(uint32_t number);

/* Take a spare of the bin; 0: none. */
static inline uint32_t fo_magazine_take_spare(struct fo_bin *bin)
{
    uint32_t n = fo_bounded_magazine(bin->spare);

    if (n == 0) {
        bin->spare = bin->spares = 0;
        return 0;
    }
    bin->spare = FO_RELAXED_LOAD(&fo_magazine_at(n)->next);
    bin->spares--;
    return n;
}

/* The bin has too many spares: give some to all threads.  Their limit may have been lowered. */
FO_COLD void fo_magazine_trim_spares(struct fo_bin *bin);

/* It is used for frees next.  The bin keeps as many as a burst of frees needs. */
static inline void fo_magazine_add_spare(struct fo_bin *bin, uint32_t number)
{
    if (number == 0)
        return;
    FO_RELAXED_STORE(&fo_magazine_at(number)->next, bin->spare);
    __atomic_store_n(&bin->spare, number, __ATOMIC_RELEASE);
    bin->spares++;
    if (fo_unlikely(bin->spares > FO_RELAXED_LOAD(&bin->most_spares)))
        fo_magazine_trim_spares(bin);
}

/* Its freed blocks wait, behind all others. */
static inline void fo_magazine_queue(struct fo_bin *bin, uint32_t number)
{
    FO_RELAXED_STORE(&fo_magazine_at(number)->next, 0);
    if (bin->queued == 0)
        bin->first = number;
    else
        FO_RELAXED_STORE(&fo_magazine_at(fo_bounded_magazine(bin->last))->next, number);
    bin->last = number;
    bin->queued++;
}

/* Take the first of a list that is not empty.  A list whose count is larger than its length, or
 * than possible, is dropped: 0. */
static inline uint32_t fo_magazine_take_first(uint32_t *first, uint32_t *count)
{
    uint32_t n = fo_bounded_magazine(*first);

    if (fo_unlikely(n == 0) || fo_unlikely(*count > fo_layout.magazine_count)) {
        *count = fo_region_drop();
        return 0;
    }
    *first = FO_RELAXED_LOAD(&fo_magazine_at(n)->next);
    --*count;
    return n;
}

/* The oldest of the queue, which must not be empty.  0: the queue was damaged. */
static inline uint32_t fo_magazine_take_queued(struct fo_bin *bin)
{
    return fo_magazine_take_first(&bin->first, &bin->queued);
}

/* The oldest of the queue has waited long enough.  Of those, the newest is used first: most of it
 * is in the processor's cache, and not all blocks of a burst of frees take turns afterwards. */
static inline void fo_magazine_make_ready(struct fo_bin *bin)
{
    uint32_t n = fo_magazine_take_queued(bin);

    if (fo_unlikely(n == 0))
        return;
    FO_RELAXED_STORE(&fo_magazine_at(n)->next, bin->ready);
    bin->ready = n;
    bin->readied++;
}

/* The newest of those that have waited; there must be one.  0: as above. */
static inline uint32_t fo_magazine_take_ready(struct fo_bin *bin)
{
    return fo_magazine_take_first(&bin->ready, &bin->readied);
}

/* Give a ready one to all threads; if they have too many, its slots go back into their pages. */
void fo_magazine_share(struct fo_bin *bin, unsigned class);

/* `keep` of them wait: the others become ready, or are for all threads. */
static inline void fo_magazine_advance(struct fo_bin *bin, unsigned class)
{
    while (bin->queued > FO_RELAXED_LOAD(&bin->keep))
        fo_magazine_make_ready(bin);
    while (fo_unlikely(bin->readied > FO_RELAXED_LOAD(&bin->most)))
        fo_magazine_share(bin, class);
}

/* Its slots go back into their pages. */
void fo_magazine_drain(uint32_t number);

/* One of those for all threads; 0: none. */
uint32_t fo_magazine_take_shared(unsigned class);

/* Add a magazine without an owner to its set: the thread that was to do it may have died.  True: it
 * belongs to this cache. */
bool fo_magazine_recover(uint32_t number, uint32_t cache);

/* Can a thread that needs such a magazine find it, or does it have an owner? */
bool fo_magazine_can_be_found(uint32_t number);

#endif
