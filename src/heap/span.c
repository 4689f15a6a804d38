/* Slots in pages: fresh ones, and those that came back.  See region.h; called by the caches when a
 * magazine is empty, or when there are too many.
 *
 * Relaxed is what the owner of a page writes (the page's word orders it), and the record in a slot
 * (its bit orders it: tests/models/page-*.litmus).  The ring of idle pages is a hint. */
#include "heap/region.h"
#include "heap/system.h"

#include "base/hot.h"
#include "process/process.h"

/* --- a page's bitmap -----------------------------------------------------------------------------
 *
 * A process with one thread, whose heap is private, changes it without a locked instruction, which
 * takes longer than all else here: OPENSSL_cleanup() gives thousands of slots back.  On x86-64 one
 * instruction changes it, so that a signal handler finds it changed or not. */

/* Returns the word. */
static uint64_t set_bit(uint64_t *word, unsigned bit)
{
    uint64_t mask = UINT64_C(1) << bit;

    if (fo_hot_is_concurrent())
        return __atomic_fetch_or(word, mask, __ATOMIC_SEQ_CST) | mask;
    FO_HOT_OR(word, mask);
    return FO_RELAXED_LOAD(word);
}

static void clear_bit(uint64_t *word, unsigned bit)
{
    uint64_t others = ~(UINT64_C(1) << bit);

    if (fo_hot_is_concurrent())
        __atomic_fetch_and(word, others, __ATOMIC_ACQ_REL);
    else
        FO_HOT_AND(word, others);
}

/* -------------------------------------------------------------------------------------------------
 */

/* Add the page to the set of its class. */
static void advertise(uint32_t page)
{
    const struct fo_set pages = fo_partial_pages(fo_page_class(fo_page_at(page)));

    fo_set_add(&pages, page);
}

/* Make the page partial: from its owner's; or from FULL, by a thread that put a slot back. */
static void offer(uint32_t page, uint32_t from)
{
    if (fo_page_change(fo_page_at(page), from, FO_PAGE_PARTIAL))
        advertise(page);
}

/* --- taking ------------------------------------------------------------------------------------
 */

static uintptr_t slot_at(uint32_t page, unsigned class, uint32_t slot)
{
    return fo_page_start(page) + (uintptr_t)slot * fo_class_slot(class) + sizeof(struct fo_header);
}

/* A slot that was never handed out, for a cell.  Its memory is zero, also where the header will be.
 * If zeros are the valid header of a live block, another header is written. */
static uintptr_t make_slot(uint32_t page, unsigned class, uint32_t slot)
{
    uintptr_t payload = slot_at(page, class, slot);

    if (fo_unlikely(fo_region_check(fo_layout.key, payload, 0, 0) == 0))
        fo_header_clear(payload);
    return payload;
}

/* A slot that is back begins with the record of its free. */
struct back {
    fo_site freed;
    uint64_t by;
};
_Static_assert(sizeof(struct back) <= 16, "the smallest payload has room for it");

/* Each slot is in a cell before the next is taken. */
static unsigned take_returned(struct fo_cell **place, struct fo_cell *cell, uint32_t page,
                              unsigned class, unsigned room)
{
    uint64_t *bitmap = fo_bitmap_of(page);
    uint32_t used = fo_page_used(fo_page_at(page), class);
    unsigned taken = 0;

    for (uint32_t w = 0; w * 64 < used;) {
        uint64_t word = __atomic_load_n(&bitmap[w], __ATOMIC_ACQUIRE);
        if (word == 0) {
            w++;
            continue;
        }
        if (taken == room)
            break;
        unsigned bit = (unsigned)__builtin_ctzll(word);
        clear_bit(&bitmap[w], bit);
        if (fo_unlikely(w * 64 + bit >= fo_layout.class[class].slots)) {
            fo_region_drop();
            continue;
        }
        cell--;
        uintptr_t payload = slot_at(page, class, w * 64 + bit);
        const struct back *b = (const struct back *)payload;
        FO_RELAXED_STORE(&cell->freed, b->freed);
        FO_RELAXED_STORE(&cell->by, b->by);
        FO_RELAXED_STORE(&cell->payload, payload);
        __atomic_store_n(place, cell, __ATOMIC_RELEASE);
        taken++;
    }
    return taken;
}

/* For the fast path of frees.  It is written before `used`: if the thread dies in between, the next
 * one writes both again, and slots that are not used have no header. */
static void set_handed(uint32_t page, unsigned class, uint32_t count)
{
    __atomic_store_n(&fo_layout.ground[page].handed, fo_handed(fo_class_slot(class), count),
                     __ATOMIC_RELEASE);
}

/* The classes beside this coarse one are used from now on; fo_region_refine(). */
static void refine(unsigned class)
{
    uint64_t fine = UINT64_C(1) << class;

    if ((FO_RELAXED_LOAD(&fo_region->fine) & fine) == 0)
        __atomic_fetch_or(&fo_region->fine, fine, __ATOMIC_RELAXED);
}

/* In ascending order: neighbours in time are neighbours in memory. */
static unsigned take_fresh(struct fo_cell **place, struct fo_cell *behind, uint32_t page,
                           unsigned class, unsigned room)
{
    struct fo_page *pg = fo_page_at(page);
    uint32_t used = fo_page_used(pg, class);
    uint32_t count = fo_least(fo_layout.class[class].slots - used, room), end = used + count;

    /* Recovery ignores a slot in a cell if `used` does not count the slot. */
    for (uint32_t i = 1; i <= count; i++) {
        struct fo_cell *cell = behind - i;
        FO_RELAXED_STORE(&cell->freed, 0); /* the cell has the record of another block */
        FO_RELAXED_STORE(&cell->by, 0);
        FO_RELAXED_STORE(&cell->payload, make_slot(page, class, end - i));
    }
    set_handed(page, class, end);
    if (end * fo_class_slot(class) >= FO_COARSE_MOST)
        refine(class);
    __atomic_store_n(&pg->used, end, __ATOMIC_RELEASE);
    __atomic_store_n(place, behind - count, __ATOMIC_RELEASE);
    return count;
}

static bool has_returned(uint32_t page)
{
    const uint64_t *bitmap = fo_bitmap_of(page);
    const struct fo_page *pg = fo_page_at(page);
    uint32_t used = fo_page_used(pg, fo_page_class(pg));

    for (uint32_t w = 0; w * 64 < used; w++)
        if (__atomic_load_n(&bitmap[w], __ATOMIC_SEQ_CST) != 0)
            return true;
    return false;
}

/* The page may have changed since it was found: it may have become a run, and then slots of another
 * class, which other threads look for. */
static bool own(uint32_t page, uint32_t from, unsigned class)
{
    uint32_t owned = fo_state_owned(FO_PAGE_OWNED);

    if (!fo_page_change(fo_page_at(page), from, owned))
        return false;
    if (fo_likely(FO_RELAXED_LOAD(&fo_page_at(page)->class) == class))
        return true;
    offer(page, owned);
    return false;
}

/* No slot is left in the bin's page; if slots came back meanwhile, the bin keeps it. */
static void leave_page(struct fo_bin *bin, uint32_t page, unsigned class)
{
    fo_page_change(fo_page_at(page), fo_state_owned(FO_PAGE_OWNED), FO_PAGE_FULL);
    if (!has_returned(page) || !own(page, FO_PAGE_FULL, class))
        bin->page = 0;
}

/* Enter a page without a block in the ring of idle pages.  Returns the page that was idle for
 * longest and must give its memory back; 0: there was room. */
static uint32_t enter_idle(uint32_t page)
{
    uint32_t at = __atomic_fetch_add(&fo_region->idled, 1, __ATOMIC_RELAXED) % FO_IDLE;
    uint32_t oldest = __atomic_exchange_n(&fo_region->idle[at], page, __ATOMIC_RELAXED);

    FO_RELAXED_STORE(&fo_page_at(page)->idle, at + 1);
    return fo_bounded_page(oldest);
}

/* 1 and its place in fo_region.idle; 0: it has none. */
static uint32_t bounded_idle(uint32_t at)
{
    return fo_likely(at <= FO_IDLE) ? at : fo_region_drop();
}

static void leave_idle(uint32_t page)
{
    uint32_t at = bounded_idle(__atomic_exchange_n(&fo_page_at(page)->idle, 0, __ATOMIC_RELAXED));

    if (at != 0)
        __atomic_compare_exchange_n(&fo_region->idle[at - 1], &page, 0, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
}

static uint32_t partial_page(unsigned class)
{
    const struct fo_set pages = fo_partial_pages(class);
    uint32_t page;

    do
        page = fo_bounded_page(fo_set_take(&pages, fo_pages_in_use()));
    while (page != 0 && !own(page, FO_PAGE_PARTIAL, class));
    if (page != 0)
        leave_idle(page);
    return page;
}

/* If the bin has just used up one page, it will use up this one, too: all its memory at once. */
static uint32_t fresh_page(unsigned class, bool another)
{
    enum { YOUNG = 64 }; /* a heap of so many pages is one of a short process */
    uint32_t page = fo_run_take(1);

    if (page == 0)
        return 0;
    if (another && fo_layout.shared)
        fo_system_populate(fo_page_start(page), FO_PAGE_SIZE);
    struct fo_page *pg = fo_page_at(page);
    FO_RELAXED_STORE(&pg->class, (uint16_t) class);
    FO_RELAXED_STORE(&fo_layout.ground[page].bin, (uint16_t)(class * sizeof(struct fo_bin)));
    FO_RELAXED_STORE(&pg->used, 0);
    FO_RELAXED_STORE(&pg->ever, 0);
    FO_RELAXED_STORE(&pg->word, 0);
    if (page < YOUNG) /* a bitmap that is read before it is written costs two page faults */
        FO_RELAXED_STORE(&fo_bitmap_of(page)[0], 0);
    fo_page_change(pg, fo_state_owned(FO_PAGE_MOVING), fo_state_owned(FO_PAGE_OWNED));
    return page;
}

/* The bin's page, or another one that it gets; 0: there is none. */
static uint32_t page_of(struct fo_bin *bin, unsigned class, bool another)
{
    uint32_t page = fo_bounded_page(FO_RELAXED_LOAD(&bin->page));

    if (page == 0 && (page = partial_page(class)) == 0)
        page = fresh_page(class, another);
    bin->page = page;
    return page;
}

bool fo_slots_take(struct fo_bin *bin, struct fo_cell **place, struct fo_cell *behind,
                   unsigned class, unsigned room)
{
    uint32_t page;

    for (bool another = false; (page = page_of(bin, class, another)) != 0; another = true) {
        if (take_returned(place, behind, page, class, room) != 0) {
            fo_cache_raise_limits(bin, class);
            return true;
        }
        if (take_fresh(place, behind, page, class, room) != 0)
            return true;
        leave_page(bin, page, class);
    }
    return false;
}

void fo_slots_offer(struct fo_bin *bin)
{
    uint32_t page = fo_bounded_page(FO_RELAXED_LOAD(&bin->page));

    bin->page = 0;
    if (page != 0)
        offer(page, fo_state_owned(FO_PAGE_OWNED));
}

/* --- giving ------------------------------------------------------------------------------------
 */

static uint64_t all_of_word(uint32_t used, uint32_t w)
{
    uint32_t count = used - w * 64;

    return count >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1;
}

static bool are_all_back(uint32_t page)
{
    const uint64_t *bitmap = fo_bitmap_of(page);
    const struct fo_page *pg = fo_page_at(page);
    uint32_t used = fo_page_used(pg, fo_page_class(pg));

    for (uint32_t w = 0; w * 64 < used; w++)
        if (__atomic_load_n(&bitmap[w], __ATOMIC_SEQ_CST) != all_of_word(used, w))
            return false;
    return true;
}

/* Of slots that came into a cell, the last ones may never have been handed out: no header was
 * written there. */
static uint32_t count_handed_out(uint32_t page, unsigned class)
{
    const struct fo_page *pg = fo_page_at(page);
    uint32_t count = fo_page_used(pg, class);

    while (count > pg->ever && fo_header_is_clear(slot_at(page, class, count - 1)))
        count--;
    return count;
}

/* No slot of it is in use: its memory goes back to the system. */
static void decommit(uint32_t page)
{
    struct fo_page *pg = fo_page_at(page);
    uint64_t *bitmap = fo_bitmap_of(page);
    unsigned class = fo_page_class(pg);

    if (pg->used > pg->ever)
        FO_RELAXED_STORE(&pg->ever, (uint16_t)count_handed_out(page, class));
    set_handed(page, class, 0);
    for (unsigned i = 0; i < FO_BITMAP_WORDS; i++)
        FO_RELAXED_STORE(&bitmap[i], 0);
    FO_RELAXED_STORE(&pg->used, 0);
    fo_system_release(fo_page_start(page), FO_PAGE_SIZE, fo_layout.shared);
    leave_idle(page);
}

/* Slots of the same class may be taken from it again. */
static void offer_empty(uint32_t page)
{
    decommit(page);
    offer(page, fo_state_owned(FO_PAGE_EMPTYING));
}

/* It is a free run again. */
static void dissolve_empty(uint32_t page)
{
    decommit(page);
    fo_page_change(fo_page_at(page), fo_state_owned(FO_PAGE_EMPTYING),
                   fo_state_owned(FO_PAGE_MOVING));
    fo_run_release(page);
}

static bool is_idle(uint32_t page)
{
    return fo_page_state(fo_page_at(page)) == FO_PAGE_PARTIAL && are_all_back(page);
}

/* While this thread owns it, none of its slots that are back is taken again.  But other slots may
 * come back meanwhile.  True: it is idle again. */
static bool trim(uint32_t page, void (*emptied)(uint32_t))
{
    uint32_t owned = fo_state_owned(FO_PAGE_OWNED);

    if (!fo_page_change(fo_page_at(page), FO_PAGE_PARTIAL, owned))
        return false;
    if (are_all_back(page) &&
        fo_page_change(fo_page_at(page), owned, fo_state_owned(FO_PAGE_EMPTYING))) {
        emptied(page);
        return false;
    }
    offer(page, owned);
    return is_idle(page);
}

/* No block is in this page: it keeps its memory, and the one that was idle for longest does not. */
static void keep_idle(uint32_t page)
{
    uint32_t oldest;

    do {
        leave_idle(page);
        oldest = page = enter_idle(page);
    } while (oldest != 0 && fo_cache_can_own_pages() && trim(oldest, offer_empty));
}

void fo_slots_dissolve(uint32_t page)
{
    if (is_idle(page) && trim(page, dissolve_empty))
        keep_idle(page);
}

static uint32_t slot_number(uintptr_t payload)
{
    uint32_t page = fo_page_number(payload);

    return (uint32_t)(payload - fo_page_start(page)) / fo_class_slot(fo_class_at(payload));
}

bool fo_slot_is_start(uintptr_t payload)
{
    uintptr_t start = payload - sizeof(struct fo_header);

    if (start - fo_layout.base >= fo_region_committed() || fo_page_number(start) == 0)
        return fo_region_drop() != 0;
    unsigned class = fo_class_at(start);
    uint32_t size = fo_class_slot(class),
             at = (uint32_t)(start - fo_page_start(fo_page_number(start)));
    return (at % size == 0 && at / size < fo_layout.class[class].slots) || fo_region_drop() != 0;
}

bool fo_slot_is_back(uintptr_t payload)
{
    uint32_t slot = slot_number(payload);
    uint64_t word =
        __atomic_load_n(&fo_bitmap_of(fo_page_number(payload))[slot / 64], __ATOMIC_ACQUIRE);

    return (word >> slot % 64 & 1) != 0;
}

void fo_slot_release(const struct fo_cell *freed)
{
    uintptr_t payload = freed->payload;

    if (!fo_cell_is_sound(payload))
        return;
    uint32_t page = fo_page_number(payload), slot = slot_number(payload);
    struct fo_page *pg = fo_page_at(page);
    struct back *b = (struct back *)payload;

    FO_RELAXED_STORE(&b->freed, freed->freed);
    FO_RELAXED_STORE(&b->by, freed->by);
    uint64_t word = set_bit(&fo_bitmap_of(page)[slot / 64], slot % 64);
    offer(page, FO_PAGE_FULL);
    if (word == all_of_word(FO_RELAXED_LOAD(&pg->used), slot / 64) && is_idle(page))
        keep_idle(page);
}

/* --- recovery ------------------------------------------------------------------------------------
 */

/* The thread that emptied it, or took it out of the ring of idle pages, may have died. */
static void recover_partial(uint32_t page)
{
    uint32_t at = bounded_idle(FO_RELAXED_LOAD(&fo_page_at(page)->idle));
    bool waits = at != 0 && FO_RELAXED_LOAD(&fo_region->idle[at - 1]) == page;

    advertise(page);
    if (!waits && FO_RELAXED_LOAD(&fo_page_at(page)->used) != 0 && is_idle(page))
        keep_idle(page);
}

void fo_slots_recover(uint32_t page, uint32_t gone)
{
    uint64_t what = __atomic_load_n(&fo_page_at(page)->what, __ATOMIC_ACQUIRE);
    bool is_orphan = fo_cache_of(what) == gone;

    if (fo_state_of(what) == FO_PAGE_PARTIAL)
        recover_partial(page);
    else if (fo_state_of(what) == FO_PAGE_FULL && has_returned(page))
        offer(page, FO_PAGE_FULL);
    else if (fo_state_of(what) == FO_PAGE_OWNED && is_orphan)
        offer(page, fo_state_owned(FO_PAGE_OWNED));
    else if (fo_state_of(what) == FO_PAGE_EMPTYING && is_orphan)
        offer_empty(page);
}

bool fo_slots_can_be_found(uint32_t page)
{
    const struct fo_page *pg = fo_page_at(page);
    const struct fo_set partial = fo_partial_pages(fo_page_class(pg));
    uint64_t what = pg->what;

    switch (fo_state_of(what)) {
    case FO_PAGE_PARTIAL:
        return fo_set_has(&partial, page);
    case FO_PAGE_FULL:
        return !has_returned(page);
    case FO_PAGE_OWNED:
        return fo_cache_of(what) != 0 &&
               fo_cache_at(fo_cache_of(what) - 1)->bins[pg->class].page == page;
    default:
        return false;
    }
}
