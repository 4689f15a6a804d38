/* Mappings for the library's own data, each between two pages that cannot be accessed: a write past
 * the end of a mapping in front or behind does not reach it.  Every writable mapping of the library
 * is made here; the blocks of a region heap have their own code (heap/system.h).
 *
 * A mapping costs two system calls and no page fault.  errno is kept, unless it has the reason of a
 * failure. */
#ifndef FO_BASE_APART_H
#define FO_BASE_APART_H

#include "base/base.h"

/* Map zeroes.  Flags are MAP_SHARED or MAP_PRIVATE; MAP_STACK keeps huge pages out.  The size is
 * rounded up to whole pages.  NULL: no memory. */
void *fo_apart_map(size_t size, int flags);

/* The same; the page in front is at `wish` if that address is free. */
void *fo_apart_map_near(uintptr_t wish, size_t size, int flags);

/* Map a file from its beginning, shared by all processes.  NULL: errno has the reason. */
void *fo_apart_map_file(size_t size, int fd);

/* Map zeroes over what is mapped at this address.  False: no memory; the old mapping is unchanged.
 */
bool fo_apart_map_over(void *at, size_t size, int flags);

void fo_apart_unmap(void *p, size_t size);

#endif
