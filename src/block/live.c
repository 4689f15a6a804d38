/* See live.h.  A block is judged by its place in the heap, or by the registry: as for a free.
 * Relaxed: each block is checked by its header, and those in question once more. */
#include "block/live.h"

#include <string.h>

#include "base/probe.h"
#include "block/registry.h"
#include "heap/region.h"

struct walk {
    fo_live_visit *visit;
    void *context;
};

/* --- the heap ----------------------------------------------------------------------------------
 */

static void look_at(const struct walk *w, uintptr_t payload)
{
    struct fo_at at = fo_region_at(payload);

    if (at.state == FO_FOUND_LIVE && at.payload == payload)
        w->visit(w->context, payload, at.site, at.word);
}

static void walk_slots(const struct walk *w, uint32_t page)
{
    const struct fo_page *pg = fo_page_at(page);
    unsigned class = fo_page_class(pg);
    uint32_t size = fo_class_slot(class), used = FO_RELAXED_LOAD(&pg->used);
    uintptr_t first = fo_page_start(page) + sizeof(struct fo_header);

    for (uint32_t i = 0; i < used && i < fo_layout.class[class].slots; i++)
        look_at(w, first + (uintptr_t)i * size);
}

static void walk_heap(const struct walk *w)
{
    uint32_t pages = fo_pages_in_use();

    for (uint32_t page = 1; page < pages; page = fo_next_run(page)) {
        enum fo_page_state state = fo_page_state(fo_page_at(page));
        if (fo_has_slots(state))
            walk_slots(w, page);
        else if (state == FO_PAGE_BLOCK)
            look_at(w, fo_page_start(page) + sizeof(struct fo_header));
    }
}

/* --- the registry ------------------------------------------------------------------------------
 */

/* Another thread may free the block meanwhile, and its memory may be gone.  False: so it is. */
static bool read_header(uintptr_t payload, struct fo_header *out)
{
    const struct fo_header *h = fo_header_of(payload);

    if (fo_hot_is_concurrent() && !fo_is_readable((uintptr_t)h, sizeof *h))
        return false;
    out->site = FO_RELAXED_LOAD(&h->site);
    out->word = FO_RELAXED_LOAD(&h->word);
    return fo_is_live(fo_hot.secret, payload, out->site, out->word);
}

static void walk_leaf(const struct walk *w, uintptr_t part, const uint8_t *biased)
{
    uintptr_t first = part << (FO_LEAF_SHIFT - FO_GRANULE_SHIFT);
    struct fo_header h;

    for (uintptr_t i = first; i < first + FO_LEAF_SIZE; i += 8) {
        uint64_t eight = FO_RELAXED_LOAD((const uint64_t *)((uintptr_t)biased + i));
        for (uintptr_t j = i; eight != 0; j++, eight >>= 8)
            if ((eight & 0xff) == FO_SLOT_LIVE && read_header(j << FO_GRANULE_SHIFT, &h))
                w->visit(w->context, j << FO_GRANULE_SHIFT, h.site, h.word);
    }
}

static void walk_registry(const struct walk *w)
{
    const struct fo_root *root = __atomic_load_n(&fo_hot.entered, __ATOMIC_ACQUIRE);

    for (uint32_t i = 0; root != NULL && i < FO_ROOT_COUNT; i++) {
        uintptr_t claim = __atomic_load_n(&root->claim[i], __ATOMIC_ACQUIRE);
        const uint8_t *biased = __atomic_load_n(&root->leaf[i], __ATOMIC_ACQUIRE);
        if (claim != 0 && biased != NULL)
            walk_leaf(w, claim - 1, biased);
    }
}

/* --- both --------------------------------------------------------------------------------------
 */

void fo_live_each(fo_live_visit *visit, void *context)
{
    const struct walk w = {visit, context};

    if (fo_region != NULL && FO_RELAXED_LOAD(&fo_hot.direct))
        walk_heap(&w);
    walk_registry(&w);
}

bool fo_live_is_same(uintptr_t payload, fo_site site, uint64_t word)
{
    struct fo_header h;

    if (FO_RELAXED_LOAD(&fo_hot.direct) && fo_region_contains(payload)) {
        struct fo_at at = fo_region_at(payload);
        return at.state == FO_FOUND_LIVE && at.site == site && at.word == word;
    }
    const uint8_t *slot = fo_registry_slot(payload);
    return slot != NULL && __atomic_load_n(slot, __ATOMIC_ACQUIRE) == FO_SLOT_LIVE &&
           read_header(payload, &h) && h.site == site && h.word == word;
}
