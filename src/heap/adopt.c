/* Recover what an owner held when it was killed, at any instruction.  An adopted cache is not
 * trusted to be consistent: its bins are made anew, from the magazines that carry its number and
 * the cells in them that are not empty.  Then one pass over all pages finishes or undoes what the
 * owner began: the word of each page has its state and its owner (page.h).
 *
 * One block can be lost: the one that was between a cell and the program.
 *
 * Relaxed: the adopting thread owns the cache and all that carries its number; it acquired that
 * with the cache's owner. */
#include "heap/magazine.h"

#include "process/process.h"

/* --- magazines -----------------------------------------------------------------------------------
 */

/* The header was overwritten while the slot was free: report it.  The slot counts as never used. */
static void reset_header(const struct fo_cell *cell)
{
    fo_cell_check(cell);
    fo_header_clear(cell->payload);
}

/* Is the slot in the cell really free?  In doubt, the program owns it. */
static bool is_free(const struct fo_cell *cell)
{
    struct fo_header *h = fo_header_of(cell->payload);
    uint64_t word = FO_RELAXED_LOAD(&h->word);

    if (!FO_RELAXED_LOAD(&fo_hot.direct) || fo_header_is_clear(cell->payload))
        return true; /* never used; or the region does not judge its header */
    enum fo_found state = fo_region_at(cell->payload).state;
    if (state == FO_FOUND_HELD) /* the owner died while it freed the block */
        FO_RELAXED_STORE(&h->word, word ^ FO_REGION_HELD ^ FO_REGION_FREED);
    else if (state == FO_FOUND_DAMAGED)
        reset_header(cell);
    return state != FO_FOUND_LIVE;
}

static bool holds_slot(uintptr_t payload)
{
    if (payload == 0 || !fo_cell_is_sound(payload))
        return false;
    const struct fo_page *pg = fo_page_at(fo_page_number(payload));
    unsigned class = fo_page_class(pg);
    uintptr_t offset = payload - sizeof(struct fo_header) - fo_page_start(fo_page_number(payload));
    return offset / fo_class_slot(class) < fo_page_used(pg, class);
}

/* The put magazine is full, or there is none: magazine `n` takes its place. */
static void replace_put(struct fo_bin *bin, uint32_t n)
{
    uint32_t full = fo_magazine_of(fo_bounded_cell(&bin->put));

    if (full != 0)
        fo_magazine_queue(bin, full);
    __atomic_store_n(&bin->put, fo_magazine_first(n), __ATOMIC_RELEASE);
}

/* Move free slots into the put magazine: a dead owner leaves magazines that are nearly empty, and
 * their slots fit into few. */
static void merge_magazine(struct fo_bin *bin, uint32_t n)
{
    for (struct fo_cell *from = fo_magazine_first(n); !fo_cell_is_end(from); from++) {
        struct fo_cell cell = *from;
        FO_RELAXED_STORE(&from->payload, 0);
        if (!holds_slot(cell.payload) || !is_free(&cell))
            continue;
        if (fo_cell_is_end(fo_bounded_cell(&bin->put)))
            replace_put(bin, n);
        struct fo_cell *put = fo_bounded_cell(&bin->put);
        put->freed = cell.freed;
        put->by = cell.by;
        __atomic_store_n(&put->payload, cell.payload, __ATOMIC_RELEASE);
        __atomic_store_n(&bin->put, put + 1, __ATOMIC_RELEASE);
    }
    if (fo_magazine_of(fo_bounded_cell(&bin->put)) != n)
        fo_magazine_spare(n);
}

static void recover_magazines(struct fo_cache *cache, uint32_t number)
{
    uint32_t used = fo_magazines_in_use();

    for (uint32_t n = FO_FIRST_MAGAZINE; n < used; n++)
        if (fo_magazine_recover(n, number))
            merge_magazine(&cache->bins[fo_magazine_class(fo_magazine_at(n))], n);
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++)
        fo_magazine_advance(&cache->bins[c], c);
}

/* --- pages ---------------------------------------------------------------------------------------
 */

static void recover_page(uint32_t page, uint32_t gone)
{
    enum fo_page_state state = fo_page_state(fo_page_at(page));

    if (fo_has_slots(state))
        fo_slots_recover(page, gone);
    else if (state == FO_PAGE_MOVING || state == FO_PAGE_WARM || state == FO_PAGE_BLOCK)
        fo_large_recover(page, gone);
    else if (state == FO_PAGE_MAKING || state == FO_PAGE_HALVING || state == FO_PAGE_FREE)
        fo_run_recover(page);
}

void fo_pages_recover(uint32_t gone)
{
    for (uint32_t page = 1; fo_page_is_used(page); page = fo_next_run(page))
        recover_page(page, gone);
}

void fo_cache_recover_magazines(struct fo_cache *cache)
{
    fo_cache_empty(cache);
    recover_magazines(cache, fo_cache_number(cache));
}

/* Cells before pages: a cell may hold a slot that its page does not count as used.  No other thread
 * may take that slot meanwhile. */
void fo_cache_recover(struct fo_cache *cache)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++)
        FO_RELAXED_STORE(&cache->bins[c].page, 0);
    fo_cache_recover_magazines(cache);
    fo_pages_recover(fo_cache_number(cache));
}
