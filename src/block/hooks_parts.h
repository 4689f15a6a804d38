/* What the three hooks share: a block's header is written, and is checked at the free.  Relaxed:
 * the new block's header is ordered by its state in the registry, which is released. */
#ifndef FO_BLOCK_HOOKS_PARTS_H
#define FO_BLOCK_HOOKS_PARTS_H

#include "base/block.h"
#include "base/hot.h"
#include "block/registry.h"
#include "block/verdict.h"
#include "block/watch.h"
#include "heap/region.h"

/* Sets errno to ENOMEM, returns NULL. */
FO_COLD void *fo_out_of_memory(void);

/* Allocate from a backend that is not the active one; hooks_realloc.c. */
void *fo_allocate_from(unsigned id, size_t size, const char *file, int line);

/* Report that a block's header is overwritten; the block is not freed; hooks_free.c. */
FO_COLD void fo_refuse_damaged(uintptr_t payload, uint8_t *slot, enum fo_operation operation,
                               fo_site now);

/* Check a block that is about to be freed, and prepare it for the quarantine.  A guarded block is
 * freed here, since its pages must not stay open in the quarantine: returns true. */
FO_COLD bool fo_watch_free(uintptr_t payload, fo_site allocated, uint64_t word,
                           enum fo_operation operation, fo_site now);

static inline bool fo_header_is_whole(uintptr_t p, const struct fo_header *h)
{
    return fo_is_live(fo_hot.secret, p, h->site, h->word);
}

/* Is the block judged by the region's layout? */
static inline bool fo_is_direct(uintptr_t payload)
{
    return fo_region_contains(payload) && FO_RELAXED_LOAD(&fo_hot.direct);
}

/* The header is complete before the registry shows the block as live. */
static inline void *fo_header_set(uintptr_t payload, uint64_t word, fo_site site, uint8_t *slot)
{
    struct fo_header *h = fo_header_of(payload);

    FO_RELAXED_STORE(&h->site, site);
    FO_RELAXED_STORE(&h->word, word | fo_check(fo_hot.secret, payload, site, word));
    if (fo_unlikely(fo_hot.tail != 0))
        fo_watch_allocate(payload, fo_word_size(word));
    __atomic_store_n(slot, FO_SLOT_LIVE, __ATOMIC_RELEASE);
    return (void *)payload;
}

/* The same for a block of any size. */
static inline void *fo_header_set_any(uintptr_t payload, uint64_t word, fo_site site, uint8_t *slot)
{
    fo_header_set(payload, word, site, slot);
    if (fo_unlikely(fo_word_size(word) > FO_NOTED_SIZE))
        fo_registry_note(payload, fo_word_size(word));
    return (void *)payload;
}

static inline uint64_t fo_new_word(size_t size, uint64_t meta)
{
    return (uint64_t)size << FO_SIZE_SHIFT | meta;
}

/* Where the payload starts in memory that may be aligned to 8 bytes only; sets pad8 in *word. */
static inline uintptr_t fo_payload_in(const void *base, uint64_t *word)
{
    *word |= (uint64_t)((uintptr_t)base >> 3 & 1) << FO_PAD8_SHIFT;
    return ((uintptr_t)base + sizeof(struct fo_header) + 8) & ~(uintptr_t)15;
}

static inline uint64_t fo_with_backend(uint64_t meta, unsigned id)
{
    uint64_t mask = (uint64_t)((1u << FO_BACKEND_BITS) - 1) << FO_BACKEND_SHIFT;

    return (meta & ~mask) | (uint64_t)id << FO_BACKEND_SHIFT;
}

#endif
