/* What had somebody who is gone, killed at any instruction?  A cache that is taken over is not
 * trusted to be consistent: its bins are made anew, from the magazines that carry its number and
 * the cells in them that are not empty.  What was on its way into or out of a list is written down
 * in the cache; where it is by now, the lists and the caches of all others tell.
 *
 * What cannot be found again is the one block that was between a cell and the program. */
#include "backend/region_magazine.h"

#include <sched.h>
#include <string.h>

#include "fork/process.h"

/* Others need an instant to say what they have. */
enum { PATIENCE = 100 };

enum kind { MAGAZINE, PAGE };

static uint32_t *moving_of(struct fo_cache *cache, enum kind kind)
{
    return kind == MAGAZINE ? &cache->magazine : &cache->page;
}

static uint32_t count_caches(void)
{
    uint32_t used = FO_RELAXED_LOAD(&fo_region->caches);

    return used < fo_region->cache_count ? used : fo_region->cache_count;
}

static bool others_move(const struct fo_cache *cache, enum kind kind, uint32_t number)
{
    for (uint32_t i = 0, used = count_caches(); i < used; i++)
        if (&fo_region->cache[i] != cache &&
            __atomic_load_n(moving_of(&fo_region->cache[i], kind), __ATOMIC_ACQUIRE) == number)
            return true;
    return false;
}

static enum fo_listed look_for_magazine(uint32_t number, uint32_t changes[2])
{
    const struct fo_region *r = fo_region;
    const fo_list *lists[] = {&r->spare, &r->class[r->magazine[number].class].full};
    enum fo_listed is = FO_LISTED_NO;

    for (unsigned i = 0; i < 2 && is == FO_LISTED_NO; i++)
        is = fo_list_has(lists[i], r->magazine, sizeof *r->magazine, r->magazines, number,
                         &changes[i]);
    return is;
}

/* A run may wait with its memory, too. */
static enum fo_listed look_for_page(uint32_t number, uint32_t state, uint32_t changes[2])
{
    const struct fo_region *r = fo_region;
    bool run = state == FO_PAGE_NEVER || state == FO_PAGE_FREED;
    const fo_list *list = run ? fo_region_runs_of(number) : &r->class[r->page[number].class].pages;
    enum fo_listed is = fo_list_has(list, r->page, sizeof *r->page, r->pages, number, &changes[0]);

    return is == FO_LISTED_NO && run && fo_large_is_warm(number, &changes[1]) ? FO_LISTED_YES : is;
}

/* Of a page also what it is: nobody may make something else of it meanwhile. */
static enum fo_listed look(enum kind kind, uint32_t number, uint32_t changes[3])
{
    if (kind == MAGAZINE)
        return look_for_magazine(number, changes);
    changes[2] = __atomic_load_n(&fo_region->page[number].state, __ATOMIC_ACQUIRE);
    return look_for_page(number, changes[2], changes);
}

/* Is it in nobody's hands?  It must be in no list, and nobody else may be moving it, with the lists
 * unchanged before and after.  False: somebody else has it, or it cannot be told: then it is left
 * alone. */
static bool is_nobodys(const struct fo_cache *cache, enum kind kind, uint32_t number)
{
    uint32_t before[3] = {0, 0, 0}, after[3] = {0, 0, 0};

    for (int i = 0; i < PATIENCE; i++) {
        enum fo_listed is = look(kind, number, before);
        if (is == FO_LISTED_YES)
            return false;
        if (is == FO_LISTED_NO && !others_move(cache, kind, number) &&
            look(kind, number, after) == FO_LISTED_NO && memcmp(before, after, sizeof before) == 0)
            return true;
        sched_yield();
    }
    return false;
}

/* --- a magazine ----------------------------------------------------------------------------------
 */

static void recover_moving_magazine(struct fo_cache *cache, uint16_t me)
{
    uint32_t n = cache->magazine;
    uint16_t *owner = &fo_region->magazine[n].owner, nobody = 0;

    if (n == 0 || n >= FO_RELAXED_LOAD(&fo_region->magazines))
        return;
    uint16_t now = __atomic_load_n(owner, __ATOMIC_ACQUIRE);
    if (now != 0 && now != me)
        return;
    if (is_nobodys(cache, MAGAZINE, n))
        __atomic_compare_exchange_n(owner, &nobody, me, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    else if (now == me) /* it arrived where it was going */
        __atomic_compare_exchange_n(owner, &now, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Is what the cell holds really free?  A fork copies page by page while other threads go on, so
 * that in a child a cell may still hold what was handed out an instant later. */
static bool is_free(uintptr_t payload)
{
    struct fo_header *h = fo_header_of(payload);
    uint64_t word = FO_RELAXED_LOAD(&h->word);

    if (!FO_RELAXED_LOAD(&fo_hot.direct) || (word == 0 && FO_RELAXED_LOAD(&h->site) == 0))
        return true; /* never used; or its header is none of the region's affairs */
    enum fo_found state = fo_region_at(payload).state;
    if (state == FO_FOUND_HELD) /* its owner vanished while he freed it, and nobody else could */
        FO_RELAXED_STORE(&h->word, word ^ FO_REGION_HELD ^ FO_REGION_FREED);
    return state == FO_FOUND_FREED || state == FO_FOUND_HELD;
}

static bool holds_slot(uintptr_t payload)
{
    if (payload == 0)
        return false;
    const struct fo_page *pg = &fo_region->page[fo_page_number(payload)];
    uintptr_t offset = payload - sizeof(struct fo_header) - fo_page_start(fo_page_number(payload));
    return offset / fo_class_slot(pg->class) < FO_RELAXED_LOAD(&pg->used);
}

/* Its full cells first, in their order; false: there are none. */
static bool tidy(struct fo_magazine *m)
{
    struct fo_cell *to = fo_first_cell(m);

    for (struct fo_cell *from = to; !fo_cell_is_end(from); from++) {
        struct fo_cell cell = *from;
        FO_RELAXED_STORE(&from->payload, 0);
        if (!holds_slot(cell.payload) || !is_free(cell.payload))
            continue;
        to->freed = cell.freed;
        to->by = cell.by;
        __atomic_store_n(&to++->payload, cell.payload, __ATOMIC_RELEASE);
    }
    return to != fo_first_cell(m);
}

static void recover_magazines(struct fo_cache *cache, uint16_t me)
{
    uint32_t used = FO_RELAXED_LOAD(&fo_region->magazines);

    for (uint32_t n = 1; n < used; n++) {
        struct fo_magazine *m = &fo_region->magazine[n];
        if (__atomic_load_n(&m->owner, __ATOMIC_ACQUIRE) != me)
            continue;
        if (tidy(m))
            fo_magazine_queue(&cache->bins[m->class], n);
        else
            fo_magazine_spare(n);
    }
}

/* --- a page --------------------------------------------------------------------------------------
 */

static bool is_in_a_bin(uint32_t page)
{
    for (uint32_t i = 0, used = count_caches(); i < used; i++)
        for (unsigned c = 0; c < FO_REGION_CLASSES; c++)
            if (FO_RELAXED_LOAD(&fo_region->cache[i].bins[c].page) == page)
                return true;
    return false;
}

/* Whoever takes pages off the end says so before, and goes on saying so until their run is made.
 * So if it is not, and nobody else says so, they are the dead one's. */
static bool is_made(const struct fo_cache *cache, uint32_t page)
{
    const uint32_t *pages = &fo_region->page[page].pages;

    if (__atomic_load_n(pages, __ATOMIC_ACQUIRE) != 0)
        return true;
    return !others_move(cache, PAGE, page) && __atomic_load_n(pages, __ATOMIC_ACQUIRE) == 0 &&
           fo_region_finish_run(page, cache->run);
}

static void recover_moving_page(struct fo_cache *cache)
{
    uint32_t page = cache->page;

    if (page == 0 || page >= __atomic_load_n(&fo_region->pages, __ATOMIC_ACQUIRE) ||
        !is_made(cache, page))
        return;
    uint32_t state = FO_RELAXED_LOAD(&fo_region->page[page].state);
    if (state == FO_PAGE_BLOCK || state == FO_PAGE_INSIDE || is_in_a_bin(page))
        return;
    /* A page that is trimmed is in its list, or was taken off by somebody who left it to us. */
    bool trimmed = state == FO_PAGE_TRIM || state == FO_PAGE_TAKEN;
    if (trimmed ? !others_move(cache, PAGE, page) : is_nobodys(cache, PAGE, page))
        fo_page_go_on(page);
}

static void recover_pages(struct fo_cache *cache)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        uint32_t page = cache->bins[c].page;
        if (page == 0 || fo_region->page[page].state == FO_PAGE_OWNED)
            continue;
        fo_bin_abandon_page(&cache->bins[c]);
    }
}

void fo_cache_recover(struct fo_cache *cache)
{
    uint16_t me = (uint16_t)(cache - fo_region->cache + 1);

    recover_moving_magazine(cache, me);
    FO_RELAXED_STORE(&cache->magazine, 0);
    recover_moving_page(cache);
    FO_RELAXED_STORE(&cache->page, 0);
    recover_pages(cache);
    fo_cache_empty(cache);
    recover_magazines(cache, me);
}
