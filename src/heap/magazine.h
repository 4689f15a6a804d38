/* Magazines as bins know them, by number; 0: none.  Those that a cache has are its thread's alone.
 * What others can take is to be found in sets (set.h); what it is, and whose, says its own
 * word, which changes by one compare-and-exchange. */
#ifndef FO_HEAP_MAGAZINE_H
#define FO_HEAP_MAGAZINE_H

#include "heap/region.h"

/* Cells that its class uses, of the magazine `m` with this number. */
static inline uint32_t fo_magazine_room(uint32_t number, const struct fo_magazine *m)
{
    return fo_layout.class[FO_RELAXED_LOAD(&m->what) % FO_CLASS_NUMBERS].cells[number % 2];
}

/* The first of them; the others follow, up to where fo_cell_is_end(). */
static inline struct fo_cell *fo_magazine_first(uint32_t number)
{
    struct fo_magazine *m = fo_magazine_at(number);

    return fo_end_cell(m) - fo_magazine_room(number, m);
}

/* What the end of a magazine says: its own address and the number.  Odd, as no payload is, which
 * may lie where another end would be. */
static inline uint64_t fo_magazine_sign(uintptr_t end, uint32_t number)
{
    return (uint64_t)(end / FO_MAGAZINE_END) << 21 | number << 1 | 1;
}
_Static_assert(FO_MAGAZINES_MOST <= 1 << 20, "a number has room there");

/* The one that a cell is in; 0: none. */
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

/* Is the cell in this one, or its end?  Asked of 0, it is the end of none. */
static inline bool fo_magazine_has(uint32_t number, const struct fo_cell *cell)
{
    uintptr_t before = (uintptr_t)fo_magazine_at(number) - (uintptr_t)cell;

    return before <= fo_magazine_cells(number) * sizeof *cell;
}

/* That bins without a magazine have none. */
void fo_magazines_start(void);

/* An empty one for this class.  When no more can be made, one that another bin keeps for itself, or
 * one that is full of freed blocks of another size: those go back into their pages.  0: none. */
uint32_t fo_magazine_new(unsigned class);

/* All its cells are empty: it is anybody's. */
void fo_magazine_spare(uint32_t number);

/* An empty one that the bin keeps; 0: none. */
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

/* There are too many of them: their number may have become less. */
FO_COLD void fo_magazine_trim_spares(struct fo_bin *bin);

/* It serves for frees next.  As many stay in the bin as a burst of frees will want. */
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

/* The first of a list that is not empty.  One that is longer than it says, or can be, is dropped:
 * 0. */
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

/* The oldest of the queue has waited long enough.  Of those, the newest serves first: it is the one
 * that the processor's cache knows best, and a burst of frees does not make all blocks of the burst
 * take turns for ever. */
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

/* What a bin has ready goes to all threads; what is too many there, back into its pages. */
void fo_magazine_share(struct fo_bin *bin, unsigned class);

/* Of those that wait no more than shall: the others are ready, or for all threads. */
static inline void fo_magazine_advance(struct fo_bin *bin, unsigned class)
{
    while (bin->queued > FO_RELAXED_LOAD(&bin->keep))
        fo_magazine_make_ready(bin);
    while (fo_unlikely(bin->readied > FO_RELAXED_LOAD(&bin->most)))
        fo_magazine_share(bin, class);
}

/* What waits in it goes back into its pages. */
void fo_magazine_drain(uint32_t number);

/* One of those for all threads; 0: none. */
uint32_t fo_magazine_take_shared(unsigned class);

/* What is nobody's goes where others find it, should whoever was about to see to that be gone.
 * True: it is this cache's. */
bool fo_magazine_recover(uint32_t number, uint32_t cache);

/* Is it where those look who want such a magazine? */
bool fo_magazine_can_be_found(uint32_t number);

#endif
