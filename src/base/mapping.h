/* What mapping does an address lie in, and do processes share it?  Read from /proc/self/maps
 * without allocating; for decisions at start, not for the report path (it opens a file). */
#ifndef FO_BASE_MAPPING_H
#define FO_BASE_MAPPING_H

#include "base/base.h"

struct fo_mapping {
    uintptr_t start, end;
    bool shared; /* MAP_SHARED: written by one process, seen by all that inherited it */
};

/* False: not mapped, or /proc cannot be read here. */
bool fo_mapping_find(uintptr_t address, struct fo_mapping *out);

#endif
