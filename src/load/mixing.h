/* What libfreeonce-libc.so asks libfreeonce.so: is this pointer, that was handed to libc's free,
 * one of OpenSSL's?  The two are installed together, but either may be there without the other, or
 * in another version; hence one entry point and a number. */
#ifndef FO_LOAD_MIXING_H
#define FO_LOAD_MIXING_H

#include "core/base.h"

enum { FO_MIXING_VERSION = 2 };

struct fo_region_range {
    uintptr_t start;
    size_t size; /* 0: there is none */
};

struct fo_mixing {
    /* The root of the registry (core/registry.h), NULL until an OpenSSL shows up: so a pointer that
     * is none of ours is told without a call. */
    uint8_t **const *root;
    /* Where backend arena is: all of it is ours. */
    const struct fo_region_range *region;
    /* `p` belongs to a block of ours, or seems to: report and answer for libc.  False: it does not,
     * nothing was done.  `caller` is the code that called libc. */
    bool (*free)(void *p, uintptr_t caller);
    bool (*realloc)(void *p, size_t size, const char *function, uintptr_t caller, void **answer);
    bool (*usable_size)(void *p, uintptr_t caller, size_t *answer);
};

/* NULL: not with this version. */
const struct fo_mixing *freeonce_mixing(unsigned version);

#endif
