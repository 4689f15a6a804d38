/* See classes.h.  The fast path has a table, which is made from this function. */
#include "heap/classes.h"

_Static_assert(((256u << 4) + 8 * (32u << 4)) == FO_REGION_SMALL, "the last class is the largest");

unsigned fo_region_class_of(size_t size)
{
    if (size <= 256)
        return (unsigned)(size - 1) >> 4;
    if (size > FO_REGION_WHOLE && size <= FO_REGION_SMALL - sizeof(struct fo_header))
        size += sizeof(struct fo_header);
    unsigned doubling = 63u - (unsigned)__builtin_clzll(size - 1) - 8;
    return 16 + 8 * doubling + ((unsigned)(size - 1) >> (doubling + 5)) - 8;
}
