/* The fast path of X_free() and X_up_ref(), for a live object in the range of backend arena:
 * thousands of calls in a handshake.  One function serves all of OpenSSL's names: a copy in each
 * would take fewer instructions, but not stay in the processor's instruction cache. */
#include "heap/region.h"
#include "load/objects.h"
#include "process/process.h"

/* Is it live, and not an object whose free may have to be put off? */
static FO_ALWAYS_INLINE bool can_pass(const void *p)
{
    const struct fo_direct *d = fo_direct_of(fo_hot.process);

    return fo_direct_contains(d, (uintptr_t)p) &&
           ((FO_HOT_LOAD(&fo_header_of((uintptr_t)p)->word) ^ d->meta) & d->object_bits) == 0;
}

FO_HOT void *fo_object_free_fast(void *p, const void *second, fo_object_function **slot,
                                 uintptr_t caller)
{
    fo_object_function *function = FO_HOT_LOAD(slot);

    if (fo_likely(can_pass(p)) && fo_likely(function != NULL) && fo_likely(fo_thread.caller != 0))
        return function(p, second);
    return fo_object_free(p, second, slot, caller);
}

FO_HOT void *fo_object_reference_fast(void *p, const void *second, fo_object_function **slot,
                                      uintptr_t caller)
{
    fo_object_function *function = FO_HOT_LOAD(slot);

    if (fo_likely(can_pass(p)) && fo_likely(function != NULL))
        return function(p, second);
    return fo_object_reference(p, second, slot, caller);
}
