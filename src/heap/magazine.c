/* Magazines: where they come from, where they wait, where they go.  See magazine.h, also for what
 * is relaxed. */
#include "heap/magazine.h"

#include "process/process.h"

/* --- owners --------------------------------------------------------------------------------------
 */

static uint32_t what(enum fo_magazine_state state, unsigned class)
{
    uint32_t cache = state == FO_MAGAZINE_OWNED ? fo_cache_number(fo_thread.cache) : 0;

    return cache << 16 | (uint32_t)state << 8 | class;
}

static bool change(uint32_t n, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(&fo_magazine_at(n)->what, &from, to, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

static void become(uint32_t n, uint32_t to)
{
    __atomic_store_n(&fo_magazine_at(n)->what, to, __ATOMIC_SEQ_CST);
}

/* Write the number into its end, where fo_magazine_of() finds it. */
static uint32_t sign(uint32_t n)
{
    struct fo_magazine *m = fo_magazine_at(n);

    FO_RELAXED_STORE(&m->sign, fo_magazine_sign((uintptr_t)m, n));
    return n;
}

void fo_magazines_start(void)
{
    sign(0);
}

/* Take one from the set, for this class; 0: none. */
static uint32_t take(struct fo_set set, uint32_t from, unsigned class)
{
    uint32_t n;

    do
        n = fo_bounded_magazine(fo_set_take(&set, fo_magazines_in_use()));
    while (n != 0 && !change(n, from, what(FO_MAGAZINE_OWNED, class)));
    return n != 0 ? sign(n) : 0;
}

static bool has_long(unsigned class)
{
    return fo_layout.class[class].cells[1] > FO_SHORT_CELLS;
}

static void add_spare(uint32_t n)
{
    const struct fo_set spares = fo_spare_magazines(fo_magazine_is_long(n));

    fo_set_add(&spares, n);
}

/* A short one and a long one begin to be used together; the one that is not wanted is a spare.
 * A thread that recovers another's may find either first, and add it to its set. */
static uint32_t fresh_magazine(unsigned class)
{
    uint32_t n = FO_RELAXED_LOAD(&fo_region->magazines), wanted;

    do {
        if (n >= fo_layout.magazine_count - 1 || !fo_layout_map_magazine(n))
            return 0;
        wanted = n + has_long(class);
    } while (!__atomic_compare_exchange_n(&fo_region->magazines, &n, n + 2, true, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED) ||
             !change(wanted, what(FO_MAGAZINE_SPARE, 0), what(FO_MAGAZINE_OWNED, class)));
    add_spare(wanted ^ 1);
    return sign(wanted);
}

void fo_magazine_spare(uint32_t n)
{
    if (n == 0)
        return;
    become(n, what(FO_MAGAZINE_SPARE, 0));
    add_spare(n);
}

void fo_magazine_trim_spares(struct fo_bin *bin)
{
    while (bin->spares > FO_RELAXED_LOAD(&bin->most_spares))
        fo_magazine_spare(fo_magazine_take_spare(bin));
}

/* --- what all threads share --------------------------------------------------------------------
 */

uint32_t fo_magazine_take_shared(unsigned class)
{
    return take(fo_full_magazines(class), what(FO_MAGAZINE_FULL, class), class);
}

void fo_magazine_drain(uint32_t n)
{
    for (struct fo_cell *cell = fo_magazine_first(n); !fo_cell_is_end(cell); cell++) {
        struct fo_cell freed = *cell;
        fo_cell_check(cell);
        FO_RELAXED_STORE(&cell->payload, 0);
        if (freed.payload != 0)
            fo_slot_release(&freed);
    }
}

/* If there are too many, this one is drained, rather than one of the set: those were freed earlier,
 * and lie in few pages; slots from all parts of a burst would keep a block in each of its pages. */
void fo_magazine_share(struct fo_bin *bin, unsigned class)
{
    const struct fo_set full = fo_full_magazines(class);
    uint32_t n = fo_magazine_take_ready(bin);

    if (fo_unlikely(n == 0))
        return;
    if (fo_set_is_longer(&full, fo_magazines_in_use(),
                         FO_RELAXED_LOAD(&fo_region->ready_most[class]) - 1)) {
        fo_magazine_drain(n);
        fo_magazine_spare(n);
    } else {
        become(n, what(FO_MAGAZINE_FULL, class));
        fo_set_add(&full, n);
    }
}

/* --- where they come from ------------------------------------------------------------------------
 */

static uint32_t spare_of_another_bin(bool is_long)
{
    uint32_t n = 0;

    for (unsigned c = 0; n == 0 && c < FO_REGION_CLASSES; c++)
        if (has_long(c) == is_long)
            n = fo_magazine_take_spare(&fo_thread.cache->bins[c]);
    return n;
}

/* Its slots go back into their pages, where the other bin finds them. */
static uint32_t full_of_another_bin(bool is_long)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        struct fo_bin *bin = &fo_thread.cache->bins[c];
        if (has_long(c) != is_long)
            continue;
        uint32_t n = bin->readied != 0  ? fo_magazine_take_ready(bin)
                     : bin->queued != 0 ? fo_magazine_take_queued(bin)
                                        : fo_magazine_take_shared(c);
        if (n == 0)
            continue;
        fo_magazine_drain(n);
        return n;
    }
    return 0;
}

/* No more magazines can be made. */
static FO_COLD uint32_t from_another_bin(bool is_long)
{
    uint32_t n = spare_of_another_bin(is_long);

    return n != 0 ? n : full_of_another_bin(is_long);
}

uint32_t fo_magazine_new(unsigned class)
{
    uint32_t n = take(fo_spare_magazines(has_long(class)), what(FO_MAGAZINE_SPARE, 0), class);

    if (n != 0 || (n = fresh_magazine(class)) != 0 || (n = from_another_bin(has_long(class))) == 0)
        return n;
    become(n, what(FO_MAGAZINE_OWNED, class));
    return n;
}

/* --- recovery ------------------------------------------------------------------------------------
 */

/* False: no other thread may take it. */
static bool has_set(uint32_t n, struct fo_set *set)
{
    uint32_t is = __atomic_load_n(&fo_magazine_at(n)->what, __ATOMIC_SEQ_CST);

    *set = is == what(FO_MAGAZINE_SPARE, 0) ? fo_spare_magazines(fo_magazine_is_long(n))
                                            : fo_full_magazines(fo_bounded_class(is & 0xff));
    return is == what(FO_MAGAZINE_SPARE, 0) || is == what(FO_MAGAZINE_FULL, is & 0xff);
}

bool fo_magazine_recover(uint32_t n, uint32_t cache)
{
    struct fo_set set;

    if (has_set(n, &set))
        fo_set_add(&set, n);
    return FO_RELAXED_LOAD(&fo_magazine_at(n)->what) >> 16 == cache;
}

bool fo_magazine_can_be_found(uint32_t n)
{
    struct fo_set set;

    return !has_set(n, &set) || fo_set_has(&set, n);
}
