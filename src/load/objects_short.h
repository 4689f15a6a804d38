/* The short way of X_free() and X_up_ref(), for a live object in backend arena's range: each of
 * OpenSSL's names has it in place, thousands of calls a handshake go through.  Everything else is
 * for the functions of objects.h. */
#ifndef FO_LOAD_OBJECTS_SHORT_H
#define FO_LOAD_OBJECTS_SHORT_H

#include "backend/region.h"
#include "fork/process.h"
#include "load/objects.h"

/* It lives, and if some objects stay though they are freed, is not one of those. */
static FO_ALWAYS_INLINE bool fo_object_may_go(const void *p)
{
    const struct fo_direct *d = &fo_hot.process->direct;

    return fo_direct_contains(d, (uintptr_t)p) &&
           ((FO_HOT_LOAD(&fo_header_of((uintptr_t)p)->word) ^ d->meta) & d->object_bits) == 0;
}

/* Workers may use an SSL_CTX whoever made it.  (Known when this is compiled.) */
static FO_ALWAYS_INLINE bool fo_object_is_context(fo_object_function *const *slot)
{
    return slot == &fo_object_real[FO_OBJECT_SLOT(FO_OBJECT_SSL_CTX_free, 3)] ||
           slot == &fo_object_real[FO_OBJECT_SLOT(FO_OBJECT_SSL_CTX_free, 4)];
}

static FO_ALWAYS_INLINE void *fo_object_free_short(void *p, const void *second,
                                                   fo_object_function **slot, uintptr_t caller)
{
    fo_object_function *function = FO_HOT_LOAD(slot);

    if (!fo_object_is_context(slot) && fo_likely(fo_object_may_go(p)) &&
        fo_likely(function != NULL) && fo_likely(fo_thread.caller != 0))
        return function(p, second);
    return fo_object_free(p, second, slot, caller);
}

static FO_ALWAYS_INLINE void *fo_object_reference_short(void *p, const void *second,
                                                        fo_object_function **slot, uintptr_t caller)
{
    fo_object_function *function = FO_HOT_LOAD(slot);

    if (fo_likely(fo_object_may_go(p)) && fo_likely(function != NULL))
        return function(p, second);
    return fo_object_reference(p, second, slot, caller);
}

#endif
