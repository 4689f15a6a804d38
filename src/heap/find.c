/* What is at this address of the region?  The answer comes from page, slot boundary and header, for
 * any address: all memory of the region can be read.  Called for reports, and for frees that take
 * the slow path.
 *
 * Relaxed is what the page's word or the header's word, both acquired, order; and what a report
 * prints of a block that is used again at this moment, which no order would make sure. */
#include "heap/region.h"

#include "process/process.h"

static struct fo_at damaged(uintptr_t payload)
{
    return (struct fo_at){FO_FOUND_DAMAGED, payload, 0, 0};
}

/* The header in front of `payload`.  A large block's check bits are inverted, so that the hooks'
 * fast path leaves it to the slow one.  The word is acquired: a block that is marked as freed has
 * the record of its free, which find_free() reads (tests/models/free-record.litmus). */
static struct fo_at judge_header(uintptr_t payload, bool large)
{
    const struct fo_header *h = fo_header_of(payload);
    fo_site site = FO_RELAXED_LOAD(&h->site); /* the check bits tell if it is not the word's */
    uint64_t word = __atomic_load_n(&h->word, __ATOMIC_ACQUIRE) ^ (large ? FO_REGION_LARGE : 0);
    uint64_t flipped = fo_region_freed_word(fo_layout.key, payload, site, word);

    if (flipped == 0)
        return (struct fo_at){FO_FOUND_LIVE, payload, word, site};
    if (flipped == FO_REGION_FREED)
        return (struct fo_at){FO_FOUND_FREED, payload, word ^ FO_REGION_FREED, site};
    if (flipped == FO_REGION_HELD)
        return (struct fo_at){FO_FOUND_HELD, payload, word ^ FO_REGION_HELD, site};
    return damaged(payload);
}

static struct fo_at nothing(void)
{
    return (struct fo_at){FO_FOUND_NOTHING, 0, 0, 0};
}

/* One damaged header in 32,768 has valid check bits: its size counts only if such a block may be
 * here. */
static bool can_be_of_class(size_t size, unsigned class)
{
    if (size - 1 >= FO_REGION_SMALL)
        return false;
    unsigned exact = fo_region_class_of(size);
    return class == exact || class == fo_class_coarse(exact);
}

/* The slot was handed out before its page gave its memory back.  No more is known of it. */
static struct fo_at gone(unsigned class, uintptr_t payload)
{
    return (struct fo_at){FO_FOUND_GONE, payload,
                          (uint64_t)fo_class_payload(class) << FO_SIZE_SHIFT, 0};
}

static struct fo_at find_slot(const struct fo_page *pg, uintptr_t start, uintptr_t p)
{
    unsigned class = fo_page_class(pg);
    uint32_t size = fo_class_slot(class), slot = (uint32_t)(p - start) / size;
    uintptr_t payload = start + (uintptr_t)slot * size + sizeof(struct fo_header);

    if (slot >= fo_layout.class[class].slots)
        return nothing();
    if (slot >= FO_RELAXED_LOAD(&pg->used)) /* no block begins, whatever is there */
        return slot < FO_RELAXED_LOAD(&pg->ever) ? gone(class, payload) : nothing();
    struct fo_at at = judge_header(payload, false);
    if (at.state != FO_FOUND_DAMAGED && !can_be_of_class(fo_word_size(at.word), class))
        return damaged(payload);
    return at;
}

/* The run is no block.  The page had slots once, and no block of the run has reached it since.  Its
 * memory is not read. */
static struct fo_at find_former_slot(uintptr_t p)
{
    const struct fo_page *pg = fo_page_at(fo_page_number(p));
    unsigned class = fo_page_class(pg);
    uintptr_t start = fo_page_start(fo_page_number(p));
    uint32_t size = fo_class_slot(class), slot = (uint32_t)(p - start) / size;

    if (slot >= FO_RELAXED_LOAD(&pg->ever))
        return nothing();
    return gone(class, start + (uintptr_t)slot * size + sizeof(struct fo_header));
}

/* While its holder resizes a block, the page's word has the old state.  What is read of the header
 * counts only if the page's word is the same afterwards, and the size fits. */
static struct fo_at judge_block(const struct fo_page *pg, uintptr_t payload)
{
    size_t most = (size_t)fo_run_at(fo_page_number(payload)) << FO_PAGE_SHIFT;

    for (;;) {
        uint64_t word = __atomic_load_n(&pg->word, __ATOMIC_ACQUIRE);
        if ((word & FO_REGION_DEAD) != 0)
            return (struct fo_at){FO_FOUND_HELD, payload, word ^ FO_REGION_HELD,
                                  FO_RELAXED_LOAD(&pg->allocated)};
        struct fo_at at = judge_header(payload, true);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (FO_RELAXED_LOAD(&pg->word) != word)
            continue;
        size_t size = fo_word_size(word);
        return fo_word_size(at.word) == size && size <= most - sizeof(struct fo_header)
                   ? at
                   : damaged(payload);
    }
}

static struct fo_at find_large(const struct fo_page *pg, uintptr_t start, uintptr_t p)
{
    uintptr_t payload = start + sizeof(struct fo_header);
    uint64_t word = FO_RELAXED_LOAD(&pg->word);

    if (fo_page_state(pg) == FO_PAGE_BLOCK)
        return judge_block(pg, payload);
    if (word == 0 || p - start >= 2 * sizeof(struct fo_header) + fo_word_size(word))
        return find_former_slot(p);
    return (struct fo_at){FO_FOUND_FREED, payload, word, FO_RELAXED_LOAD(&pg->allocated)};
}

/* The first page of the run that p is in, and what it is; 0: p is in none. */
static uint32_t find_run(uintptr_t p, enum fo_page_state *state)
{
    uint32_t page = fo_page_number(p);

    if (p - fo_layout.base >= fo_region_committed() || !fo_page_is_owned(page))
        return 0;
    uint64_t what = __atomic_load_n(&fo_page_at(page)->what, __ATOMIC_ACQUIRE);
    while (fo_state_of(what) == FO_PAGE_INSIDE) {
        uint32_t back = fo_run_of(what);
        if (fo_unlikely(back == 0 || back > page)) {
            fo_region_drop();
            return 0;
        }
        page -= back;
        what = __atomic_load_n(&fo_page_at(page)->what, __ATOMIC_ACQUIRE);
    }
    *state = fo_state_of(what);
    return *state == FO_PAGE_NEVER ? 0 : page;
}

struct fo_at fo_region_at(uintptr_t p)
{
    enum fo_page_state state;
    uint32_t page = find_run(p, &state);

    if (page == 0)
        return nothing();
    const struct fo_page *pg = fo_page_at(page);
    return fo_has_slots(state) ? find_slot(pg, fo_page_start(page), p)
                               : find_large(pg, fo_page_start(page), p);
}

struct fo_at fo_region_in_front(uintptr_t p)
{
    enum fo_page_state state;
    uint32_t page = find_run(p, &state);

    uintptr_t start = fo_page_start(page != 0 ? page : fo_page_number(p));
    if (page == 0 || !fo_has_slots(state))
        return fo_region_at(start - 1);
    const struct fo_page *pg = fo_page_at(page);
    unsigned class = fo_page_class(pg);
    uint32_t slot = (uint32_t)(p - start) / fo_class_slot(class);
    if (slot > fo_layout.class[class].slots) /* p is behind the last slot of its page */
        slot = fo_layout.class[class].slots;
    return slot == 0 ? fo_region_at(start - 1)
                     : find_slot(pg, start, start + (uintptr_t)slot * fo_class_slot(class) - 1);
}

static bool is_large(uintptr_t payload)
{
    return !fo_has_slots(fo_page_state(fo_page_at(fo_page_number(payload))));
}

/* Site and thread of the free: in the page of a large block, in a cell, or in the slot once that is
 * back in its page. */
static void find_free(uintptr_t payload, fo_site *freed, uint64_t *by)
{
    const struct fo_page *pg = fo_page_at(fo_page_number(payload));
    const struct fo_cell *cell =
        is_large(payload) ? NULL : fo_cache_find(fo_page_class(pg), payload);
    const uint64_t *in_slot = (const uint64_t *)payload;

    *freed = *by = 0;
    if (is_large(payload) && fo_page_state(pg) != FO_PAGE_BLOCK) {
        *freed = FO_RELAXED_LOAD(&pg->freed);
        *by = FO_RELAXED_LOAD(&pg->by);
    } else if (cell != NULL) {
        *freed = FO_RELAXED_LOAD(&cell->freed);
        *by = FO_RELAXED_LOAD(&cell->by);
    } else if (!is_large(payload) && fo_slot_is_back(payload)) {
        *freed = FO_RELAXED_LOAD(&in_slot[0]);
        *by = FO_RELAXED_LOAD(&in_slot[1]);
    }
}

/* A live block whose header was overwritten with zeros is in no cell and not in its page. */
bool fo_region_is_unused(const struct fo_at *at)
{
    fo_site freed;
    uint64_t by;
    uintptr_t payload = at->payload;

    if (at->state != FO_FOUND_DAMAGED || is_large(payload) || !fo_header_is_clear(payload))
        return false;
    if (fo_cache_find(fo_class_at(payload), payload) == NULL && !fo_slot_is_back(payload))
        return false;
    find_free(payload, &freed, &by);
    return freed == 0 && by == 0;
}

bool fo_region_freed(const struct fo_at *at, struct fo_freed *out)
{
    fo_site freed;
    uint64_t by;

    find_free(at->payload, &freed, &by);
    const struct fo_mark *mark = fo_mark_at((uint32_t)(by >> FO_ADDRESS_BITS) % FO_MARKS);
    *out = (struct fo_freed){
        .address = at->payload,
        .allocated = at->site,
        .word = at->word,
        .freed = freed,
        .thread_id = (uint64_t)FO_RELAXED_LOAD(&mark->process) << FO_THREAD_ID_PROCESS |
                     UINT64_C(1) << FO_THREAD_ID_KNOWN | FO_RELAXED_LOAD(&mark->thread),
        .caller = (uintptr_t)(by & ((UINT64_C(1) << FO_ADDRESS_BITS) - 1)),
    };
    return freed != 0 || by != 0;
}
