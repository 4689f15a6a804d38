/* The fast path of an allocation and of a free, for backend arena (heap/region.h).  An allocation
 * takes a block from this thread's magazine.  A free finds the slot by its address and compares
 * check bits once.  All else takes the slow path, in hooks.c and hooks_free.c.
 *
 * Backend shm has parts of it with `bounded`, in hooks_shared.c: what is read from the heap's
 * shared records is compared with its bounds.
 *
 * Called from OpenSSL's hook, and from OpenSSL's names CRYPTO_malloc and CRYPTO_free.
 *
 * Relaxed: bins and cells are the calling thread's, and a header is the block's, which the program
 * hands from thread to thread in order.  Where two threads free one block, or a pointer is stale,
 * the exchange of the word decides (tests/models/free-*.litmus). */
#ifndef FO_BLOCK_FAST_H
#define FO_BLOCK_FAST_H

#include "base/block.h"
#include "base/hot.h"
#include "heap/bounds.h"
#include "heap/hot.h"
#include "process/process.h"

void *fo_malloc_slow(size_t size, const char *file, int line) __attribute__((noinline));

/* The same, if backend arena serves the hooks directly: the magazine is empty. */
void *fo_malloc_refill(size_t size, const char *file, int line) __attribute__((noinline));

void fo_free_slow(uintptr_t payload, fo_site now) __attribute__((noinline));

/* The magazine of this bin for frees is full. */
void fo_free_rotate(uintptr_t payload, fo_site now, struct fo_bin *bin) __attribute__((noinline));

/* For a line above FO_LINE_MAX. */
FO_COLD void fo_free_high_line(uintptr_t payload, const char *file, int line);

/* The end of the fast path where another thread may free the same block at this moment: only one of
 * them changes it from live to held. */
void fo_free_among_threads(uintptr_t payload, fo_site now, struct fo_bin *bin, uint64_t word)
    __attribute__((noinline));

/* The fast path of a heap that processes share, hooks_shared.c.  NULL, false: take the slow path.
 */
void *fo_malloc_shared(size_t size, const char *file, int line);
bool fo_free_shared(uintptr_t payload, fo_site now);

static inline struct fo_bin *fo_bin_at(uint16_t where)
{
    return (struct fo_bin *)((char *)fo_thread.cache + where);
}

/* Is one of the thread's bins there? */
static inline bool fo_bin_is_possible(uint16_t where)
{
    return fo_likely(where < FO_REGION_CLASSES * sizeof(struct fo_bin)) &&
           where % sizeof(struct fo_bin) == 0;
}

/* NULL: take the slow path. */
static FO_ALWAYS_INLINE void *fo_malloc_fast(const struct fo_direct *d, uint64_t most, size_t size,
                                             const char *file, int line, const bool bounded)
{
    if (fo_unlikely(size - 1 >= most) || fo_unlikely((unsigned)line > FO_LINE_MAX))
        return NULL;
    struct fo_bin *bin = fo_bin_at(FO_HOT_LOAD(&d->bins[(size - 1) >> 4]));
    struct fo_cell *take = FO_RELAXED_LOAD(&bin->take);
    if (bounded && !fo_cell_is_possible(take))
        return NULL;
    uintptr_t payload = FO_RELAXED_LOAD(&take->payload);
    if (fo_unlikely(payload == 0))
        return NULL;
    if (bounded && !fo_payload_is_possible(payload, size))
        return NULL;
    FO_RELAXED_STORE(&take->payload, 0);
    FO_HOT_ADD(&bin->take, 1);
    /* The block that is used next was last touched long ago. */
    __builtin_prefetch((void *)(FO_RELAXED_LOAD(&take[1].payload) - sizeof(struct fo_header)), 1);
    struct fo_header *h = fo_header_of(payload);
    fo_site site = (fo_site)(unsigned)line << 48 | (uintptr_t)file;
    uint64_t word = (uint64_t)size << FO_SIZE_SHIFT | d->meta;
    FO_RELAXED_STORE(&h->site, site);
    FO_RELAXED_STORE(&h->word, word | fo_keyed_hash(d->key, (site ^ word) + payload) >> 49);
    return (void *)payload;
}

static inline void fo_put_fast(struct fo_bin *bin, struct fo_cell *put, uintptr_t payload,
                               fo_site now)
{
    FO_RELAXED_STORE(&put->freed, now);
    FO_RELAXED_STORE(&put->by, fo_thread.stamp);
    FO_HOT_STORE(&put->payload, payload);
    FO_HOT_ADD(&bin->put, 1);
}

/* Does a live block begin at p, at this distance (less than the limit) from the base?  Its bin, and
 * its header's word; NULL: the slow path decides.
 *
 * Slot and class are known from the address, before the header is read: that may be the program's
 * memory, and the code that follows need not wait until it is loaded. */
static FO_ALWAYS_INLINE struct fo_bin *fo_live_fast(const struct fo_direct *d, void *p,
                                                    uintptr_t distance, uint64_t *word,
                                                    const bool bounded)
{
    const struct fo_spot spot = fo_spot_at(d, distance);
    const uint16_t where = fo_spot_bin(&spot);
    struct fo_bin *bin = fo_bin_at(where);

    if (bounded && !fo_bin_is_possible(where))
        return NULL;
    if (fo_unlikely(!fo_spot_is_slot(&spot, bin)))
        return NULL;
    const struct fo_header *h = (struct fo_header *)p - 1;
    *word = FO_RELAXED_LOAD(&h->word);
    if (fo_unlikely(!fo_region_word_is_live(d->key, (uintptr_t)p, FO_HOT_LOAD(&h->site), *word)))
        return NULL;
    return bin;
}

/* `elsewhere` gets pointers outside the region, NULL included. */
static FO_ALWAYS_INLINE void fo_free_fast(void *p, const char *file, int line,
                                          void (*elsewhere)(uintptr_t, const char *, int))
{
    const struct fo_direct *d = fo_direct_of(fo_hot.process);
    uintptr_t payload = (uintptr_t)p, distance = fo_direct_distance(d, payload);

    if (fo_unlikely(distance >= FO_HOT_LOAD(&d->limit))) {
        elsewhere(payload, file, line);
        return;
    }
    if (fo_unlikely((unsigned)line > FO_LINE_MAX)) {
        fo_free_high_line(payload, file, line);
        return;
    }
    fo_site now = (fo_site)(unsigned)line << 48 | (uintptr_t)file;
    uint64_t word;
    struct fo_bin *bin = fo_live_fast(d, p, distance, &word, false);
    if (fo_unlikely(bin == NULL)) {
        fo_free_slow(payload, now);
        return;
    }
    struct fo_cell *put = bin->put;
    if (fo_unlikely(fo_cell_is_end(put))) {
        fo_free_rotate(payload, now, bin);
        return;
    }
    if (fo_unlikely(FO_HOT_LOAD(fo_hot.alone) == 0)) {
        fo_free_among_threads(payload, now, bin, word);
        return;
    }
    FO_HOT_FLIP(&((struct fo_header *)p - 1)->word, FO_REGION_FREED);
    fo_put_fast(bin, put, payload, now);
}

#endif
