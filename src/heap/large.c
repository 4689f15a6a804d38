/* Blocks with pages of their own: OpenSSL's record buffers, of 16 to 18 KiB, and larger blocks.
 * Most of a record buffer is never touched, so untouched zero pages cost less memory than used
 * ones: freed memory goes back to the system.  A few freed runs keep their memory for a while, so
 * that a program that allocates and frees buffers in a loop does not call the system each time; the
 * newest of those that have waited is used first.  Larger ones give it back at once, and their
 * addresses rest, so that a stale pointer meets no other block. */
#include "heap/owner.h"
#include "heap/system.h"

#include <string.h>

#include "base/wipe.h"
#include "options/options.h"
#include "process/process.h"

enum { SYSTEM_PAGE_SHIFT = 12 };

/* In pages of the system: blocks of equal sizes have equal untouched parts. */
static size_t system_pages(size_t size)
{
    return (size + sizeof(struct fo_header) + 4095) >> SYSTEM_PAGE_SHIFT;
}

_Static_assert((FO_WARM & (FO_WARM - 1)) == 0, "numbers may wrap around");

static uint32_t *warm_at(size_t size, uint32_t number)
{
    return &fo_region->warm[system_pages(size)][number % FO_WARM];
}

static bool can_be_warm(size_t size)
{
    return system_pages(size) < FO_WARM_SIZES;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How many of a warm size wait. */
static uint32_t count_warm(void)
{
    if (fo_options.quarantine == 0)
        return 0;
    uint64_t users = fo_caches_users(),
             keep = FO_WARM_WAIT - 3 + (fo_options.quarantine >> 20) + 2 * users;
    return (uint32_t)least(keep, FO_WARM / 2);
}

/* How many larger ones rest: 32 by default, if each has at most a quarter of the option's bytes.  A
 * shared heap cannot grow: at most a sixteenth of it rests. */
static uint32_t count_resting(size_t size)
{
    uint64_t most = least(fo_options.quarantine >> 15, FO_RESTING),
             heap = (uint64_t)fo_layout.page_count << FO_PAGE_SHIFT;

    if (size > fo_options.quarantine / 4 || (fo_layout.shared && size * most > heap / 16))
        return 0;
    return (uint32_t)most;
}

/* What a ring has there, bounded: another process may have written it. */
static uint32_t exchange(uint32_t *at, uint32_t page)
{
    return fo_bounded_page(__atomic_exchange_n(at, page, __ATOMIC_ACQ_REL));
}

/* The newest that has waited while some others were freed: most of it may still be in the
 * processor's cache.  0: none. */
static uint32_t take_newest(size_t size)
{
    uint32_t given = __atomic_load_n(&fo_region->warm_given[system_pages(size)], __ATOMIC_ACQUIRE);
    uint32_t keep = count_warm();

    for (uint32_t age = keep + 1; age <= FO_WARM; age++) {
        uint32_t *at = warm_at(size, given - age);
        uint32_t page = FO_RELAXED_LOAD(at);
        if (page != 0 && (page = exchange(at, 0)) != 0)
            return page;
    }
    return 0;
}

/* Of the block that is or was in the run that begins here; the run may have been longer then. */
static size_t size_of(uint32_t page)
{
    size_t most = ((size_t)fo_run_at(page) << FO_PAGE_SHIFT) - sizeof(struct fo_header);

    return least(fo_word_size(FO_RELAXED_LOAD(&fo_page_at(page)->word)), most);
}

/* Give the memory of a run that this thread owns back to the system. */
static void release_memory(uint32_t page)
{
    size_t size = (size_of(page) + sizeof(struct fo_header) + 4095) & ~(size_t)4095;

    fo_system_release(fo_page_start(page), size, fo_layout.shared);
}

static void release(uint32_t page)
{
    release_memory(page);
    fo_run_release(page);
}

/* A run whose block has had another size since it was put there is released. */
static uint32_t take_warm(size_t size)
{
    uint32_t page = can_be_warm(size) ? take_newest(size) : 0;
    struct fo_page *pg = fo_page_at(page);

    if (page == 0 || !fo_page_change(pg, FO_PAGE_WARM, fo_state_owned(FO_PAGE_MOVING)))
        return 0;
    if (system_pages(size_of(page)) == system_pages(size))
        return page;
    release(page);
    return 0;
}

uint32_t fo_large_pages(size_t size)
{
    return (uint32_t)((size + sizeof(struct fo_header) + FO_PAGE_SIZE - 1) >> FO_PAGE_SHIFT);
}

uintptr_t fo_large_take(size_t size)
{
    if (!fo_cache_can_own_pages())
        return 0;
    uint32_t page = take_warm(size);
    if (page == 0 && (page = fo_run_take(fo_large_pages(size))) == 0 && !fo_layout.shared) {
        fo_large_evict_warm(); /* runs that rest are better than malloc */
        page = fo_run_take(fo_large_pages(size));
    }
    if (page == 0)
        return 0;
    struct fo_page *pg = fo_page_at(page);
    FO_RELAXED_STORE(&pg->word, (uint64_t)size << FO_SIZE_SHIFT);
    fo_page_change(pg, fo_state_owned(FO_PAGE_MOVING), FO_PAGE_BLOCK);
    return fo_page_start(page) + sizeof(struct fo_header);
}

/* Release what the block does not use any more. */
static void release_behind(uintptr_t payload, size_t size, size_t was)
{
    uintptr_t from = (payload + size + 4095) & ~(uintptr_t)4095;
    uintptr_t to = (payload + was + 4095) & ~(uintptr_t)4095;

    if (size < was && fo_options.wipe)
        fo_wipe((void *)(payload + size), was - size);
    if (from < to)
        fo_system_release(from, to - from, fo_layout.shared);
}

/* A block that gets much shorter moves: other blocks may need its pages. */
bool fo_large_fit(uintptr_t payload, size_t size)
{
    uint32_t page = fo_page_number(payload), wanted = fo_large_pages(size);
    uint32_t has = fo_run_at(page);

    if (size <= FO_REGION_SMALL || (has > 1 && wanted <= has / 2) ||
        (wanted > has && !(fo_cache_can_own_pages() && fo_run_extend(page, wanted))))
        return false;
    release_behind(payload, size, size_of(page));
    return true;
}

/* Release a run that has left its ring.  A thread without a cache leaves it to recovery. */
static void evict(uint32_t page)
{
    const struct fo_page *pg = fo_page_at(page);

    if (!fo_cache_can_own_pages() ||
        !fo_page_change(fo_page_at(page), FO_PAGE_WARM, fo_state_owned(FO_PAGE_MOVING)))
        return;
    if (FO_RELAXED_LOAD(&pg->cold))
        fo_run_release(page);
    else
        release(page);
}

/* Put the run into the ring; returns the oldest one, which was there. */
static uint32_t exchange_warm(size_t size, uint32_t page)
{
    uint32_t *given = &fo_region->warm_given[system_pages(size)];
    uint32_t *at = warm_at(size, __atomic_fetch_add(given, 1, __ATOMIC_ACQ_REL));

    return exchange(at, page);
}

static void put_warm(uint32_t page, size_t size)
{
    if (!fo_page_change(fo_page_at(page), FO_PAGE_BLOCK, FO_PAGE_WARM))
        return;
    uint32_t oldest = exchange_warm(size, page);
    if (oldest != 0)
        evict(oldest);
}

/* Its memory is given back before other threads can find it. */
static void put_to_rest(uint32_t page, uint32_t most)
{
    struct fo_page *pg = fo_page_at(page);

    if (!fo_page_change(pg, FO_PAGE_BLOCK, fo_state_owned(FO_PAGE_MOVING)))
        return;
    release_memory(page);
    FO_RELAXED_STORE(&pg->cold, 1);
    fo_page_change(pg, fo_state_owned(FO_PAGE_MOVING), FO_PAGE_WARM);
    uint32_t turn = __atomic_fetch_add(&fo_region->rested, 1, __ATOMIC_ACQ_REL);
    uint32_t oldest = exchange(&fo_region->resting[turn % most], page);
    if (oldest != 0)
        evict(oldest);
}

void fo_large_release(uintptr_t payload)
{
    uint32_t page = fo_page_number(payload);
    struct fo_page *pg = fo_page_at(page);
    size_t size = size_of(page);
    uint32_t most = count_resting(size);

    FO_RELAXED_STORE(&pg->cold, 0);
    if (can_be_warm(size))
        put_warm(page, size);
    else if (most != 0 && fo_cache_can_own_pages())
        put_to_rest(page, most);
    else if (fo_page_change(pg, FO_PAGE_BLOCK, FO_PAGE_WARM))
        evict(page);
}

/* A ring's cell is looked at relaxed: the exchange takes what is there, and the page's word
 * decides. What the page says of its block is written by the owner, between two changes of that
 * word. */
static void evict_at(uint32_t *at)
{
    uint32_t page = FO_RELAXED_LOAD(at) != 0 ? exchange(at, 0) : 0;

    if (page != 0)
        evict(page);
}

void fo_large_evict_warm(void)
{
    for (unsigned s = 0; s < FO_WARM_SIZES; s++)
        for (unsigned i = 0; i < FO_WARM; i++)
            evict_at(&fo_region->warm[s][i]);
    for (unsigned i = 0; i < FO_RESTING; i++)
        evict_at(&fo_region->resting[i]);
}

static bool is_resting(uint32_t page)
{
    for (unsigned i = 0; i < FO_RESTING; i++)
        if (__atomic_load_n(&fo_region->resting[i], __ATOMIC_ACQUIRE) == page)
            return true;
    return false;
}

bool fo_large_can_be_found(uint32_t page)
{
    size_t size = size_of(page);
    bool found = false;

    if (!can_be_warm(size))
        return is_resting(page);
    for (uint32_t i = 0; i < FO_WARM; i++)
        found |= __atomic_load_n(warm_at(size, i), __ATOMIC_ACQUIRE) == page;
    return found;
}

void fo_large_recover(uint32_t page, uint32_t gone)
{
    uint64_t what = __atomic_load_n(&fo_page_at(page)->what, __ATOMIC_ACQUIRE);

    if (fo_state_of(what) == FO_PAGE_WARM && !fo_large_can_be_found(page))
        evict(page);
    else if (fo_state_of(what) == FO_PAGE_MOVING && fo_cache_of(what) == gone)
        release(page);
    else if (fo_state_of(what) == FO_PAGE_BLOCK)
        fo_run_complete(page);
}
