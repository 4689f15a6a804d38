/* The fast path of a heap that processes share (backend shm).  Another process can write the heap's
 * records at any moment: each address from there is read once and compared with its bounds, so that
 * neither crash nor a write outside of the heap follows.  The hooks' fast path (fast.h) leaves out
 * these comparisons and is off for such a heap; it costs a private one nothing that they are here.
 * Relaxed as in fast.h. */
#include "block/fast.h"
#include "block/hooks.h"
#include "block/hooks_parts.h"
#include "heap/direct.h"

static FO_ALWAYS_INLINE void *malloc_bounded(const struct fo_direct *d, size_t size,
                                             const char *file, int line)
{
    return fo_malloc_fast(d, FO_RELAXED_LOAD(&d->shared_size), size, file, line, true);
}

static __attribute__((noinline)) void *refill(size_t size, const char *file, int line)
{
    struct fo_direct *d = fo_direct_of(fo_process_self());
    void *p = NULL;

    if (size - 1 >= __atomic_load_n(&d->shared_size, __ATOMIC_ACQUIRE))
        return NULL;
    if (fo_unlikely(FO_RELAXED_LOAD(&d->fine) != FO_RELAXED_LOAD(&fo_region->fine)))
        fo_region_refine(d);
    bool borrows = fo_cache_enter();
    if (borrows)
        p = malloc_bounded(d, size, file, line);
    if (p == NULL && fo_cache_fill(fo_direct_class(d, size)))
        p = malloc_bounded(d, size, file, line);
    if (borrows)
        fo_cache_leave();
    return p;
}

void *fo_malloc_shared(size_t size, const char *file, int line)
{
    void *p = malloc_bounded(fo_direct_of(fo_hot.process), size, file, line);

    return fo_likely(p != NULL) ? p : refill(size, file, line);
}

/* Put the block into this cell, unless another thread frees it at this moment. */
static FO_ALWAYS_INLINE bool put(struct fo_bin *bin, struct fo_cell *cell, uintptr_t payload,
                                 fo_site now, uint64_t word)
{
    struct fo_header *h = fo_header_of(payload);

    if (fo_likely(FO_HOT_LOAD(fo_hot.alone) != 0)) {
        FO_HOT_FLIP(&h->word, FO_REGION_FREED);
        fo_put_fast(bin, cell, payload, now);
        return true;
    }
    if (!__atomic_compare_exchange_n(&h->word, &word, word ^ FO_REGION_HELD, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return false;
    fo_put_fast(bin, cell, payload, now);
    __atomic_store_n(&h->word, word ^ FO_REGION_FREED, __ATOMIC_RELEASE);
    return true;
}

/* The magazine for frees is full, or there is no cache: then the thread claims or borrows one. */
static __attribute__((noinline)) bool free_rotating(struct fo_bin *bin, uintptr_t payload,
                                                    fo_site now, uint64_t word)
{
    unsigned class = (unsigned)(bin - fo_thread.cache->bins);
    bool borrows = fo_thread.cache == &fo_no_cache && fo_cache_enter(), freed = false;

    if (fo_cache_own() != NULL && fo_cache_rotate(class)) {
        bin = &fo_thread.cache->bins[class];
        struct fo_cell *cell = FO_RELAXED_LOAD(&bin->put);
        freed = fo_cell_is_possible(cell) && !fo_cell_is_end(cell) &&
                put(bin, cell, payload, now, word);
    }
    if (borrows)
        fo_cache_leave();
    return freed;
}

bool fo_free_shared(uintptr_t payload, fo_site now)
{
    const struct fo_direct *d = fo_direct_of(fo_hot.process);
    uintptr_t distance = fo_direct_distance(d, payload);
    uint64_t word;

    if (fo_unlikely(distance >= FO_RELAXED_LOAD(&d->shared_limit)))
        return false;
    struct fo_bin *bin = fo_live_fast(d, (void *)payload, distance, &word, true);
    if (fo_unlikely(bin == NULL))
        return false;
    struct fo_cell *cell = FO_RELAXED_LOAD(&bin->put);
    if (fo_unlikely(!fo_cell_is_possible(cell) || fo_cell_is_end(cell)))
        return free_rotating(bin, payload, now, word);
    return put(bin, cell, payload, now, word);
}
