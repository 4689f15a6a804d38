/* Blocks with pages of their own: OpenSSL's record buffers, of 16 to 18 KiB, and what is larger.
 * Most of a record buffer is never touched, so memory that is all zero and not there yet is worth
 * more than memory that was used before: what is freed goes back to the system.  A few freed runs
 * keep their memory for a while, so that a program that allocates and frees buffers in a loop does
 * not ask the system each time; they serve again first in first out. */
#include "backend/region.h"

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

/* Out of its place in the ring; 0: nothing is there. */
static uint32_t take_out(uint32_t *at)
{
    uint32_t page = __atomic_load_n(at, __ATOMIC_ACQUIRE);

    do
        __atomic_store_n(&fo_thread.cache->page, page, __ATOMIC_RELEASE);
    while (page != 0 &&
           !__atomic_compare_exchange_n(at, &page, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    return page;
}

/* The oldest, in a ring: what was given more than a round ago has been overwritten. */
static uint32_t take_warm(size_t size)
{
    uint32_t *taken = &fo_region->warm_taken[system_pages(size)];
    uint32_t before = FO_RELAXED_LOAD(taken), oldest;

    do {
        uint32_t given = FO_RELAXED_LOAD(&fo_region->warm_given[system_pages(size)]);
        uint32_t waiting = given - before < FO_WARM ? given - before : FO_WARM;
        if (waiting <= KEEP_WARM)
            return 0;
        oldest = given - waiting;
    } while (!__atomic_compare_exchange_n(taken, &before, oldest + 1, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
    return take_out(warm_at(size, oldest));
}

bool fo_large_is_warm(uint32_t page, uint32_t *changes)
{
    bool is = false;

    *changes = 0;
    for (unsigned s = 0; s < FO_WARM_SIZES; s++)
        *changes += __atomic_load_n(&fo_region->warm_given[s], __ATOMIC_ACQUIRE) +
                    __atomic_load_n(&fo_region->warm_taken[s], __ATOMIC_ACQUIRE);
    for (unsigned s = 0; s < FO_WARM_SIZES; s++)
        for (unsigned i = 0; i < FO_WARM; i++)
            is |= __atomic_load_n(&fo_region->warm[s][i], __ATOMIC_ACQUIRE) == page;
    return is;
}

uintptr_t fo_large_take(size_t size)
{
    size_t room = size + sizeof(struct fo_header);

    /* In which is said what is on its way: without one, others could not know. */
    if (fo_cache_own() == NULL && fo_region->shared)
        return 0;
    uint32_t page = may_be_warm(size) ? take_warm(size) : 0;
    if (page == 0)
        page = fo_region_take_run((uint32_t)((room + FO_PAGE_SIZE - 1) >> FO_PAGE_SHIFT));
    if (page == 0)
        return 0;
    struct fo_page *pg = &fo_region->page[page];
    FO_RELAXED_STORE(&pg->word, (uint64_t)size << FO_SIZE_SHIFT);
    __atomic_store_n(&pg->state, FO_PAGE_BLOCK, __ATOMIC_RELEASE);
    fo_page_arrived();
    return fo_page_start(page) + sizeof(struct fo_header);
}

void fo_large_release(uint32_t page)
{
    size_t size = fo_word_size(FO_RELAXED_LOAD(&fo_region->page[page].word));

    fo_region_release(fo_page_start(page),
                      (size + sizeof(struct fo_header) + 4095) & ~(size_t)4095);
    fo_region_give_run(page);
}

/* Its place in the ring, which is made free: what was there is the oldest. */
static uint32_t *place_for(size_t size)
{
    uint32_t *given = &fo_region->warm_given[system_pages(size)];
    uint32_t *at = warm_at(size, __atomic_fetch_add(given, 1, __ATOMIC_ACQ_REL));
    uint32_t oldest = take_out(at);

    if (oldest != 0)
        fo_large_release(oldest);
    return at;
}

void fo_large_give(uintptr_t payload)
{
    uint32_t page = fo_page_number(payload), none = 0;
    struct fo_page *pg = &fo_region->page[page];
    size_t size = fo_word_size(pg->word);

    fo_cache_own();
    uint32_t *at = may_be_warm(size) ? place_for(size) : NULL;
    __atomic_store_n(&fo_thread.cache->page, page, __ATOMIC_RELEASE);
    __atomic_store_n(&pg->state, FO_PAGE_FREED, __ATOMIC_RELEASE);
    if (at == NULL ||
        !__atomic_compare_exchange_n(at, &none, page, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        fo_large_release(page);
    fo_page_arrived();
}
