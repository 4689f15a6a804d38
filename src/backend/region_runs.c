/* Runs of pages: from the end of what is used, and those that were freed.  See region.h. */
#include "backend/region.h"

#include "fork/process.h"

void fo_page_arrived(void)
{
    __atomic_store_n(&fo_thread.cache->page, 0, __ATOMIC_RELEASE);
}

/* One size each up to 8 pages, then four to a doubling. */
static unsigned run_class(uint32_t pages)
{
    if (pages <= 8)
        return pages - 1;
    unsigned doubling = (unsigned)(31 - __builtin_clz(pages - 1)) - 3;
    return 8 + 4 * doubling + ((pages - 1) >> (doubling + 1)) % 4;
}

static uint32_t run_pages(unsigned class)
{
    if (class < 8)
        return class + 1;
    return (8u << (class - 8) / 4) + ((class - 8) % 4 + 1) * (2u << (class - 8) / 4);
}

/* Its length last: then it is a run. */
static bool make_run(uint32_t at, uint32_t pages)
{
    if (!fo_region_commit((uint64_t)(at + pages) << FO_PAGE_SHIFT))
        return false;
    for (uint32_t i = 1; i < pages; i++) {
        fo_region->page[at + i].pages = i;
        fo_region->page[at + i].state = FO_PAGE_INSIDE;
    }
    __atomic_store_n(&fo_region->page[at].pages, pages, __ATOMIC_RELEASE);
    return true;
}

/* Others see where it begins before it is this thread's, and how long it is going to be. */
static uint32_t fresh_run(unsigned class)
{
    uint32_t pages = run_pages(class), at = FO_RELAXED_LOAD(&fo_region->pages);
    struct fo_cache *cache = fo_thread.cache;

    FO_RELAXED_STORE(&cache->run, pages);
    do {
        if (pages > fo_region->page_count - at) {
            fo_page_arrived();
            return 0;
        }
        __atomic_store_n(&cache->page, at, __ATOMIC_RELEASE);
    } while (!__atomic_compare_exchange_n(&fo_region->pages, &at, at + pages, true,
                                          __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    return make_run(at, pages) ? at : 0;
}

static uint32_t freed_run(unsigned class)
{
    return fo_list_pop(&fo_region->runs[class], fo_region->page, sizeof *fo_region->page,
                       &fo_thread.cache->page);
}

uint32_t fo_region_take_run(uint32_t pages)
{
    if (pages == 0 || pages > fo_region->page_count)
        return 0;
    unsigned class = run_class(pages);
    uint32_t at = freed_run(class);
    if (at == 0)
        at = fresh_run(class);
    /* No more addresses: one that is too large. */
    while (at == 0 && ++class < FO_RUN_CLASSES)
        at = freed_run(class);
    return at;
}

bool fo_region_finish_run(uint32_t page, uint32_t pages)
{
    return pages != 0 && make_run(page, pages);
}

fo_list *fo_region_runs_of(uint32_t page)
{
    return &fo_region->runs[run_class(fo_region->page[page].pages)];
}

void fo_region_give_run(uint32_t page)
{
    fo_list_push(fo_region_runs_of(page), fo_region->page, sizeof *fo_region->page, page);
}
