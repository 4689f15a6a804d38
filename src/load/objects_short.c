/* The short way of X_free() and X_up_ref(), for a live object in backend arena's range: thousands
 * of calls a handshake go through.  One for all of OpenSSL's names: a copy in each of them is
 * faster by count, but so many do not stay in the processor's cache of instructions. */
#include "heap/region.h"
#include "load/objects.h"
#include "process/process.h"

/* It lives, and if some objects stay though they are freed, is not one of those. */
static FO_ALWAYS_INLINE bool may_go(const void *p)
{
    const struct fo_direct *d = fo_direct_of(fo_hot.process);

    return fo_direct_contains(d, (uintptr_t)p) &&
           ((FO_HOT_LOAD(&fo_header_of((uintptr_t)p)->word) ^ d->meta) & d->object_bits) == 0;
}

FO_HOT void *fo_object_free_short(void *p, const void *second, fo_object_function **slot,
                                  uintptr_t caller)
{
    fo_object_function *function = FO_HOT_LOAD(slot);

    if (fo_likely(may_go(p)) && fo_likely(function != NULL) && fo_likely(fo_thread.caller != 0))
        return function(p, second);
    return fo_object_free(p, second, slot, caller);
}

FO_HOT void *fo_object_reference_short(void *p, const void *second, fo_object_function **slot,
                                       uintptr_t caller)
{
    fo_object_function *function = FO_HOT_LOAD(slot);

    if (fo_likely(may_go(p)) && fo_likely(function != NULL))
        return function(p, second);
    return fo_object_reference(p, second, slot, caller);
}
