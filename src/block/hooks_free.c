/* Free: the pointer is judged, then a live block enters the quarantine.  Relaxed: what the choice
 * of a backend set (hot.h), a failed claim, and the header of a block that this thread has claimed.
 */
#include "block/hooks.h"

#include <string.h>

#include "backend/backend.h"
#include "base/libc_memory.h"
#include "base/wipe.h"
#include "block/hooks_parts.h"
#include "block/quarantine.h"
#include "block/fast.h"
#include "heap/direct.h"
#include "options/options.h"
#include "process/process.h"
#include "report/stacks.h"

void fo_refuse_damaged(uintptr_t p, uint8_t *slot, enum fo_operation operation, fo_site now)
{
    __atomic_store_n(slot, FO_SLOT_DAMAGED, __ATOMIC_RELEASE);
    fo_damaged_block(p, operation, now);
}

bool fo_watch_free(uintptr_t payload, fo_site allocated, uint64_t word, enum fo_operation operation,
                   fo_site now)
{
    if (fo_options.canary)
        fo_watch_check(payload, allocated, word, operation, now);
    if (fo_options.stacks != 0)
        fo_thread.stacks = (uint64_t)fo_stack_of(payload, fo_word_size(word)) << 32 |
                           (fo_stacks_for_leaks ? 0 : fo_stack_capture());
    if (fo_word_backend(word) == FO_BACKEND_GUARD) {
        fo_quarantine_put_slowly(payload, allocated, word, now);
        return true;
    }
    if (fo_options.wipe)
        fo_wipe((void *)payload, fo_word_size(word));
    if (fo_hot.fill)
        fo_watch_fill(payload, fo_word_size(word));
    return false;
}

static FO_COLD void refuse_free(uintptr_t p, fo_site now)
{
    FO_VERDICT_SET_FRAME();
    if (fo_judge_pointer(p, FO_OPERATION_FREE, now) == FO_FINDING_FOREIGN &&
        fo_options.foreign == FO_FOREIGN_FREE && !fo_region_contains(p))
        fo_libc_memory.free((void *)p);
}

/* A block of the region is judged by its place and header. */
static FO_COLD void free_directly(uintptr_t payload, fo_site now)
{
    fo_region_update_limit(fo_direct_of(fo_process_self()));
    struct fo_at at = fo_region_hold(payload);
    if (at.payload == payload && at.state == FO_FOUND_LIVE)
        fo_region_free_held(&at, now);
    else if (at.payload == payload && at.state == FO_FOUND_DAMAGED && !fo_region_is_unused(&at))
        fo_damaged_block(payload, FO_OPERATION_FREE, now);
    else
        refuse_free(payload, now);
}

void fo_free_slow(uintptr_t payload, fo_site now)
{
    if (payload == 0)
        return;
    if (FO_RELAXED_LOAD(&fo_hot.direct)) {
        if (fo_layout.shared && fo_free_shared(payload, now))
            return;
        if (fo_region_contains(payload)) {
            free_directly(payload, now);
            return;
        }
    }
    uint8_t *slot = fo_registry_slot(payload);
    if (fo_unlikely(slot == NULL || !fo_registry_claim(slot, FO_SLOT_LIVE, FO_SLOT_FREED))) {
        refuse_free(payload, now);
        return;
    }
    struct fo_header *h = fo_header_of(payload);
    uint64_t word = h->word;
    if (fo_unlikely(!fo_header_is_whole(payload, h))) {
        fo_refuse_damaged(payload, slot, FO_OPERATION_FREE, now);
        return;
    }
    if (fo_unlikely(FO_RELAXED_LOAD(&fo_hot.checks_frees)) &&
        fo_watch_free(payload, h->site, word, FO_OPERATION_FREE, now))
        return;
    FO_RELAXED_STORE(&h->word, fo_word_freed(word));
    fo_quarantine_put(payload, h->site, word, now);
}

/* The calling thread has no cache: it claims or borrows one, and frees again. */
static __attribute__((noinline)) void free_without_cache(uintptr_t payload, fo_site now)
{
    bool borrows = fo_cache_enter();

    if (fo_cache_own() != NULL)
        fo_free((void *)payload, fo_site_file(now), fo_site_line(now));
    else
        fo_free_slow(payload, now);
    if (borrows)
        fo_cache_leave();
}

void fo_free_rotate(uintptr_t payload, fo_site now, struct fo_bin *bin)
{
    if (fo_thread.cache == &fo_no_cache) {
        free_without_cache(payload, now);
    } else if (!fo_cache_rotate((unsigned)(bin - fo_thread.cache->bins))) {
        fo_free_slow(payload, now);
    } else if (fo_hot_is_concurrent()) {
        fo_free((void *)payload, fo_site_file(now), fo_site_line(now));
    } else { /* no other thread has changed the block */
        FO_HOT_FLIP(&fo_header_of(payload)->word, FO_REGION_FREED);
        fo_put_fast(bin, bin->put, payload, now);
    }
}

void fo_free_high_line(uintptr_t payload, const char *file, int line)
{
    fo_free((void *)payload, file, line < 0 || line > FO_LINE_MAX ? FO_LINE_MAX : line);
}

void fo_free_among_threads(uintptr_t payload, fo_site now, struct fo_bin *bin, uint64_t word)
{
    struct fo_header *h = fo_header_of(payload);

    if (fo_unlikely(!__atomic_compare_exchange_n(&h->word, &word, word ^ FO_REGION_HELD, false,
                                                 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))) {
        fo_free_slow(payload, now);
        return;
    }
    fo_put_fast(bin, bin->put, payload, now);
    __atomic_store_n(&h->word, word ^ FO_REGION_FREED, __ATOMIC_RELEASE);
}

static inline void free_elsewhere(uintptr_t payload, const char *file, int line)
{
    if (payload != 0)
        fo_free_slow(payload, fo_site_pack(file, line));
}

void fo_free(void *p, const char *file, int line)
{
    fo_free_fast(p, file, line, free_elsewhere);
}
