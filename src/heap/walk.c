/* See walk.h.  Slots that magazines hold are entered in a map first; then each page is
 * compared with it slot by slot.  Relaxed: no thread changes the heap meanwhile. */
#include "heap/walk.h"

#include "heap/magazine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct walk {
    struct fo_walk *out;
    uint64_t *held; /* as the bitmaps: slots in cells */
    const struct fo_walk_watch *watch;
    fo_walk_live *each;
    void *context;
};

static void wrong(struct walk *w, const char *what, uintptr_t where)
{
    if (w->out->wrong++ == 0) {
        w->out->what = what;
        w->out->where = where;
    }
}

/* --- magazines ---------------------------------------------------------------------------------
 */

static void enter_cell(struct walk *w, unsigned class, uintptr_t payload)
{
    uint32_t page = fo_page_number(payload), size = fo_class_slot(class);
    const struct fo_page *pg = fo_page_at(page);

    if (payload < fo_layout.base || page >= fo_region->pages || !fo_has_slots(fo_page_state(pg)) ||
        pg->class != class) {
        wrong(w, "a cell holds what is no slot of its class", payload);
        return;
    }
    uintptr_t offset = payload - sizeof(struct fo_header) - fo_page_start(page);
    uint32_t slot = (uint32_t)(offset / size);
    uint64_t *word = &w->held[(size_t)page * FO_BITMAP_WORDS + slot / 64];
    if (offset % size != 0 || slot >= pg->used) {
        wrong(w, "a cell holds what is no slot in use", payload);
        return;
    }
    if ((*word >> slot % 64 & 1) != 0)
        wrong(w, "two cells hold one slot", payload);
    *word |= UINT64_C(1) << slot % 64;
    w->out->waiting++;
}

static void walk_magazines(struct walk *w)
{
    for (uint32_t n = FO_FIRST_MAGAZINE; n < fo_region->magazines; n++) {
        struct fo_magazine *m = fo_magazine_at(n);
        w->out->magazines_lost += !fo_magazine_can_be_found(n);
        const struct fo_cell *first = fo_end_cell(m) - fo_magazine_cells(n);
        for (const struct fo_cell *cell = first; !fo_cell_is_end(cell); cell++)
            if (cell->payload != 0)
                enter_cell(w, fo_magazine_class(m), cell->payload);
    }
}

/* A list of a bin ends, and its count is right, or wrong by one: its owner may have died between
 * list and count, and no thread has adopted the cache yet. */
static void walk_list(struct walk *w, uint32_t first, uint32_t count)
{
    uint32_t seen = 0, most = fo_region->magazines;

    for (uint32_t n = first; n != 0 && seen <= most; seen++)
        n = n < most ? FO_RELAXED_LOAD(&fo_magazine_at(n)->next) : 0;
    if (seen > most || seen - count + 1 > 2)
        wrong(w, "a list's length is not its count", (uintptr_t)fo_magazine_at(first));
}

/* Was its owner killed, and has no thread adopted it yet? */
static bool is_orphan(const struct fo_cache *cache)
{
    return fo_living_is_orphan(&cache->owner);
}

static bool has_page(const struct fo_cache *cache, uint32_t page)
{
    uint64_t what = fo_page_at(page)->what;

    return fo_state_of(what) == FO_PAGE_OWNED && fo_cache_of(what) == fo_cache_number(cache);
}

/* A killed owner may leave a page in its bin that it was about to remove. */
static void walk_bins_page(struct walk *w, const struct fo_cache *cache, unsigned class)
{
    uint32_t page = cache->bins[class].page;

    if (page >= fo_region->pages)
        wrong(w, "a bin's page does not exist", page);
    else if ((fo_page_at(page)->class != class || !has_page(cache, page)) && !is_orphan(cache))
        wrong(w, "a bin's page has another owner", fo_page_start(page));
}

static void walk_bin(struct walk *w, const struct fo_cache *cache, unsigned class)
{
    const struct fo_bin *bin = &cache->bins[class];

    if (bin->page != 0)
        walk_bins_page(w, cache, class);
    walk_list(w, bin->spare, bin->spares);
    walk_list(w, bin->queued != 0 ? bin->first : 0, bin->queued);
    walk_list(w, bin->readied != 0 ? bin->ready : 0, bin->readied);
}

static void walk_caches(struct walk *w, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        for (unsigned c = 0; c < FO_REGION_CLASSES; c++)
            walk_bin(w, fo_cache_at(i), c);
}

static void walk_bins(struct walk *w)
{
    uint32_t first_lent = fo_layout.owned_most;

    walk_caches(w, 0, fo_region->caches);
    walk_caches(w, first_lent, first_lent + fo_region->lent);
}

/* --- what is in pages --------------------------------------------------------------------------
 */

static void walk_block(struct walk *w, const struct fo_at *at)
{
    w->out->live++;
    w->out->live_bytes += fo_word_size(at->word);
    if (w->each != NULL)
        w->each(w->context, at);
}

/* Is this half a new header, in front of a free block?  Its owner died while it made the block. */
static bool is_half_made(uintptr_t payload)
{
    uint64_t word = FO_RELAXED_LOAD(&fo_header_of(payload)->word);

    return word <= FO_HEADER_CLEAR || (word & FO_REGION_DEAD) != 0;
}

static enum fo_watched state_of_watched(const struct walk *w, uintptr_t payload)
{
    return w->watch != NULL ? w->watch->state(payload) : FO_WATCHED_NOT;
}

static void walk_watched(struct walk *w, uintptr_t payload, enum fo_watched state, bool is_free)
{
    const struct fo_header *h = fo_header_of(payload);
    const struct fo_at at = {FO_FOUND_LIVE, payload, FO_RELAXED_LOAD(&h->word),
                             FO_RELAXED_LOAD(&h->site)};

    if (state == FO_WATCHED_GONE)
        w->out->lost += !is_free;
    else if (is_free)
        wrong(w, "a slot that is not free is in a cell or in its page", payload);
    else if (state == FO_WATCHED_FREED)
        w->out->waiting++;
    else if (state == FO_WATCHED_DAMAGED || !fo_is_live(fo_hot.secret, payload, at.site, at.word))
        wrong(w, "a header is damaged", payload);
    else
        walk_block(w, &at);
}

static void walk_slot(struct walk *w, uintptr_t payload, bool in_cell, bool is_back)
{
    struct fo_at at = fo_region_at(payload);
    bool blank = fo_header_is_clear(payload);
    enum fo_watched watched = state_of_watched(w, payload);

    w->out->back += is_back;
    if (in_cell && is_back)
        wrong(w, "a slot is in a cell and in its page", payload);
    if (watched != FO_WATCHED_NOT) {
        walk_watched(w, payload, watched, in_cell || is_back);
        return;
    }
    if (blank) {
        w->out->lost += !in_cell && !is_back;
        return;
    }
    if (at.state == FO_FOUND_DAMAGED && is_half_made(payload) && !in_cell && !is_back)
        w->out->lost++;
    else if (at.state == FO_FOUND_DAMAGED)
        wrong(w, "a header is damaged", payload);
    else if (at.state == FO_FOUND_FREED || at.state == FO_FOUND_HELD) /* died in the free */
        w->out->lost += !in_cell && !is_back;
    else if (in_cell || is_back)
        wrong(w, "a slot that is not free is in a cell or in its page", payload);
    else
        walk_block(w, &at);
}

static void walk_slots(struct walk *w, uint32_t page)
{
    const struct fo_page *pg = fo_page_at(page);
    const uint64_t *back = fo_bitmap_of(page);
    const uint64_t *held = w->held + (size_t)page * FO_BITMAP_WORDS;
    uint32_t size = fo_class_slot(pg->class), slots = fo_layout.class[pg->class].slots;

    const struct fo_ground *ground = &fo_layout.ground[page];

    if (ground->bin != pg->class * sizeof(struct fo_bin))
        wrong(w, "a page's bin is not that of its class", fo_page_start(page));
    if (ground->handed < fo_handed(size, pg->used) || ground->handed > fo_handed(size, slots))
        wrong(w, "a page's `handed` does not match its slots", fo_page_start(page));
    if (pg->used > slots) {
        wrong(w, "a page has used more slots than it has", fo_page_start(page));
        return;
    }
    for (uint32_t slot = pg->used; slot < slots; slot++)
        if (((held[slot / 64] | back[slot / 64]) >> slot % 64 & 1) != 0)
            wrong(w, "a slot that was never used is free", fo_page_start(page));
    for (uint32_t slot = 0; slot < pg->used; slot++)
        walk_slot(w, fo_page_start(page) + (uintptr_t)slot * size + sizeof(struct fo_header),
                  (held[slot / 64] >> slot % 64 & 1) != 0, (back[slot / 64] >> slot % 64 & 1) != 0);
}

/* Its owner may have died before it wrote the header, or after it marked the block as freed. */
static void walk_large(struct walk *w, uintptr_t payload)
{
    struct fo_at at = fo_region_at(payload);
    enum fo_watched watched = state_of_watched(w, payload);

    if (watched != FO_WATCHED_NOT)
        walk_watched(w, payload, watched, false);
    else if (at.state == FO_FOUND_LIVE)
        walk_block(w, &at);
    else if (at.state == FO_FOUND_DAMAGED && !is_half_made(payload))
        wrong(w, "a large block's header is damaged", payload);
    else
        w->out->lost++;
}

/* Does what begins here have an owner, or can it be found? */
static bool is_somewhere(uint32_t page)
{
    switch (fo_page_state(fo_page_at(page))) {
    case FO_PAGE_BLOCK:
    case FO_PAGE_BLOCKED:
        return true;
    case FO_PAGE_WARM:
        return fo_large_can_be_found(page);
    case FO_PAGE_FREE:
        return fo_run_can_be_found(page);
    default:
        return fo_slots_can_be_found(page);
    }
}

static bool is_inside(const struct fo_page *pg, uint32_t behind)
{
    return fo_page_state(pg) == FO_PAGE_INSIDE && fo_run_of(pg->what) == behind;
}

static void walk_run(struct walk *w, uint32_t page, uint32_t pages)
{
    bool owned = fo_page_state(fo_page_at(page)) != FO_PAGE_BLOCKED;

    for (uint32_t i = 1; i < pages; i++)
        if (!is_inside(fo_page_at(page + i), i))
            wrong(w, "a page of a run is not inside it", fo_page_start(page + i));
    for (uint32_t i = 0; i < pages; i++)
        if (fo_page_is_owned(page + i) != owned)
            wrong(w, "a run's state does not fit its pages", fo_page_start(page + i));
    w->out->pages_lost += !is_somewhere(page);
}

static void walk_pages(struct walk *w)
{
    for (uint32_t page = 1; page < fo_region->pages;) {
        const struct fo_page *pg = fo_page_at(page);
        enum fo_page_state state = fo_page_state(pg);
        uint32_t pages = fo_run_of(pg->what);
        if (state == FO_PAGE_INSIDE || pages == 0 || pages > fo_region->pages - page) {
            wrong(w, "no run begins where one ended", fo_page_start(page));
            return;
        }
        walk_run(w, page, pages);
        if (fo_has_slots(state))
            walk_slots(w, page);
        else if (state == FO_PAGE_BLOCK)
            walk_large(w, fo_page_start(page) + sizeof(struct fo_header));
        page += pages;
    }
}

static void walk_elsewhere(void *context, const struct fo_at *live)
{
    walk_block(context, live);
}

bool fo_region_walk(struct fo_walk *out, const struct fo_walk_watch *watch, fo_walk_live *each,
                    void *context)
{
    memset(out, 0, sizeof *out);
    if (fo_region == NULL)
        return false;
    size_t size = (size_t)fo_region->pages * FO_BITMAP_WORDS * sizeof(uint64_t);
    uint64_t *held = mmap(NULL, size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (held == MAP_FAILED)
        return false;
    struct walk w = {out, held, watch, each, context};
    walk_magazines(&w);
    walk_bins(&w);
    walk_pages(&w);
    if (watch != NULL)
        watch->elsewhere(walk_elsewhere, &w);
    munmap(held, size);
    return true;
}

/* --- sites -------------------------------------------------------------------------------------
 */

struct sites {
    struct fo_walk_site *out;
    size_t room, used;
};

static void count_site(void *context, const struct fo_at *live)
{
    struct sites *s = context;
    size_t i = 0;

    while (i < s->used && s->out[i].site != live->site)
        i++;
    if (i == s->room)
        return;
    if (i == s->used)
        s->out[s->used++] = (struct fo_walk_site){live->site, 0, 0};
    s->out[i].blocks++;
    s->out[i].bytes += fo_word_size(live->word);
}

static int most_bytes_first(const void *left, const void *right)
{
    const struct fo_walk_site *a = left, *b = right;
    return (a->bytes < b->bytes) - (a->bytes > b->bytes);
}

size_t fo_region_sites(struct fo_walk_site *out, size_t room)
{
    struct sites s = {out, room, 0};
    struct fo_walk walk;

    fo_region_walk(&walk, NULL, count_site, &s);
    qsort(out, s.used, sizeof *out, most_bytes_first);
    return s.used;
}
