/* OpenSSL's blocks in the hands of libc's functions (libc_entries.c). */
#ifndef FO_LOAD_MIXING_H
#define FO_LOAD_MIXING_H

#include "base/base.h"

/* Is p a block of ours, live or freed, or inside one? */
bool fo_mixing_has_block(const void *p);

/* `p` belongs to a block of ours, or seems to: report, and answer for libc.  False: it does not,
 * nothing was done.  `caller` is the code that called libc. */
bool fo_mixing_free(void *p, uintptr_t caller);
bool fo_mixing_realloc(void *p, size_t size, const char *function, uintptr_t caller, void **answer);
bool fo_mixing_usable_size(void *p, uintptr_t caller, size_t *answer);

#endif
