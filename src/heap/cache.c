/* Bins: what happens when their magazine is empty or full.  See region.h; owner.c has their owners.
 * Relaxed: the calling thread owns the bin and its magazines.  Where a thread that adopts the cache
 * must find one write before another, the other is released. */
#include "heap/magazine.h"
#include "heap/owner.h"

#include "process/process.h"

/* --- taking --------------------------------------------------------------------------------------
 */

/* Check one of the slots that are about to be used again, a different one each time. */
static void check_one(const struct fo_cell *first, unsigned count)
{
    uint32_t drawn = (uint32_t)(first->payload >> 4) * 0x9e3779b9u >> 16;

    fo_cell_check(&first[drawn * count >> 16]);
}

/* The bin, which took from `take`, takes from these cells from now on: `count`, from `first` on. */
static void take_from(struct fo_bin *bin, const struct fo_cell *take, struct fo_cell *first,
                      unsigned count)
{
    uint32_t before = fo_magazine_of(take);

    check_one(first, count);
    __atomic_store_n(&bin->take, first, __ATOMIC_RELEASE);
    if (before != 0 &&
        fo_magazine_has(before,
                        FO_RELAXED_LOAD(&bin->put))) /* all its cells are empty: fill it again */
        __atomic_store_n(&bin->put, fo_magazine_first(before), __ATOMIC_RELEASE);
    else
        fo_magazine_add_spare(bin, before);
}

static void load(struct fo_bin *bin, const struct fo_cell *take, uint32_t n)
{
    struct fo_magazine *m = fo_magazine_at(n);
    uint32_t room = fo_magazine_room(n, m);

    take_from(bin, take, fo_end_cell(m) - room, room);
}

/* Allocations take from the magazine into which frees put: the slot that was freed first is taken
 * first, and no slot waits until the magazine is full. */
static bool follow_put(struct fo_bin *bin, const struct fo_cell *take)
{
    const struct fo_cell *put = fo_bounded_cell(&bin->put);
    uint32_t n = fo_magazine_of(put);

    if (n == 0 || n == fo_magazine_of(take) ||
        put <= fo_magazine_first(n)) /* below: in cells that the class does not use */
        return false;
    take_from(bin, take, fo_magazine_first(n), (unsigned)(put - fo_magazine_first(n)));
    bin->grown = 0;
    return true;
}

/* How many fresh slots to take.  Few, where no magazine waits: all slots in use take turns.  Twice
 * as many each time, as long as no slot is freed. */
static unsigned count_to_take(struct fo_bin *bin, unsigned room)
{
    enum { FEW = 16 };
    unsigned many =
        FO_RELAXED_LOAD(&bin->keep) == 0 && bin->grown < 8 ? (unsigned)FEW << bin->grown : room;

    if (many >= room)
        return room;
    bin->grown++;
    return many;
}

/* If frees put into the same empty magazine, `take` and `put` may be anywhere in it: both are moved
 * so that there is room in front of them. */
static bool fill_fresh(struct fo_bin *bin, struct fo_cell *take, unsigned class)
{
    uint32_t n = fo_magazine_of(take);

    if (n == 0 && (n = fo_magazine_new(class)) == 0)
        return false;
    unsigned many = count_to_take(bin, fo_layout.class[class].cells[1]);
    struct fo_cell *behind = fo_magazine_first(n) + many;
    if (!fo_magazine_has(n, FO_RELAXED_LOAD(&bin->put))) {
        take = fo_end_cell(fo_magazine_at(n));
        __atomic_store_n(&bin->take, take, __ATOMIC_RELEASE);
    } else if (take < behind) {
        take = behind;
        __atomic_store_n(&bin->put, take, __ATOMIC_RELEASE);
        __atomic_store_n(&bin->take, take, __ATOMIC_RELEASE);
    }
    return fo_slots_take(bin, &bin->take, take, class, many);
}

static bool fill(struct fo_bin *bin, struct fo_cell *take, unsigned class)
{
    uint32_t n = bin->readied != 0 ? fo_magazine_take_ready(bin) : 0;

    if (n == 0) {
        if (FO_RELAXED_LOAD(&bin->keep) == 0 && follow_put(bin, take))
            return true;
        if ((n = fo_magazine_take_shared(class)) != 0)
            fo_cache_raise_limits(bin, class);
        else if (fill_fresh(bin, take, class))
            return true;
        else if (bin->queued == 0 || (n = fo_magazine_take_queued(bin)) == 0)
            return follow_put(bin, take);
    }
    load(bin, take, n);
    return true;
}

__attribute__((noinline)) bool fo_cache_fill(unsigned class)
{
    if (!fo_cache_is_own())
        return false;
    struct fo_bin *bin = &fo_thread.cache->bins[class];
    struct fo_cell *take = fo_bounded_cell(&bin->take);
    uintptr_t payload = FO_RELAXED_LOAD(&take->payload);
    if (fo_unlikely(payload != 0)) {
        if (fo_cell_is_sound(payload))
            return true;
        fo_region_drop(); /* with all that follows it */
        __atomic_store_n(&bin->take, take = fo_no_cells(), __ATOMIC_RELEASE);
    }
    return fill(bin, take, class);
}

/* No magazine is left: take one slot without. */
static FO_COLD uintptr_t take_without_magazine(unsigned class)
{
    struct fo_cache *cache = fo_cache_own();
    struct fo_cell cells[2] = {{0}}, *place;

    if (cache == NULL || fo_magazine_of(fo_bounded_cell(&cache->bins[class].take)) != 0)
        return 0;
    fo_slots_take(&cache->bins[class], &place, &cells[1], class, 1);
    return FO_RELAXED_LOAD(&cells[0].payload);
}

uintptr_t fo_cache_take(unsigned class)
{
    if (!fo_cache_fill(class))
        return take_without_magazine(class);
    struct fo_bin *bin = &fo_thread.cache->bins[class];
    struct fo_cell *take = fo_bounded_cell(&bin->take);
    uintptr_t payload = FO_RELAXED_LOAD(&take->payload);
    if (fo_unlikely(payload == 0 || !fo_cell_is_sound(payload)))
        return fo_region_drop();
    FO_RELAXED_STORE(&take->payload, 0);
    __atomic_store_n(&bin->take, take + 1, __ATOMIC_RELEASE);
    return payload;
}

/* --- putting -------------------------------------------------------------------------------------
 */

/* The oldest of the queue, whose slots go back into their pages; 0: none.  OPENSSL_cleanup() frees
 * thousands of blocks, mostly at the end of the process: fresh magazines would be pages that nobody
 * needs again. */
static FO_COLD uint32_t drain_oldest(struct fo_bin *bin)
{
    uint32_t n = bin->queued != 0 ? fo_magazine_take_queued(bin) : 0;

    if (n != 0)
        fo_magazine_drain(n);
    return n;
}

/* The put magazine is full, or there is none. */
static bool rotate(struct fo_bin *bin, const struct fo_cell *put, unsigned class)
{
    uint32_t full = fo_magazine_of(put), n = fo_magazine_take_spare(bin);

    if (n == 0 && fo_unlikely(fo_thread.cleans_up))
        n = drain_oldest(bin);
    if (n == 0 && (n = fo_magazine_new(class)) == 0)
        return false;
    /* Frees have reached its end.  Is the cell to take from in it, too? */
    uintptr_t before = (uintptr_t)put - (uintptr_t)FO_RELAXED_LOAD(&bin->take);
    if (full != 0 && before > fo_magazine_cells(full) * sizeof *put)
        fo_magazine_queue(bin, full);
    __atomic_store_n(&bin->put, fo_magazine_first(n), __ATOMIC_RELEASE);
    fo_magazine_advance(bin, class);
    return true;
}

__attribute__((noinline)) bool fo_cache_rotate(unsigned class)
{
    if (!fo_cache_is_own())
        return false;
    struct fo_bin *bin = &fo_thread.cache->bins[class];
    const struct fo_cell *put = fo_bounded_cell(&bin->put);
    return !fo_cell_is_end(put) || rotate(bin, put, class);
}

static void put(struct fo_bin *bin, const struct fo_cell *freed)
{
    struct fo_cell *cell = fo_bounded_cell(&bin->put);

    FO_RELAXED_STORE(&cell->freed, freed->freed);
    FO_RELAXED_STORE(&cell->by, freed->by);
    FO_RELAXED_STORE(&cell->payload, freed->payload);
    __atomic_store_n(&bin->put, cell + 1, __ATOMIC_RELEASE);
}

void fo_cache_put(unsigned class, const struct fo_cell *freed)
{
    if (!fo_cache_rotate(class)) {
        fo_slot_release(freed);
        return;
    }
    put(&fo_thread.cache->bins[class], freed);
}

void fo_cache_share_all(unsigned class)
{
    struct fo_bin *bin = &fo_thread.cache->bins[class];
    uint32_t n = fo_magazine_of(fo_bounded_cell(&bin->put));

    if (n != 0 && n != fo_magazine_of(fo_bounded_cell(&bin->take))) {
        fo_magazine_queue(bin, n);
        __atomic_store_n(&bin->put, fo_no_cells(), __ATOMIC_RELEASE);
    }
    while (bin->queued != 0)
        fo_magazine_make_ready(bin);
    while (bin->readied != 0)
        fo_magazine_share(bin, class);
}

void fo_cache_trim(unsigned class)
{
    struct fo_bin *bin = &fo_thread.cache->bins[class];

    fo_slots_offer(bin);
    while (bin->readied != 0)
        fo_magazine_share(bin, class);
    while (bin->spares != 0)
        fo_magazine_spare(fo_magazine_take_spare(bin));
}

/* Its slots go back into their pages, and it is a spare. */
static void drain_to_spare(uint32_t n)
{
    if (n == 0)
        return;
    fo_magazine_drain(n);
    fo_magazine_spare(n);
}

static void drain_bin(struct fo_bin *bin)
{
    uint32_t take = fo_magazine_of(fo_bounded_cell(&bin->take)),
             put = fo_magazine_of(fo_bounded_cell(&bin->put));

    __atomic_store_n(&bin->take, fo_no_cells(), __ATOMIC_RELEASE);
    __atomic_store_n(&bin->put, fo_no_cells(), __ATOMIC_RELEASE);
    drain_to_spare(take);
    drain_to_spare(put != take ? put : 0);
    while (bin->queued != 0)
        drain_to_spare(fo_magazine_take_queued(bin));
    while (bin->readied != 0)
        drain_to_spare(fo_magazine_take_ready(bin));
    fo_slots_offer(bin);
}

/* Other threads may add magazines meanwhile: the loop takes no more than exist. */
static void drain_shared(unsigned class)
{
    uint32_t most = fo_magazines_in_use();

    for (uint32_t i = 0, n = 1; i < most && n != 0; i++)
        drain_to_spare(n = fo_magazine_take_shared(class));
}

void fo_cache_drain(void)
{
    struct fo_cache *cache = fo_cache_own();

    if (cache == NULL)
        return;
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        drain_bin(&cache->bins[c]);
        drain_shared(c);
    }
}

const struct fo_cell *fo_cache_find(unsigned class, uintptr_t payload)
{
    uint32_t used = fo_magazines_in_use();

    for (uint32_t n = FO_FIRST_MAGAZINE; n < used; n++) {
        if (fo_magazine_class(fo_magazine_at(n)) != class)
            continue;
        for (struct fo_cell *cell = fo_magazine_first(n); !fo_cell_is_end(cell); cell++)
            if (__atomic_load_n(&cell->payload, __ATOMIC_ACQUIRE) == payload)
                return cell;
    }
    return NULL;
}
