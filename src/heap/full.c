/* Shared memory is full: what can be done before an allocation fails?  See region.h; called by
 * direct.c when nothing is left to recover from dead owners.
 *
 * Nearly all of it may be free, and still not usable: blocks that wait in magazines keep their
 * pages, and pages without a block belong to a class for which there is no request. */
#include "heap/region.h"

static void dissolve_pages(void)
{
    for (uint32_t page = 1; fo_page_is_used(page); page = fo_next_run(page))
        fo_slots_dissolve(page);
}

void fo_region_make_room(void)
{
    if (!fo_cache_can_own_pages())
        return;
    fo_cache_drain();
    dissolve_pages();
}
