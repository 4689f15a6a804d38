/* Runs of pages: from the end of what is used, and those that were freed.  See region.h. */
#include "backend/region.h"

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

/* --- the end of what is used ---------------------------------------------------------------------
 */

/* A run begins where the last one ended: everybody sees to that. */
static void move_end(uint32_t from, uint32_t pages)
{
    __atomic_compare_exchange_n(&fo_region->pages, &from, from + pages, false, __ATOMIC_ACQ_REL,
                                __ATOMIC_RELAXED);
}

/* The same is written by whoever does it, and stays for ever. */
static void make_records(uint32_t at, uint32_t pages)
{
    for (uint32_t i = 1; i < pages; i++)
        __atomic_store_n(&fo_region->page[at + i].what, fo_what(i, FO_PAGE_INSIDE),
                         __ATOMIC_RELEASE);
}

/* It is there for all. */
static void advertise(uint32_t at, uint32_t pages)
{
    fo_set_add(&fo_region->runs[run_class(pages)], at);
}

/* Of how many pages it is, and that somebody has it, is said at once; then the end moves.  Somebody
 * who clears up after the dead may have been faster, and made it everybody's. */
static uint32_t claim(uint32_t at, uint32_t pages)
{
    struct fo_page *pg = &fo_region->page[at];
    uint64_t never = 0;

    if (!__atomic_compare_exchange_n(&pg->what, &never, fo_what(pages, FO_PAGE_MAKING), false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        move_end(at, fo_run_of(never));
        return 0;
    }
    move_end(at, pages);
    make_records(at, pages);
    return fo_page_change(pg, FO_PAGE_MAKING, fo_of_mine(FO_PAGE_MOVING)) ? at : 0;
}

static uint32_t fresh_run(unsigned class)
{
    uint32_t pages = run_pages(class), run = 0;

    while (run == 0) {
        uint32_t at = __atomic_load_n(&fo_region->pages, __ATOMIC_ACQUIRE);
        if (pages > fo_region->page_count - at ||
            !fo_region_commit((uint64_t)(at + pages) << FO_PAGE_SHIFT))
            return 0;
        run = claim(at, pages);
    }
    return run;
}

/* --- taking and giving ---------------------------------------------------------------------------
 */

static uint32_t freed_run(unsigned class)
{
    uint32_t at;

    do
        at = fo_set_take(&fo_region->runs[class], FO_RELAXED_LOAD(&fo_region->pages));
    while (at != 0 &&
           !fo_page_change(&fo_region->page[at], FO_PAGE_FREE, fo_of_mine(FO_PAGE_MOVING)));
    return at;
}

uint32_t fo_run_take(uint32_t pages)
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

void fo_run_give(uint32_t at)
{
    struct fo_page *pg = &fo_region->page[at];

    if (fo_page_change(pg, fo_of_mine(FO_PAGE_MOVING), FO_PAGE_FREE))
        advertise(at, fo_page_run(pg));
}

/* --- of those who are gone -----------------------------------------------------------------------
 */

void fo_run_go_on(uint32_t at)
{
    struct fo_page *pg = &fo_region->page[at];
    uint32_t pages = fo_page_run(pg);

    move_end(at, pages);
    if (fo_page_state(pg) == FO_PAGE_MAKING) {
        make_records(at, pages);
        fo_page_change(pg, FO_PAGE_MAKING, FO_PAGE_FREE);
    }
    if (fo_page_state(pg) == FO_PAGE_FREE)
        advertise(at, pages);
}

bool fo_run_can_be_found(uint32_t at)
{
    return fo_set_has(&fo_region->runs[run_class(fo_page_run(&fo_region->page[at]))], at);
}
