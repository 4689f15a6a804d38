/* Magazines: where they come from, where they wait, where they go.  See region_magazine.h. */
#include "backend/region_magazine.h"

#include "fork/process.h"

/* --- into a list and out of it -------------------------------------------------------------------
 */

/* It is this thread's now. */
static void have(uint32_t n)
{
    struct fo_cache *cache = fo_thread.cache;

    if (n != 0)
        __atomic_store_n(&fo_magazine_at(n)->owner, fo_cache_number(cache), __ATOMIC_RELEASE);
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

    /* In this order: whoever takes it off the list says so in `owner`, and nothing of ours may
     * come after that. */
    __atomic_store_n(&cache->magazine, n, __ATOMIC_RELEASE);
    __atomic_store_n(&fo_magazine_at(n)->owner, 0, __ATOMIC_RELEASE);
    fo_list_push(list, fo_region->magazine, sizeof(struct fo_magazine), n);
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

uint32_t fo_magazine_take_spare(struct fo_bin *bin)
{
    uint32_t n = bin->spare;

    if (n == 0)
        return 0;
    bin->spare = FO_RELAXED_LOAD(&fo_magazine_at(n)->next);
    bin->spares--;
    return n;
}

void fo_magazine_spare(uint32_t n)
{
    if (n != 0)
        push(&fo_region->spare, n);
}

void fo_magazine_keep_spare(struct fo_bin *bin, uint32_t n)
{
    uint32_t most = FO_RELAXED_LOAD(&bin->most_spares);

    if (n != 0) {
        FO_RELAXED_STORE(&fo_magazine_at(n)->next, bin->spare);
        __atomic_store_n(&bin->spare, n, __ATOMIC_RELEASE);
        bin->spares++;
    }
    while (fo_unlikely(bin->spares > most)) /* which may have become less */
        fo_magazine_spare(fo_magazine_take_spare(bin));
}

/* --- the queue ---------------------------------------------------------------------------------
 */

void fo_magazine_queue(struct fo_bin *bin, uint32_t n)
{
    FO_RELAXED_STORE(&fo_magazine_at(n)->next, 0);
    if (bin->queued == 0)
        bin->first = n;
    else
        FO_RELAXED_STORE(&fo_magazine_at(bin->last)->next, n);
    bin->last = n;
    bin->queued++;
}

uint32_t fo_magazine_take_queued(struct fo_bin *bin)
{
    uint32_t n = bin->first;

    bin->first = FO_RELAXED_LOAD(&fo_magazine_at(n)->next);
    bin->queued--;
    return n;
}

uint32_t fo_magazine_take_ready(struct fo_bin *bin)
{
    uint32_t n = bin->ready;

    bin->ready = FO_RELAXED_LOAD(&fo_magazine_at(n)->next);
    bin->readied--;
    return n;
}

/* Of those that have waited long enough, the newest serves first: it is the one that the
 * processor's cache knows best, and a burst of frees does not make all blocks of the burst take
 * turns for ever. */
void fo_magazine_make_ready(struct fo_bin *bin)
{
    uint32_t n = fo_magazine_take_queued(bin);

    FO_RELAXED_STORE(&fo_magazine_at(n)->next, bin->ready);
    bin->ready = n;
    bin->readied++;
}

/* --- what all threads share --------------------------------------------------------------------
 */

uint32_t fo_magazine_take_shared(unsigned class)
{
    return pop(&fo_region->class[class].full);
}

/* Roughly: others may change it meanwhile. */
static bool are_too_many(unsigned class)
{
    uint32_t n = (uint32_t)FO_RELAXED_LOAD(&fo_region->class[class].full);
    uint32_t left = fo_region->class[class].most;

    for (; n != 0 && left != 0; left--)
        n = FO_RELAXED_LOAD(&fo_magazine_at(n)->next);
    return n != 0;
}

/* What waits in it goes back into its pages. */
static void spill(uint32_t n)
{
    for (struct fo_cell *cell = fo_magazine_first(n); !fo_cell_is_end(cell); cell++) {
        struct fo_cell freed = *cell;
        fo_cell_check(cell);
        FO_RELAXED_STORE(&cell->payload, 0);
        if (freed.payload != 0)
            fo_slot_give(&freed);
    }
}

void fo_magazine_share(struct fo_bin *bin, unsigned class)
{
    push(&fo_region->class[class].full, fo_magazine_take_ready(bin));
    if (!are_too_many(class))
        return;
    uint32_t n = fo_magazine_take_shared(class);
    if (n == 0)
        return;
    spill(n);
    fo_magazine_spare(n);
}

/* --- where they come from ------------------------------------------------------------------------
 */

static uint32_t spare_of_another_bin(void)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        uint32_t n = fo_magazine_take_spare(&fo_thread.cache->bins[c]);
        if (n != 0)
            return n;
    }
    return 0;
}

/* What it held could serve the other bin, which finds it in its pages now. */
static uint32_t full_of_another_bin(void)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        struct fo_bin *bin = &fo_thread.cache->bins[c];
        uint32_t n = bin->readied != 0  ? fo_magazine_take_ready(bin)
                     : bin->queued != 0 ? fo_magazine_take_queued(bin)
                                        : fo_magazine_take_shared(c);
        if (n == 0)
            continue;
        spill(n);
        return n;
    }
    return 0;
}

/* No more can be made. */
static FO_COLD uint32_t of_another_bin(void)
{
    uint32_t n = spare_of_another_bin();

    return n != 0 ? n : full_of_another_bin();
}

uint32_t fo_magazine_new(unsigned class)
{
    uint32_t n = pop(&fo_region->spare);

    if (n == 0 && (n = fresh_magazine()) == 0 && (n = of_another_bin()) == 0)
        return 0;
    FO_RELAXED_STORE(&fo_magazine_at(n)->class, (uint16_t) class);
    return n;
}
