/* See region_layout.h; called where the heap grows. */
#include "backend/region_layout.h"

#include <errno.h>
#include <sys/mman.h>

#include "backend/region_system.h"

FO_BULKY struct fo_layout fo_layout;

/* Two threads may map a chunk each: the second one is given back. */
static bool has_chunk(uintptr_t *chunk, size_t size, uintptr_t (*map)(size_t size))
{
    if (fo_likely(__atomic_load_n(chunk, __ATOMIC_ACQUIRE) != 0))
        return true;
    uintptr_t fresh = map(size), none = 0;
    if (fresh == 0)
        return false;
    if (!__atomic_compare_exchange_n(chunk, &none, fresh, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE))
        fo_system_unmap_apart(fresh, size);
    return true;
}

bool fo_layout_has_page(uint32_t page)
{
    return has_chunk(&fo_layout.pages[page / FO_GROUP_PAGES], sizeof(struct fo_page_group),
                     fo_system_map_apart);
}

bool fo_layout_has_magazine(uint32_t number)
{
    return has_chunk(&fo_layout.magazines[number / FO_GROUP_MAGAZINES],
                     sizeof(struct fo_magazine_group), fo_system_map_apart);
}

bool fo_layout_has_cache(uint32_t index)
{
    return has_chunk(&fo_layout.caches[index / FO_GROUP_CACHES], sizeof(struct fo_cache_group),
                     fo_system_map_apart);
}

/* From `at` on, for so many things; returns where they end. */
static uintptr_t share(uintptr_t *chunks, uintptr_t at, uint32_t count, uint32_t of_group,
                       size_t size)
{
    for (uint32_t i = 0; i * of_group < count; i++) {
        chunks[i] = at;
        at += size;
    }
    return at;
}

uintptr_t fo_layout_share(uintptr_t at, uint32_t pages, uint32_t magazines, uint32_t caches)
{
    at = share(fo_layout.caches, at, caches, FO_GROUP_CACHES, sizeof(struct fo_cache_group));
    at = share(fo_layout.pages, at, pages, FO_GROUP_PAGES, sizeof(struct fo_page_group));
    return share(fo_layout.magazines, at, magazines, FO_GROUP_MAGAZINES,
                 sizeof(struct fo_magazine_group));
}

/* --- sets --------------------------------------------------------------------------------------
 */

static size_t line_of_words(uint32_t words)
{
    return (size_t)(words + FO_SET_LINE - 1) / FO_SET_LINE * FO_SET_LINE;
}

size_t fo_layout_above_size(uint32_t pages, uint32_t magazines)
{
    return sizeof(uint64_t) * (FO_PAGE_SETS * line_of_words(fo_set_above(pages)) +
                               FO_MAGAZINE_SETS * line_of_words(fo_set_above(magazines)));
}

static struct fo_set set_of_pages(unsigned index, uint64_t *above)
{
    return (struct fo_set){
        .above = above + (size_t)index * FO_SET_LINE,
        .chunks = fo_layout.pages,
        .offset = (uint32_t)(offsetof(struct fo_page_group, sets) +
                             index * sizeof(((struct fo_page_group *)0)->sets[0])),
        .words = FO_GROUP_PAGES / 64,
        .row = FO_PAGE_SETS * FO_SET_LINE,
    };
}

static struct fo_set set_of_magazines(unsigned index, uint64_t *above)
{
    return (struct fo_set){
        .above = above + (size_t)index * FO_SET_LINE,
        .chunks = fo_layout.magazines,
        .offset = (uint32_t)(offsetof(struct fo_magazine_group, sets) +
                             index * sizeof(((struct fo_magazine_group *)0)->sets[0])),
        .words = FO_GROUP_MAGAZINES / 64,
        .row = FO_MAGAZINE_SETS * FO_SET_LINE,
    };
}

/* Those of magazines come first: there are fewer, so that the first rows of both lie close. */
void fo_layout_sets(uint64_t *above, uint32_t magazines)
{
    uint64_t *of_pages = above + FO_MAGAZINE_SETS * line_of_words(fo_set_above(magazines));

    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        fo_layout.class[c].full = set_of_magazines(c, above);
        fo_layout.class[c].pages = set_of_pages(c, of_pages);
    }
    for (unsigned c = 0; c < FO_RUN_CLASSES; c++)
        fo_layout.runs[c] = set_of_pages(FO_REGION_CLASSES + c, of_pages);
    for (unsigned i = 0; i < 2; i++)
        fo_layout.spare[i] = set_of_magazines(FO_REGION_CLASSES + i, above);
}
