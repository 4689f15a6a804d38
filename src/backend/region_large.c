/* Blocks with pages of their own: OpenSSL's record buffers, of 16 to 18 KiB, and what is larger.
 * Most of a record buffer is never touched, so memory that is all zero and not there yet is worth
 * more than memory that was used before: what is freed goes back to the system.  A few freed runs
 * keep their memory for a while, so that a program that allocates and frees buffers in a loop does
 * not ask the system each time; the newest of those that have waited serves first. */
#include "backend/region.h"
#include "backend/region_system.h"

#include <string.h>

#include "core/options.h"
#include "fork/process.h"

enum { SYSTEM_PAGE_SHIFT = 12, KEEP_WARM = 2 };

/* In pages of the system: equal sizes serve equal blocks, whose untouched parts are alike. */
static size_t system_pages(size_t size)
{
    return (size + sizeof(struct fo_header) + 4095) >> SYSTEM_PAGE_SHIFT;
}

static uint32_t *warm_at(size_t size, uint32_t number)
{
    return &fo_region->warm[system_pages(size)][number % FO_WARM];
}

static bool may_be_warm(size_t size)
{
    return system_pages(size) < FO_WARM_SIZES;
}

/* The newest that has waited while KEEP_WARM others were freed: what was used last is still in the
 * processor's cache.  0: none. */
static uint32_t take_out(size_t size)
{
    uint32_t given = __atomic_load_n(&fo_region->warm_given[system_pages(size)], __ATOMIC_ACQUIRE);

    for (uint32_t age = KEEP_WARM + 1; age <= FO_WARM; age++) {
        uint32_t *at = warm_at(size, given - age);
        uint32_t page = FO_RELAXED_LOAD(at);
        if (page != 0 && (page = __atomic_exchange_n(at, 0, __ATOMIC_ACQ_REL)) != 0)
            return page;
    }
    return 0;
}

static size_t size_of(const struct fo_page *pg)
{
    return fo_word_size(FO_RELAXED_LOAD(&pg->word));
}

/* The memory of a run that this thread has goes back to the system.  It may have been longer when a
 * block was in it. */
static void release(uint32_t page)
{
    const struct fo_page *pg = fo_page_at(page);
    size_t size = (size_of(pg) + sizeof(struct fo_header) + 4095) & ~(size_t)4095;
    size_t most = (size_t)fo_page_run(pg) << FO_PAGE_SHIFT;

    fo_system_release(fo_page_start(page), size < most ? size : most, fo_region->shared);
    fo_run_give(page);
}

/* What is warm for another size, which it has had since it was put there, is released. */
static uint32_t take_warm(size_t size)
{
    uint32_t page = may_be_warm(size) ? take_out(size) : 0;
    struct fo_page *pg = fo_page_at(page);

    if (page == 0 || !fo_page_change(pg, FO_PAGE_WARM, fo_of_mine(FO_PAGE_MOVING)))
        return 0;
    if (system_pages(size_of(pg)) == system_pages(size))
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
    if (!fo_may_move())
        return 0;
    uint32_t page = take_warm(size);
    if (page == 0)
        page = fo_run_take(fo_large_pages(size));
    if (page == 0)
        return 0;
    struct fo_page *pg = fo_page_at(page);
    FO_RELAXED_STORE(&pg->word, (uint64_t)size << FO_SIZE_SHIFT);
    fo_page_change(pg, fo_of_mine(FO_PAGE_MOVING), FO_PAGE_BLOCK);
    return fo_page_start(page) + sizeof(struct fo_header);
}

/* What was in use, and is not. */
static void release_behind(uintptr_t payload, size_t size, size_t was)
{
    uintptr_t from = (payload + size + 4095) & ~(uintptr_t)4095;
    uintptr_t to = (payload + was + 4095) & ~(uintptr_t)4095;

    if (size < was && fo_options.wipe)
        explicit_bzero((void *)(payload + size), was - size);
    if (from < to)
        fo_system_release(from, to - from, fo_region->shared);
}

/* Much shorter, it moves: others may want its pages. */
bool fo_large_fit(uintptr_t payload, size_t size)
{
    uint32_t page = fo_page_number(payload), wanted = fo_large_pages(size);
    uint32_t has = fo_page_run(fo_page_at(page));

    if (size <= FO_REGION_SMALL || (has > 1 && wanted <= has / 2) ||
        (wanted > has && !(fo_may_move() && fo_run_extend(page, wanted))))
        return false;
    release_behind(payload, size, size_of(fo_page_at(page)));
    return true;
}

/* A warm run that has left the ring; without a cache it is left to whoever clears up. */
static void cool(uint32_t page)
{
    if (fo_may_move() && fo_page_change(fo_page_at(page), FO_PAGE_WARM, fo_of_mine(FO_PAGE_MOVING)))
        release(page);
}

/* Into the ring, and out of it what was there: it is the oldest. */
static uint32_t exchange_warm(size_t size, uint32_t page)
{
    uint32_t *given = &fo_region->warm_given[system_pages(size)];
    uint32_t *at = warm_at(size, __atomic_fetch_add(given, 1, __ATOMIC_ACQ_REL));

    return __atomic_exchange_n(at, page, __ATOMIC_ACQ_REL);
}

void fo_large_give(uintptr_t payload)
{
    uint32_t page = fo_page_number(payload);
    struct fo_page *pg = fo_page_at(page);
    size_t size = size_of(pg);

    if (!fo_page_change(pg, FO_PAGE_BLOCK, FO_PAGE_WARM))
        return;
    if (may_be_warm(size))
        page = exchange_warm(size, page);
    if (page != 0)
        cool(page);
}

void fo_large_cool(void)
{
    for (unsigned s = 0; s < FO_WARM_SIZES; s++)
        for (unsigned i = 0; i < FO_WARM; i++) {
            uint32_t page = __atomic_exchange_n(&fo_region->warm[s][i], 0, __ATOMIC_ACQ_REL);
            if (page != 0)
                cool(page);
        }
}

bool fo_large_can_be_found(uint32_t page)
{
    size_t size = size_of(fo_page_at(page));
    bool found = false;

    if (!may_be_warm(size))
        return false;
    for (uint32_t i = 0; i < FO_WARM; i++)
        found |= __atomic_load_n(warm_at(size, i), __ATOMIC_ACQUIRE) == page;
    return found;
}

void fo_large_go_on(uint32_t page, uint32_t gone)
{
    uint64_t what = __atomic_load_n(&fo_page_at(page)->what, __ATOMIC_ACQUIRE);

    if (fo_state_of(what) == FO_PAGE_WARM && !fo_large_can_be_found(page))
        cool(page);
    else if (fo_state_of(what) == FO_PAGE_MOVING && fo_cache_of(what) == gone)
        release(page);
    else if (fo_state_of(what) == FO_PAGE_BLOCK)
        fo_run_complete(page);
}
