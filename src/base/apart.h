/* Memory of our own, between two pages that cannot be touched: a write that runs over the end of
 * what is mapped in front or behind does not reach it.  Every writable mapping that the library
 * makes for itself is made here; the blocks of a region heap have a place of their own
 * (heap/system.h).
 *
 * Two system calls each, no page fault.  errno stays as it is. */
#ifndef FO_BASE_APART_H
#define FO_BASE_APART_H

#include "base/base.h"

/* Of zeroes; flags are MAP_SHARED or MAP_PRIVATE, and MAP_STACK: no huge pages.  NULL: no memory.
 * The size is rounded up to whole pages. */
void *fo_apart_map(size_t size, int flags);

/* The same; the page in front is at `wish` if the kernel has that free. */
void *fo_apart_map_near(uintptr_t wish, size_t size, int flags);

/* A file from its beginning, which all processes see.  NULL: errno says why. */
void *fo_apart_map_file(size_t size, int fd);

/* Zeroes in place of what is mapped there.  False: no memory, and nothing is changed. */
bool fo_apart_map_over(void *at, size_t size, int flags);

void fo_apart_unmap(void *p, size_t size);

#endif
