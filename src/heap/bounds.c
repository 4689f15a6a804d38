/* See bounds.h. */
#include "heap/bounds.h"

#include "base/say.h"
#include "heap/region.h"

static uint32_t dropped;

/* `dropped` is a count: relaxed. */
uint32_t fo_region_dropped(void)
{
    return FO_RELAXED_LOAD(&dropped);
}

uint32_t fo_region_drop(void)
{
    if (__atomic_fetch_add(&dropped, 1, __ATOMIC_RELAXED) == 0 && fo_layout.shared)
        fo_say_words("the records of the shared heap are damaged: a process that shares it has "
                     "written there; what they name wrongly is left out",
                     NULL);
    return 0;
}

struct fo_cell *fo_bounded_shared_cell(struct fo_cell **place)
{
    struct fo_cell *cell = FO_RELAXED_LOAD(place); /* once: another process can write it */

    if (fo_likely(fo_cell_is_possible(cell)))
        return cell;
    fo_region_drop();
    __atomic_store_n(place, fo_no_cells(), __ATOMIC_RELEASE);
    return fo_no_cells();
}
