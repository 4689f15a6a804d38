/* libc's functions called with OpenSSL's blocks: see mixing.h.  A live block is reported, and the
 * call is done in OpenSSL's memory.  free() frees the block as OPENSSL_free() does, so that it does
 * not leak and a second free is found.  realloc() moves it to another block of OpenSSL's, which
 * OPENSSL_free() frees, or free(3), which is reported again. */
#include "load/mixing.h"

#include <errno.h>

#include "backend/backend.h"
#include "backend/guard.h"
#include "base/libc.h"
#include "base/probe.h"
#include "block/hooks.h"
#include "block/registry.h"
#include "block/verdict.h"
#include "heap/region.h"
#include "load/engine_memory.h"
#include "process/process.h"

/* What is at p?  NOTHING in case of doubt: libc must get its own memory back. */
enum what { NOTHING, LIVE, WRONG };

/* Is p inside this block, by the size in its header? */
static bool is_inside(uintptr_t payload, uintptr_t p)
{
    const struct fo_header *h = fo_header_of(payload);

    if (fo_guard_contains(payload)) {
        struct fo_guarded g;
        return fo_guard_find(p, &g) && g.record.address == payload &&
               p < payload + fo_word_size(g.record.word);
    }
    /* By the registry the header is mapped, unless another thread gives the memory back meanwhile.
     * On the page of p it is mapped in any case: p is about to be freed. */
    if ((payload - sizeof *h) >> 12 != p >> 12 && fo_hot_is_concurrent() &&
        (FO_LIBC_UNMAPS_BLOCKS || !fo_is_readable((uintptr_t)h, sizeof *h)))
        return false;
    uint64_t word = FO_RELAXED_LOAD(&h->word); /* relaxed: the state is read after the fence */
    fo_site site = FO_RELAXED_LOAD(&h->site);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return p < payload + fo_word_size(word) &&
           (word & FO_CHECK_MASK) == fo_check(fo_hot.secret, payload, site, word) &&
           fo_slot_is_owned(
               FO_RELAXED_LOAD(fo_registry_slot_known(payload))); /* not freed meanwhile */
}

/* By the registry p starts a block.  But a pool of the program's own functions, or of a plug-in,
 * may have been given back as a whole, without a free of each block: there the header must be that
 * of a block, too. */
static bool is_block_start(uintptr_t p)
{
    unsigned backend = fo_word_backend(fo_process_meta(fo_process_self()));

    return (backend != FO_BACKEND_HOST && backend != FO_BACKEND_PLUGIN) || is_inside(p, p);
}

static enum what classify(uintptr_t p)
{
    bool in_region = fo_region_contains(p);

    if (in_region && FO_RELAXED_LOAD(&fo_hot.direct)) {
        struct fo_at at = fo_region_at(p);
        return at.state == FO_FOUND_LIVE && at.payload == p ? LIVE : WRONG;
    }
    const uint8_t *slot = fo_registry_slot(p);
    uint8_t state = slot != NULL ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : FO_SLOT_NONE;

    if (fo_slot_is_owned(state) && is_block_start(p))
        return state == FO_SLOT_LIVE ? LIVE : WRONG;
    if (in_region || fo_guard_contains(p)) /* libc has no memory there */
        return WRONG;
    uintptr_t below = fo_registry_near(p);
    return below != 0 && is_inside(below, p) ? WRONG : NOTHING;
}

bool fo_mixing_has_block(const void *p)
{
    return p != NULL && classify((uintptr_t)p) != NOTHING;
}

struct call {
    uintptr_t outer;
    int saved_errno;
};

/* Reports show `caller` where other reports show the caller of the OpenSSL function. */
static struct call enter(uintptr_t caller)
{
    struct call call = {fo_thread.caller, errno};

    fo_thread_enter(caller);
    return call;
}

/* libc's free does not change errno, nor do the other functions when they succeed. */
static void leave(const struct call *call)
{
    fo_thread_enter(call->outer);
    errno = call->saved_errno;
}

bool fo_mixing_free(void *p, uintptr_t caller)
{
    enum what what = classify((uintptr_t)p);
    if (what == NOTHING)
        return false;
    struct call call = enter(caller);
    if (what == LIVE && !fo_engine_can_mix(caller))
        fo_libc_call((uintptr_t)p, FO_OPERATION_FREE, "free", "freed all the same");
    fo_free(p, NULL, 0);
    leave(&call);
    return true;
}

bool fo_mixing_realloc(void *p, size_t size, const char *function, uintptr_t caller, void **answer)
{
    enum what what = classify((uintptr_t)p);
    if (what == NOTHING)
        return false;
    struct call call = enter(caller);
    if (what == LIVE && !fo_engine_can_mix(caller))
        fo_libc_call((uintptr_t)p, FO_OPERATION_REALLOC, function,
                     size != 0 ? "moved within OpenSSL's memory" : "freed all the same");
    *answer = fo_realloc(p, size, NULL, 0);
    leave(&call);
    if (*answer == NULL && size != 0)
        errno = ENOMEM;
    return true;
}

bool fo_mixing_usable_size(void *p, uintptr_t caller, size_t *answer)
{
    enum what what = classify((uintptr_t)p);
    if (what == NOTHING)
        return false;
    struct call call = enter(caller);
    *answer = fo_libc_usable_size((uintptr_t)p);
    leave(&call);
    return true;
}
