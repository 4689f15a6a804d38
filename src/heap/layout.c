/* See layout.h; called where the heap grows. */
#include "heap/layout.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/apart.h"
#include "heap/system.h"

FO_BEGINNING(6) struct fo_layout fo_layout;

/* Where the next chunk is to be; 0: the kernel chooses. */
static uintptr_t next_place;

uintptr_t fo_layout_map(size_t size)
{
    uintptr_t wish = FO_RELAXED_LOAD(&next_place); /* relaxed: only a wish */

    if (wish != 0)
        wish = __atomic_fetch_add(&next_place, size + FO_PAGE_SIZE, __ATOMIC_RELAXED);
    return fo_system_map_apart(wish, size);
}

void fo_layout_begin(uintptr_t place)
{
    next_place = place;
}

/* Two threads may map a chunk each: the second one is unmapped. */
static bool has_chunk(uintptr_t *chunk, size_t size)
{
    if (fo_likely(__atomic_load_n(chunk, __ATOMIC_ACQUIRE) != 0))
        return true;
    uintptr_t fresh = fo_layout_map(size), none = 0;
    if (fresh == 0)
        return false;
    if (!__atomic_compare_exchange_n(chunk, &none, fresh, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE))
        fo_apart_unmap((void *)fresh, size);
    return true;
}

bool fo_layout_map_page(uint32_t page)
{
    return has_chunk(&fo_layout.pages[page / FO_GROUP_PAGES], sizeof(struct fo_page_group));
}

bool fo_layout_map_magazine(uint32_t number)
{
    return has_chunk(&fo_layout.magazines[number / FO_GROUP_MAGAZINES],
                     sizeof(struct fo_magazine_group));
}

bool fo_layout_map_cache(uint32_t index)
{
    return has_chunk(&fo_layout.caches[index / FO_GROUP_CACHES], sizeof(struct fo_cache_group));
}

/* Lay out the chunks of `count` things from `at` on; returns where they end. */
static uintptr_t share(uintptr_t *chunks, uintptr_t at, uint32_t count, uint32_t of_group,
                       size_t size)
{
    for (uint32_t i = 0; i * of_group < count; i++) {
        chunks[i] = at;
        at += size;
    }
    return at;
}

/* A magazine's cells lie in front of a cell of it, and its end up to two ends behind one
 * (fo_magazine_of()): both of any cell between these bounds are in the groups. */
enum {
    CELLS_BEFORE = FO_MAGAZINE_CELLS * sizeof(struct fo_cell),
    CELLS_BEHIND = sizeof(((struct fo_magazine_group *)0)->rest),
};
_Static_assert((int)CELLS_BEFORE <= (int)offsetof(struct fo_magazine_group, shorts[0].end) &&
                   (int)CELLS_BEHIND >= 3 * (int)FO_MAGAZINE_END + (int)sizeof(struct fo_magazine),
               "the first end, and room behind the last one");

uintptr_t fo_layout_share(uintptr_t at, uint32_t pages, uint32_t magazines, uint32_t caches)
{
    at = share(fo_layout.caches, at, caches, FO_GROUP_CACHES, sizeof(struct fo_cache_group));
    at = share(fo_layout.pages, at, pages, FO_GROUP_PAGES, sizeof(struct fo_page_group));
    uintptr_t end = share(fo_layout.magazines, at, magazines, FO_GROUP_MAGAZINES,
                          sizeof(struct fo_magazine_group));
    fo_layout.cells = at + CELLS_BEFORE;
    fo_layout.cells_size = end - CELLS_BEHIND - fo_layout.cells;
    return end;
}
