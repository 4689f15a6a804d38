/* Runs of pages: from the end of what is used, and those that were freed.  See region.h. */
#include "heap/region.h"

/* A class for each size up to 8 pages, then four to a doubling. */
static unsigned run_class(uint32_t pages)
{
    if (pages <= 8)
        return pages - 1;
    unsigned doubling = (unsigned)(31 - __builtin_clz(pages - 1)) - 3;
    return 8 + 4 * doubling + ((pages - 1) >> (doubling + 1)) % 4;
}

enum { DOUBLINGS = (FO_RUN_CLASSES - 8) / 4 };

static uint32_t run_pages(unsigned class)
{
    if (class < 8)
        return class + 1;
    unsigned doubling = (class - 8) / 4 % DOUBLINGS, step = (class - 8) % 4 + 1;
    return (8u << doubling) + step * (2u << doubling);
}

/* The largest run of a class, of no more than so many pages. */
static uint32_t largest_run(uint32_t most)
{
    unsigned class = run_class(most);

    return run_pages(class) == most ? most : run_pages(class - 1);
}

/* --- the end of what is used ---------------------------------------------------------------------
 */

/* A run begins where the last one ended: any thread may move the end behind it.  A failure is
 * relaxed: another thread has moved it. */
static void move_end(uint32_t from, uint32_t pages)
{
    __atomic_compare_exchange_n(&fo_region->pages, &from, from + pages, false, __ATOMIC_ACQ_REL,
                                __ATOMIC_RELAXED);
}

static uint64_t what_of(uint32_t page)
{
    return __atomic_load_n(&fo_page_at(page)->what, __ATOMIC_SEQ_CST);
}

static bool become(uint32_t page, uint64_t from, uint64_t to)
{
    return __atomic_compare_exchange_n(&fo_page_at(page)->what, &from, to, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

/* As long as the run's word is `is`, the page so many behind it becomes INSIDE.  Any thread may do
 * that, and be late: the page's word is read before the run's word, and counts turns.  False:
 * another thread is done with the run. */
static bool make_inside(uint32_t at, uint64_t is, uint32_t behind)
{
    for (;;) {
        uint64_t before = what_of(at + behind);
        if (fo_state_of(before) == FO_PAGE_INSIDE && fo_run_of(before) == behind)
            return true;
        if (what_of(at) != is)
            return false;
        if (become(at + behind, before, fo_next_what(before, behind, FO_PAGE_INSIDE)))
            return true;
    }
}

/* Add the run to the set of its size. */
static void advertise(uint32_t at, uint32_t pages)
{
    const struct fo_set runs = fo_free_runs(run_class(pages));

    fo_set_add(&runs, at);
}

/* A run that is MAKING becomes this.  False: another thread is done with it. */
static bool finish(uint32_t at, uint64_t is, uint32_t to)
{
    for (uint32_t i = 1; i < fo_bounded_run(at, is); i++)
        if (!make_inside(at, is, i))
            return false;
    return become(at, is, (is & ~(uint64_t)UINT32_MAX) | to);
}

/* One write sets the length of the run and its state MAKING; then the end moves.  A thread that
 * recovers it may have been faster, and made it free.  False: this thread did not get it. */
static bool claim(uint32_t at, uint32_t pages, uint32_t to)
{
    uint64_t making = fo_next_what(0, pages, FO_PAGE_MAKING);

    if (!become(at, 0, making)) {
        move_end(at, fo_run_at(at));
        return false;
    }
    move_end(at, pages);
    return finish(at, making, to);
}

/* How many of so many pages from here are the heap's, or, if the first is foreign, foreign? */
static uint32_t count_alike(uint32_t at, uint32_t pages)
{
    bool owned = fo_page_is_owned(at);
    uint32_t count = 1;

    while (count < pages && fo_page_is_owned(at + count) == owned)
        count++;
    return count;
}

/* Foreign pages, or the pages in front of them, which are too few, become a run. */
static void leave_out(uint32_t at, uint32_t pages)
{
    if (!fo_page_is_owned(at)) {
        claim(at, pages, FO_PAGE_BLOCKED);
        return;
    }
    if (claim(at, largest_run(pages), fo_state_owned(FO_PAGE_MOVING)))
        fo_run_release(at);
}

/* Claim a run of pages at the end of what is used.  False: some are foreign, or another thread was
 * faster, or there is no memory: *full. */
static bool claim_at_end(uint32_t at, uint32_t pages, bool *full)
{
    *full = pages > fo_layout.page_count - at ||
            !fo_region_commit((uint64_t)(at + pages) << FO_PAGE_SHIFT);
    if (*full)
        return false;
    uint32_t alike = count_alike(at, pages);
    if (fo_likely(alike == pages && fo_page_is_owned(at)))
        return claim(at, pages, fo_state_owned(FO_PAGE_MOVING));
    leave_out(at, alike);
    return false;
}

static uint32_t fresh_run(unsigned class)
{
    bool full = false;

    while (!full) {
        uint32_t at = fo_pages_in_use();
        if (at == 0)
            return fo_region_drop();
        if (claim_at_end(at, run_pages(class), &full))
            return at;
    }
    return 0;
}

/* --- halves --------------------------------------------------------------------------------------
 */

/* Each step is done once, by the thread that comes first.  A page that is no longer as before the
 * step has taken it, and may be anything by now. */
static bool step(uint32_t at, uint64_t is, uint32_t page, uint64_t from, uint64_t to)
{
    uint64_t before = what_of(page);

    if (fo_run_of(before) != fo_run_of(from) || fo_state_of(before) != fo_state_of(from))
        return true;
    if (what_of(at) != is)
        return false;
    become(page, before, fo_next_what(before, fo_run_of(to), fo_state_of(to)));
    return true;
}

/* A run that is HALVING: the second half gets a word of its own, then the pages behind it; then the
 * first half is free.  The thread that frees it finishes the second half. */
static void finish_halving(uint32_t at, uint64_t is)
{
    uint32_t pages = fo_bounded_run(at, is), half = pages / 2;
    bool same = half != 0 && step(at, is, at + half, fo_what(half, FO_PAGE_INSIDE),
                                  fo_what(pages - half, FO_PAGE_MAKING));

    for (uint32_t i = half + 1; same && i < pages; i++)
        same = step(at, is, at + i, fo_what(i, FO_PAGE_INSIDE), fo_what(i - half, FO_PAGE_INSIDE));
    if (!same || !become(at, is, fo_next_what(is, half, FO_PAGE_FREE)))
        return;
    advertise(at, half);
    fo_run_recover(at + half);
}

/* Halve a run of this thread; both halves become free.  Half the size of a class is one, too. */
static void halve(uint32_t at)
{
    uint64_t before = what_of(at);
    uint64_t halving = fo_next_what(before, fo_run_of(before), FO_PAGE_HALVING);

    become(at, before, halving);
    finish_halving(at, halving);
}

/* --- taking and giving ---------------------------------------------------------------------------
 */

/* Claim a free run, which may have become longer or shorter since it was found in this set. */
static bool claim_free(uint32_t at, unsigned class)
{
    struct fo_page *pg = fo_page_at(at);

    if (!fo_page_change(pg, FO_PAGE_FREE, fo_state_owned(FO_PAGE_MOVING)))
        return false;
    if (fo_likely(fo_run_at(at) == run_pages(class)))
        return true;
    fo_run_release(at);
    return false;
}

static uint32_t freed_run(unsigned class)
{
    const struct fo_set runs = fo_free_runs(class);
    uint32_t at;

    do
        at = fo_bounded_page(fo_set_take(&runs, fo_pages_in_use()));
    while (at != 0 && !claim_free(at, class));
    return at;
}

static uint32_t take(unsigned class)
{
    uint32_t at = freed_run(class);

    if (at == 0)
        at = fresh_run(class);
    /* No more addresses: take a run that is too large. */
    while (at == 0 && ++class < FO_RUN_CLASSES)
        at = freed_run(class);
    return at;
}

/* Is a half of it enough? */
static bool is_twice(uint32_t at, uint32_t wanted)
{
    uint32_t pages = fo_run_at(at);

    return pages > wanted && pages - pages / 2 >= wanted;
}

uint32_t fo_run_take(uint32_t pages)
{
    if (pages == 0 || pages > fo_layout.page_count)
        return 0;
    unsigned class = run_class(pages);
    uint32_t at = take(class);
    for (; at != 0 && is_twice(at, run_pages(class)); at = take(class))
        halve(at);
    return at;
}

void fo_run_release(uint32_t at)
{
    struct fo_page *pg = fo_page_at(at);

    if (fo_page_change(pg, fo_state_owned(FO_PAGE_MOVING), FO_PAGE_FREE))
        advertise(at, fo_run_at(at));
}

/* --- neighbours ----------------------------------------------------------------------------------
 */

/* Pages of the free runs from here on, as many as are wanted, or a few more; 0: fewer. */
static uint32_t free_pages_at(uint32_t at, uint32_t wanted)
{
    uint32_t pages = 0;

    while (pages < wanted || run_pages(run_class(pages)) != pages) {
        if (pages >= 2 * wanted || !fo_page_is_used(at + pages))
            return 0;
        uint64_t what = what_of(at + pages);
        if (fo_state_of(what) != FO_PAGE_FREE)
            return 0;
        pages += fo_bounded_run(at + pages, what);
    }
    return pages;
}

static void release_all(uint32_t from, uint32_t to)
{
    for (uint32_t at = from, next; at < to; at = next) {
        next = fo_next_run(at);
        fo_run_release(at);
    }
}

/* This thread claims all runs there.  False: another thread was faster. */
static bool claim_all(uint32_t from, uint32_t to)
{
    uint32_t at = from;

    while (at < to && fo_page_change(fo_page_at(at), FO_PAGE_FREE, fo_state_owned(FO_PAGE_MOVING)))
        at = fo_next_run(at);
    if (at != to)
        release_all(from, at);
    return at == to;
}

/* As soon as the word of the first has the new length, any thread can finish the join. */
static bool join(uint32_t at, uint32_t pages)
{
    if (!claim_all(at, at + pages))
        return false;
    uint64_t before = what_of(at), making = fo_next_what(before, pages, FO_PAGE_MAKING);
    become(at, before, making);
    if (finish(at, making, FO_PAGE_FREE))
        advertise(at, pages);
    return true;
}

bool fo_run_join(uint32_t wanted)
{
    if (wanted == 0 || wanted > fo_layout.page_count)
        return false;
    for (uint32_t at = 1; fo_page_is_used(at); at = fo_next_run(at)) {
        uint32_t pages = free_pages_at(at, run_pages(run_class(wanted)));
        if (pages > fo_run_at(at) && join(at, pages))
            return true;
    }
    return false;
}

/* --- growing in place ----------------------------------------------------------------------------
 */

/* Claim what begins here, if it is free; returns its pages, at most so many; 0: none. */
static uint32_t claim_next(uint32_t at, uint32_t most)
{
    bool full;

    for (;;) {
        if (at >= fo_layout.page_count)
            return 0;
        if (at >= fo_region_committed() >> FO_PAGE_SHIFT || what_of(at) == 0)
            return claim_at_end(at, largest_run(most), &full) ? largest_run(most) : 0;
        if (!fo_page_change(fo_page_at(at), FO_PAGE_FREE, fo_state_owned(FO_PAGE_MOVING)))
            return 0;
        uint32_t pages = fo_run_at(at);
        if (pages <= most)
            return pages;
        halve(at);
    }
}

/* One write puts the new length into the block's word.  Then the pages behind become INSIDE; any
 * thread may do that. */
static void absorb(uint32_t at, uint32_t pages)
{
    uint64_t before = what_of(at);

    become(at, before, fo_next_what(before, pages, FO_PAGE_BLOCK));
    fo_run_complete(at);
}

bool fo_run_extend(uint32_t at, uint32_t wanted)
{
    if (wanted > fo_layout.page_count)
        return false;
    uint32_t behind = fo_next_run(at), next = behind, end = at + run_pages(run_class(wanted));

    while (next < end) {
        uint32_t pages = claim_next(next, end - next);
        if (pages == 0) {
            release_all(behind, next);
            return false;
        }
        next += pages;
    }
    if (end > behind)
        absorb(at, end - at);
    return true;
}

/* --- recovery ------------------------------------------------------------------------------------
 */

void fo_run_complete(uint32_t at)
{
    uint64_t is = what_of(at);
    bool same = fo_state_of(is) == FO_PAGE_BLOCK;

    for (uint32_t i = 1; same && i < fo_bounded_run(at, is); i++)
        same = make_inside(at, is, i);
}

void fo_run_recover(uint32_t at)
{
    uint64_t is = what_of(at);

    move_end(at, fo_bounded_run(at, is));
    if (fo_state_of(is) == FO_PAGE_MAKING)
        finish(at, is, fo_page_is_owned(at) ? FO_PAGE_FREE : FO_PAGE_BLOCKED);
    else if (fo_state_of(is) == FO_PAGE_HALVING)
        finish_halving(at, is);
    is = what_of(at);
    if (fo_state_of(is) == FO_PAGE_FREE)
        advertise(at, fo_bounded_run(at, is));
}

bool fo_run_can_be_found(uint32_t at)
{
    const struct fo_set runs = fo_free_runs(run_class(fo_run_at(at)));

    return fo_set_has(&runs, at);
}
