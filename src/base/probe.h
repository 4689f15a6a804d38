/* Can this address be read?  Checked before a read of memory that may be unmapped: file names in
 * unloaded modules, headers of blocks that another thread may be freeing. */
#ifndef FO_BASE_PROBE_H
#define FO_BASE_PROBE_H

#include "base/base.h"

/* True when all of [address, address + size) was readable at this moment. */
bool fo_is_readable(uintptr_t address, size_t size);

/* Copy the printable string at `address` to out.  False: it cannot be read, is empty, has other
 * characters or no end within size - 1; then it is no file name. */
bool fo_probe_string(const char *address, char *out, size_t size);

/* An address at the top of the main thread's stack: where the environment block lies. */
extern uintptr_t fo_stack_end;

/* What kind of memory is at p, in words for a report: "the stack", "static data", "unmapped
 * memory", "the first page", or "memory of the program" for everything else. */
const char *fo_probe_kind(uintptr_t p);

#endif
