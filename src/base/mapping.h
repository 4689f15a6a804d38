/* The mappings of this process: their places, and do processes share them?  Read from
 * /proc/self/maps without allocating; for decisions at start and at the end, not for the report
 * path (it opens a file). */
#ifndef FO_BASE_MAPPING_H
#define FO_BASE_MAPPING_H

#include "base/base.h"

struct fo_mapping {
    uintptr_t start, end;
    bool readable, writable;
    bool shared; /* MAP_SHARED: written by one process, seen by all that inherited it */
    bool file;   /* its content comes from a file, or did so at first */
};

/* False: not mapped, or /proc cannot be read here. */
bool fo_mapping_find(uintptr_t address, struct fo_mapping *out);

/* Call this for each mapping, in the order of addresses, until it returns false.  False: /proc
 * cannot be read here. */
typedef bool fo_mapping_visit(void *context, const struct fo_mapping *mapping);
bool fo_mapping_each(fo_mapping_visit *visit, void *context);

#endif
