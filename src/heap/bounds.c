/* See bounds.h. */
#include "heap/bounds.h"

#include "base/say.h"

static uint32_t dropped;

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
