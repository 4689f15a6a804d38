/* Magazines: what happens where one is empty or full.  See region.h; whose they are is said in
 * region_owner.c. */
#include "backend/region.h"

#include "fork/process.h"

/* --- magazines ---------------------------------------------------------------------------------
 */

static struct fo_magazine *magazine_at(uint32_t number)
{
    return &fo_region->magazine[number];
}

static struct fo_cell *first_cell(uint32_t number)
{
    return fo_first_cell(magazine_at(number));
}

/* The one that a cell is in; 0: none. */
static uint32_t magazine_of(const struct fo_cell *cell)
{
    uintptr_t distance = (uintptr_t)cell - (uintptr_t)fo_region->magazine;
    size_t size = (size_t)fo_region->magazine_count * sizeof(struct fo_magazine);

    return distance < size ? (uint32_t)(distance / sizeof(struct fo_magazine)) : 0;
}

static uint16_t number_of(const struct fo_cache *cache)
{
    return (uint16_t)(cache - fo_region->cache + 1);
}

/* It is this thread's now. */
static void have(uint32_t n)
{
    struct fo_cache *cache = fo_thread.cache;

    if (n != 0)
        __atomic_store_n(&magazine_at(n)->owner, number_of(cache), __ATOMIC_RELEASE);
    __atomic_store_n(&cache->magazine, 0, __ATOMIC_RELEASE);
}

static uint32_t pop(fo_list *list)
{
    uint32_t n = fo_list_pop(list, fo_region->magazine, sizeof(struct fo_magazine),
                             &fo_thread.cache->magazine);

    have(n);
    return n;
}

static void push(fo_list *list, uint32_t n)
{
    struct fo_cache *cache = fo_thread.cache;
    uint16_t me = number_of(cache);

    __atomic_store_n(&cache->magazine, n, __ATOMIC_RELEASE);
    fo_list_push(list, fo_region->magazine, sizeof(struct fo_magazine), n);
    /* Unless somebody has it already. */
    __atomic_compare_exchange_n(&magazine_at(n)->owner, &me, 0, false, __ATOMIC_RELEASE,
                                __ATOMIC_RELAXED);
    __atomic_store_n(&cache->magazine, 0, __ATOMIC_RELEASE);
}

static uint32_t fresh_magazine(void)
{
    uint32_t n = FO_RELAXED_LOAD(&fo_region->magazines);

    do {
        if (n == fo_region->magazine_count)
            return 0;
        FO_RELAXED_STORE(&fo_thread.cache->magazine, n);
    } while (!__atomic_compare_exchange_n(&fo_region->magazines, &n, n + 1, true, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
    have(n);
    return n;
}

static uint32_t take_spare(struct fo_bin *bin)
{
    uint32_t n = bin->spare;

    if (n == 0)
        return 0;
    bin->spare = FO_RELAXED_LOAD(&magazine_at(n)->next);
    bin->spares--;
    return n;
}

/* There are no others any more. */
static FO_COLD uint32_t spare_of_another_bin(void)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        uint32_t n = take_spare(&fo_thread.cache->bins[c]);
        if (n != 0)
            return n;
    }
    return 0;
}

static uint32_t new_magazine(unsigned class)
{
    uint32_t n = pop(&fo_region->spare);

    if (n == 0 && (n = fresh_magazine()) == 0 && (n = spare_of_another_bin()) == 0)
        return 0;
    FO_RELAXED_STORE(&magazine_at(n)->class, (uint16_t) class);
    return n;
}

/* All of its cells are empty. */
void fo_magazine_spare(uint32_t n)
{
    if (n != 0)
        push(&fo_region->spare, n);
}

/* It serves for frees next.  As many stay in the bin as a burst of frees will want. */
static void keep_spare(struct fo_bin *bin, uint32_t n)
{
    uint32_t most = FO_RELAXED_LOAD(&bin->most_spares);

    if (n != 0) {
        FO_RELAXED_STORE(&magazine_at(n)->next, bin->spare);
        __atomic_store_n(&bin->spare, n, __ATOMIC_RELEASE);
        bin->spares++;
    }
    while (fo_unlikely(bin->spares > most)) /* which may have become less */
        fo_magazine_spare(take_spare(bin));
}

/* A look at one of the slots that are about to serve again, another one each time. */
static void check_one(uint32_t n)
{
    const struct fo_cell *first = first_cell(n);
    uint32_t drawn = (uint32_t)(first->payload >> 4) * 0x9e3779b9u >> 16;

    fo_cell_check(&first[drawn * fo_region->class[magazine_at(n)->class].cells >> 16]);
}

/* Take from this one now. */
static void load(struct fo_bin *bin, uint32_t n)
{
    uint32_t before = magazine_of(bin->take);

    check_one(n);
    __atomic_store_n(&bin->take, first_cell(n), __ATOMIC_RELEASE);
    keep_spare(bin, before);
}

/* --- the queue ---------------------------------------------------------------------------------
 */

void fo_magazine_queue(struct fo_bin *bin, uint32_t n)
{
    FO_RELAXED_STORE(&magazine_at(n)->next, 0);
    if (bin->queued == 0)
        bin->first = n;
    else
        FO_RELAXED_STORE(&magazine_at(bin->last)->next, n);
    bin->last = n;
    bin->queued++;
}

static uint32_t remove_first(struct fo_bin *bin)
{
    uint32_t n = bin->first;

    bin->first = FO_RELAXED_LOAD(&magazine_at(n)->next);
    bin->queued--;
    return n;
}

static uint32_t remove_ready(struct fo_bin *bin)
{
    uint32_t n = bin->ready;

    bin->ready = FO_RELAXED_LOAD(&magazine_at(n)->next);
    bin->readied--;
    return n;
}

/* The oldest that waits has waited long enough.  Of those that have, the newest serves first: it is
 * the one that the processor's cache knows best, and a burst of frees does not make all blocks of
 * the burst take turns for ever. */
static void make_ready(struct fo_bin *bin)
{
    uint32_t n = remove_first(bin);

    FO_RELAXED_STORE(&magazine_at(n)->next, bin->ready);
    bin->ready = n;
    bin->readied++;
}

/* --- what all threads share --------------------------------------------------------------------
 */

static uint32_t pop_shared(unsigned class)
{
    return pop(&fo_region->class[class].full);
}

/* Roughly: others may change it meanwhile. */
static bool are_too_many(unsigned class)
{
    uint32_t n = (uint32_t)FO_RELAXED_LOAD(&fo_region->class[class].full);
    uint32_t left = fo_region->class[class].most;

    for (; n != 0 && left != 0; left--)
        n = FO_RELAXED_LOAD(&magazine_at(n)->next);
    return n != 0;
}

static void empty(uint32_t n)
{
    for (struct fo_cell *cell = first_cell(n); !fo_cell_is_end(cell); cell++) {
        struct fo_cell freed = *cell;
        fo_cell_check(cell);
        FO_RELAXED_STORE(&cell->payload, 0);
        if (freed.payload != 0)
            fo_slot_give(&freed);
    }
    fo_magazine_spare(n);
}

/* What a bin has ready goes to all threads; what is too many there, back into its pages. */
static void share(struct fo_bin *bin, unsigned class)
{
    push(&fo_region->class[class].full, remove_ready(bin));
    if (!are_too_many(class))
        return;
    uint32_t n = pop_shared(class);
    if (n != 0)
        empty(n);
}

void fo_cache_share_queue(unsigned class)
{
    struct fo_bin *bin = &fo_thread.cache->bins[class];

    while (bin->queued != 0)
        make_ready(bin);
    while (bin->readied != 0)
        share(bin, class);
}

/* --- bins --------------------------------------------------------------------------------------
 */

/* The half-filled magazine of frees becomes the one to take from: nobody has to wait. */
static bool turn_round(struct fo_bin *bin)
{
    uint32_t n = magazine_of(bin->put);

    if (n == 0 || bin->put == first_cell(n))
        return false;
    uint32_t before = magazine_of(bin->take);
    bin->put = fo_no_cells();
    __atomic_store_n(&bin->take, first_cell(n), __ATOMIC_RELEASE);
    keep_spare(bin, before);
    return true;
}

static bool fill_fresh(struct fo_bin *bin, unsigned class)
{
    unsigned cells = fo_region->class[class].cells;
    uint32_t n = magazine_of(bin->take);

    if (n == 0 && (n = new_magazine(class)) == 0)
        return false;
    __atomic_store_n(&bin->take, fo_end_cell(magazine_at(n)), __ATOMIC_RELEASE);
    return fo_slots_take(bin, class, cells);
}

static bool fill(struct fo_bin *bin, unsigned class)
{
    uint32_t n = 0;

    if (bin->readied != 0)
        n = remove_ready(bin);
    else if (FO_RELAXED_LOAD(&bin->keep) == 0 && turn_round(bin))
        return true;
    else if ((n = pop_shared(class)) == 0) {
        if (fill_fresh(bin, class))
            return true;
        if (bin->queued == 0)
            return turn_round(bin);
        n = remove_first(bin);
    }
    load(bin, n);
    return true;
}

bool fo_cache_fill(unsigned class)
{
    struct fo_cache *cache = fo_cache_own();

    return cache != NULL && (FO_RELAXED_LOAD(&cache->bins[class].take->payload) != 0 ||
                             fill(&cache->bins[class], class));
}

uintptr_t fo_cache_take(unsigned class)
{
    if (!fo_cache_fill(class))
        return 0;
    struct fo_bin *bin = &fo_thread.cache->bins[class];
    struct fo_cell *take = bin->take;
    uintptr_t payload = FO_RELAXED_LOAD(&take->payload);
    FO_RELAXED_STORE(&take->payload, 0);
    __atomic_store_n(&bin->take, take + 1, __ATOMIC_RELEASE);
    return payload;
}

/* The magazine of frees is full, or there is none. */
static bool rotate(struct fo_bin *bin, unsigned class)
{
    uint32_t full = magazine_of(bin->put), n = take_spare(bin);

    if (n == 0 && (n = new_magazine(class)) == 0)
        return false;
    if (full != 0)
        fo_magazine_queue(bin, full);
    __atomic_store_n(&bin->put, first_cell(n), __ATOMIC_RELEASE);
    while (bin->queued > FO_RELAXED_LOAD(&bin->keep))
        make_ready(bin);
    while (bin->readied > FO_RELAXED_LOAD(&bin->most))
        share(bin, class);
    return true;
}

bool fo_cache_rotate(unsigned class)
{
    struct fo_cache *cache = fo_cache_own();

    return cache != NULL &&
           (!fo_cell_is_end(cache->bins[class].put) || rotate(&cache->bins[class], class));
}

void fo_cache_put(unsigned class, const struct fo_cell *freed)
{
    if (!fo_cache_rotate(class)) {
        fo_slot_give(freed);
        return;
    }
    struct fo_bin *bin = &fo_thread.cache->bins[class];
    FO_RELAXED_STORE(&bin->put->freed, freed->freed);
    FO_RELAXED_STORE(&bin->put->by, freed->by);
    FO_RELAXED_STORE(&bin->put->payload, freed->payload);
    __atomic_store_n(&bin->put, bin->put + 1, __ATOMIC_RELEASE);
}

const struct fo_cell *fo_cache_find(unsigned class, uintptr_t payload)
{
    uint32_t used = FO_RELAXED_LOAD(&fo_region->magazines);

    for (uint32_t n = 1; n < used; n++) {
        struct fo_magazine *m = magazine_at(n);
        if (FO_RELAXED_LOAD(&m->class) != class)
            continue;
        for (struct fo_cell *cell = fo_first_cell(m); !fo_cell_is_end(cell); cell++)
            if (__atomic_load_n(&cell->payload, __ATOMIC_ACQUIRE) == payload)
                return cell;
    }
    return NULL;
}
