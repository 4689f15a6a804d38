/* The library's own memory, which is not searched for the program's pointers: see roots.h. */
#include "base/elf.h"
#include "block/memory.h"
#include "block/roots.h"
#include "heap/region.h"
#include "report/journal.h"

/* It knows addresses of blocks that were freed, and may be those of other blocks by now. */
static bool skip_shards(struct fo_roots *r)
{
    bool ok = true;

    for (int i = 0; i < FO_SHARDS; i++) {
        const struct fo_shard *s = &fo_hot.memory->shards[i];
        uintptr_t start = (uintptr_t)s->queues[0].entries;
        if (__atomic_load_n(&s->open, __ATOMIC_ACQUIRE))
            ok &= fo_roots_skip(r, start, start + fo_shard_entries_size());
    }
    return ok;
}

/* Pages of other mappings may lie between those of the heap. */
static bool skip_heap(struct fo_roots *r)
{
    uint32_t pages = fo_region != NULL ? (uint32_t)(fo_region_committed() >> FO_PAGE_SHIFT) : 0;
    uint32_t first = 0;
    bool ok = true;

    for (uint32_t page = 0; page <= pages; page++)
        if (page == pages || !fo_page_is_owned(page)) {
            ok &= first == page || fo_roots_skip(r, fo_page_start(first), fo_page_start(page));
            first = page + 1;
        }
    return ok;
}

bool fo_roots_skip_own(struct fo_roots *r)
{
    struct fo_module self;
    uintptr_t journal = (uintptr_t)fo_journal;

    return fo_elf_module((uintptr_t)fo_roots_skip_own, &self) &&
           fo_roots_skip(r, self.start, self.end) &&
           (journal == 0 || fo_roots_skip(r, journal, journal + sizeof *fo_journal)) &&
           skip_shards(r) && skip_heap(r);
}
