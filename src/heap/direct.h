/* The hooks' way through the region, for blocks whose header the region judges: what the short way
 * (hot.h, block/short.h) may do in this process, and the long way, which is in direct.c. */
#ifndef FO_HEAP_DIRECT_H
#define FO_HEAP_DIRECT_H

#include "heap/region.h"

/* May callers that name the allocator themselves, and not through its owner, go the short way? */
extern bool fo_direct_by_name;

/* Does another library stand in front of those names?  Then every free goes the long way. */
extern bool fo_direct_wrapped;

/* Where backend arena is or may be, for a first look at a pointer: not all of it is ours.  The size
 * is 0 where there is none, or where the registry knows its blocks. */
struct fo_region_range {
    uintptr_t start;
    size_t size;
};
extern FO_HIDDEN struct fo_region_range fo_region_range;

/* Let the hooks' short way be used in this process, whose place in the table is `index`. */
void fo_region_enter(struct fo_direct *d, uint32_t index, bool forked);

/* Sizes get classes of their own that had one together before. */
void fo_region_refine(struct fo_direct *d);

/* For a small block of this size. */
static inline unsigned fo_direct_class(const struct fo_direct *d, size_t size)
{
    return FO_RELAXED_LOAD(&d->bins[(size - 1) >> 4]) / sizeof(struct fo_bin);
}

/* After all: the thread that was forked has come. */
void fo_region_start_fast_path(struct fo_direct *d);

/* In a forked child, once. */
void fo_region_forked(void);

/* The short way is for what is committed, which may have grown. */
void fo_region_update_limit(struct fo_direct *d);

void *fo_region_malloc(size_t size, fo_site site); /* NULL: no room */

/* Keep others from this block: it is the caller's to move or to free.  What else it may be is said
 * in the answer. */
struct fo_at fo_region_hold(uintptr_t payload);
void fo_region_release(const struct fo_at *held);
void fo_region_free_held(const struct fo_at *held, fo_site now);

/* A large block gets another size where it is, and is let go.  False: it is still held, and has to
 * move. */
bool fo_region_resize(const struct fo_at *held, size_t size, fo_site now);

#endif
