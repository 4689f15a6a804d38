/* Realloc: a new block, a copy, and a free.  Relaxed as in hooks_free.c. */
#include "block/hooks.h"

#include <string.h>

#include "backend/backend.h"
#include "base/libc_memory.h"
#include "block/hooks_parts.h"
#include "block/quarantine.h"
#include "block/fast.h"
#include "heap/direct.h"
#include "options/options.h"
#include "process/process.h"

static FO_COLD void *refuse_realloc(uintptr_t p, size_t size, fo_site now)
{
    FO_VERDICT_SET_FRAME();
    if (fo_judge_pointer(p, FO_OPERATION_REALLOC, now) == FO_FINDING_FOREIGN &&
        fo_options.foreign == FO_FOREIGN_FREE && !fo_region_contains(p))
        return fo_libc_memory.realloc((void *)p, size);
    return NULL;
}

void *fo_allocate_from(unsigned id, size_t size, const char *file, int line)
{
    void *base = fo_backends[id]->alloc(fo_room(size) + 8, file, line);
    if (base == NULL)
        return NULL;
    uint64_t fresh = fo_new_word(size, fo_with_backend(fo_process_meta(fo_process_self()), id));
    uintptr_t payload = fo_payload_in(base, &fresh);
    uint8_t *slot = fo_registry_slot_make(payload);
    if (slot == NULL) {
        fo_backends[id]->free(base, fo_room(size) + 8, file, line);
        return fo_out_of_memory();
    }
    return fo_header_set_any(payload, fresh, fo_site_pack(file, line), slot);
}

/* A block keeps its backend (law 6) when it moves, even if another one is active by now; except
 * that a guarded block is chosen anew. */
static void *allocate_like(uint64_t word, size_t size, const char *file, int line)
{
    unsigned id = fo_word_backend(word);

    if (id == fo_word_backend(fo_process_meta(fo_process_self())) || id == FO_BACKEND_GUARD ||
        id == FO_BACKEND_SAMPLED || size > FO_SIZE_MAX)
        return fo_malloc(size, file, line);
    return fo_allocate_from(id, size, file, line);
}

/* Is it a live block that no other thread can free meanwhile? */
static bool is_safe(uintptr_t payload)
{
    const struct fo_direct *d = fo_direct_of(fo_hot.process);
    uintptr_t distance = fo_direct_distance(d, payload);
    uint64_t word;

    if (fo_hot_is_concurrent() || distance >= FO_HOT_LOAD(&d->limit))
        return false;
    const struct fo_bin *bin = fo_live_fast(d, (void *)payload, distance, &word, false);
    size_t steps = bin != NULL ? (fo_word_size(word) - 1) >> 4 : FO_REGION_STEPS;
    return steps < FO_REGION_STEPS &&
           bin == fo_bin_at(FO_HOT_LOAD(&d->bins[steps])); /* the copy relies on the size */
}

static void *move_directly(void *p, size_t size, const char *file, int line)
{
    size_t old = fo_word_size(fo_header_of((uintptr_t)p)->word);
    void *moved = fo_malloc(size, file, line);

    if (moved == NULL)
        return NULL;
    memcpy(moved, p, old < size ? old : size);
    fo_free(p, file, line);
    return moved;
}

static void *realloc_directly(uintptr_t payload, size_t size, const char *file, int line)
{
    if (fo_likely(is_safe(payload)))
        return move_directly((void *)payload, size, file, line);
    fo_site now = fo_site_pack(file, line);
    struct fo_at at = fo_region_hold(payload);

    if (at.payload == payload && at.state == FO_FOUND_DAMAGED && !fo_region_is_unused(&at)) {
        fo_damaged_block(payload, FO_OPERATION_REALLOC, now);
        return NULL;
    }
    if (at.payload != payload || at.state != FO_FOUND_LIVE)
        return refuse_realloc(payload, size, now);
    if (fo_region_resize(&at, size, now))
        return (void *)payload;
    void *moved = fo_malloc(size, file, line);
    if (moved == NULL) {
        fo_region_release(&at);
        return NULL;
    }
    size_t old = fo_word_size(at.word);
    memcpy(moved, (const void *)payload, old < size ? old : size);
    fo_region_free_held(&at, now);
    return moved;
}

/* Can libc move the block, by its pages?  Only a block of libc's that is too large for the
 * quarantine, when freed blocks are not checked and none is guarded. */
static bool can_move_by_libc(uint64_t word, size_t size)
{
    enum { CHEAP_TO_COPY = 128 << 10 }; /* libc maps larger ones */

    return fo_word_size(word) >= CHEAP_TO_COPY && fo_word_backend(word) == FO_BACKEND_LIBC &&
           size <= FO_SIZE_MAX && !FO_RELAXED_LOAD(&fo_hot.shared) &&
           !FO_RELAXED_LOAD(&fo_hot.checks_frees) && !FO_RELAXED_LOAD(&fo_hot.guard) &&
           fo_options.stacks == 0 && fo_hot.tail == 0 && fo_word_pad(word) == 0 &&
           fo_quarantine_is_too_small(fo_word_size(word));
}

/* The caller owns the block.  While libc moves it, it is marked as freed, also in its header, which
 * may stay at the old address.  NULL: nothing has changed. */
static void *move_by_libc(uintptr_t payload, uint8_t *slot, size_t size, fo_site now)
{
    struct fo_header *h = fo_header_of(payload);
    fo_site site = h->site;
    uint64_t word = h->word, fresh = fo_new_word(size, fo_process_meta(fo_process_self()));
    size_t old = fo_word_size(word);
    uint8_t *leaf = fo_registry_leaf();

    if (leaf == NULL)
        return NULL;
    FO_RELAXED_STORE(&h->word, fo_word_freed(word));
    __atomic_store_n(slot, FO_SLOT_GONE, __ATOMIC_RELEASE);
    char *base = fo_libc_memory.realloc(h, fo_room(size) + 8);
    if (base == NULL) {
        fo_registry_slot_with(payload, leaf);
        FO_RELAXED_STORE(&h->word, word);
        __atomic_store_n(slot, FO_SLOT_BUSY, __ATOMIC_RELEASE);
        return NULL;
    }
    fresh = fo_with_backend(fresh, FO_BACKEND_LIBC);
    uintptr_t moved = fo_payload_in(base, &fresh);
    if (moved != (uintptr_t)base + sizeof *h)
        memmove((void *)moved, base + sizeof *h, old < size ? old : size);
    if (moved != payload)
        fo_quarantine_remember(payload, site, word, now);
    return fo_header_set_any(moved, fresh, now, fo_registry_slot_with(moved, leaf));
}

/* Except for large blocks, a new block and a copy: so the old address enters the quarantine, and
 * a stale pointer to it is found. */
FO_NO_STACK_PROTECTOR void *fo_realloc(void *p, size_t size, const char *file, int line)
{
    uintptr_t payload = (uintptr_t)p;

    if (p == NULL)
        return fo_malloc(size, file, line);
    if (size == 0) {
        fo_free(p, file, line);
        return NULL;
    }
    if (fo_is_direct(payload))
        return realloc_directly(payload, size, file, line);
    fo_site now = fo_site_pack(file, line);
    uint8_t *slot = fo_registry_slot(payload);
    if (fo_unlikely(slot == NULL || !fo_registry_claim(slot, FO_SLOT_LIVE, FO_SLOT_BUSY)))
        return refuse_realloc(payload, size, now);
    struct fo_header *h = fo_header_of(payload);
    uint64_t word = h->word;
    if (fo_unlikely(!fo_header_is_whole(payload, h))) {
        fo_refuse_damaged(payload, slot, FO_OPERATION_REALLOC, now);
        return NULL;
    }
    void *moved = can_move_by_libc(word, size) ? move_by_libc(payload, slot, size, now) : NULL;
    if (moved != NULL)
        return moved;
    moved = allocate_like(word, size, file, line);
    if (moved == NULL) {
        __atomic_store_n(slot, FO_SLOT_LIVE, __ATOMIC_RELEASE); /* as it was */
        return NULL;
    }
    size_t old = fo_word_size(word);
    memcpy(moved, p, old < size ? old : size);
    __atomic_store_n(slot, FO_SLOT_FREED, __ATOMIC_RELEASE);
    if (fo_unlikely(FO_RELAXED_LOAD(&fo_hot.checks_frees)) &&
        fo_watch_free(payload, h->site, word, FO_OPERATION_REALLOC, now))
        return moved;
    FO_RELAXED_STORE(&h->word, fo_word_freed(word));
    fo_quarantine_put(payload, h->site, word, now);
    return moved;
}
