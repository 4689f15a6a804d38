/* The short way of X_free() and X_up_ref(), for a live object in backend arena's range: each of
 * OpenSSL's names has it in place, thousands of calls a handshake go through.  Everything else is
 * for the functions of objects.h. */
#ifndef FO_LOAD_OBJECTS_SHORT_H
#define FO_LOAD_OBJECTS_SHORT_H

#include "backend/region.h"
#include "fork/process.h"
#include "load/objects.h"

static FO_ALWAYS_INLINE bool fo_object_is_live(const void *p)
{
    const struct fo_direct *d = &fo_hot.process->direct;

    return (uintptr_t)p - d->base < FO_HOT_LOAD(&d->objects) &&
           !fo_region_may_be_freed((uintptr_t)p);
}

static FO_ALWAYS_INLINE void *fo_object_free_short(void *p, const void *second,
                                                   fo_object_function **slot, uintptr_t caller)
{
    fo_object_function *function = FO_HOT_LOAD(slot);

    if (fo_likely(fo_object_is_live(p)) && fo_likely(function != NULL) &&
        fo_likely(fo_thread.caller != 0))
        return function(p, second);
    return fo_object_free(p, second, slot, caller);
}

static FO_ALWAYS_INLINE void *fo_object_reference_short(void *p, const void *second,
                                                        fo_object_function **slot, uintptr_t caller)
{
    fo_object_function *function = FO_HOT_LOAD(slot);

    if (fo_likely(fo_object_is_live(p)) && fo_likely(function != NULL))
        return function(p, second);
    return fo_object_reference(p, second, slot, caller);
}

#endif
