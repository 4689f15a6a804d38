/* Calls of libc's functions with OpenSSL's blocks (libc_entries.c). */
#ifndef FO_LOAD_MIXING_H
#define FO_LOAD_MIXING_H

#include "base/base.h"

/* Is p a block of the library, live or freed, or inside one? */
bool fo_mixing_has_block(const void *p);

/* If p is in a block of the library, or seems to be: report, and do the call in libc's place.
 * False: it is not, nothing was done.  `caller` is the code that called libc. */
bool fo_mixing_free(void *p, uintptr_t caller);
bool fo_mixing_realloc(void *p, size_t size, const char *function, uintptr_t caller, void **answer);
bool fo_mixing_usable_size(void *p, uintptr_t caller, size_t *answer);

#endif
