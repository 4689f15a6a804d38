/* The hooks' paths through the region, for blocks whose header the region judges: what the fast
 * path (hot.h, block/fast.h) may do in this process, and the slow path (direct.c). */
#ifndef FO_HEAP_DIRECT_H
#define FO_HEAP_DIRECT_H

#include "heap/region.h"

/* Can callers of CRYPTO_malloc() and the like take the fast path, without a call of OpenSSL? */
extern bool fo_direct_by_name;

/* Does another library interpose those names?  Then every free takes the slow path. */
extern bool fo_direct_wrapped;

/* Where backend arena is or may be, for a first test of a pointer: not all of it belongs to the
 * heap.  The size is 0 if there is no region, or if the registry knows its blocks. */
struct fo_region_range {
    uintptr_t start;
    size_t size;
};
extern FO_HIDDEN struct fo_region_range fo_region_range;

/* Start the hooks' fast path in this process, whose process row is `index`. */
void fo_region_enter(struct fo_direct *d, uint32_t index, bool forked);

/* Sizes that shared a class get classes of their own. */
void fo_region_refine(struct fo_direct *d);

/* The class of a small block of this size.  Relaxed: an old one serves as well. */
static inline unsigned fo_direct_class(const struct fo_direct *d, size_t size)
{
    return FO_RELAXED_LOAD(&d->bins[(size - 1) >> 4]) / sizeof(struct fo_bin);
}

/* Does the hooks' slow path look at every magazine that it gets?  block/sample.h; then a bit of
 * struct fo_direct.fine is set that no class has, so that its test costs nothing otherwise. */
extern bool fo_direct_is_sampled;
#define FO_FINE_SAMPLED (UINT64_C(1) << 63)

/* The same as fo_direct_class(), also for a class that is stopped. */
static inline unsigned fo_direct_class_now(const struct fo_direct *d, size_t size)
{
    unsigned class = fo_direct_class(d, size);

    return fo_likely(class < FO_REGION_CLASSES)
               ? class
               : fo_class_as(FO_RELAXED_LOAD(&fo_region->fine), fo_region_class_of(size));
}

/* From now on, allocations of this class take the slow path, or the fast path again. */
void fo_region_stop(struct fo_direct *d, unsigned class, bool stopped);

/* Start the fast path that was held back: the thread that was forked has called. */
void fo_region_start_fast_path(struct fo_direct *d);

/* In a forked child, once. */
void fo_region_forked(void);

/* The fast path covers what is committed, which may have grown. */
void fo_region_update_limit(struct fo_direct *d);

void *fo_region_malloc(size_t size, fo_site site); /* NULL: no room */

/* Hold this block: only the caller may move or free it.  If it is not live, the answer has its
 * state. */
struct fo_at fo_region_hold(uintptr_t payload);
void fo_region_release(const struct fo_at *held);
void fo_region_free_held(const struct fo_at *held, fo_site now);

/* Resize a held large block where it is, and release it.  False: it is still held, and has to move.
 */
bool fo_region_resize(const struct fo_at *held, size_t size, fo_site now);

#endif
