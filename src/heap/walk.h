/* A walk through the whole region: does it keep its invariants (region.h), and which blocks are
 * live?  For tests, and for questions like "which source line holds all this memory?".  Exact while
 * no thread allocates or frees; otherwise, what it counts as wrong may be a block in flight. */
#ifndef FO_HEAP_WALK_H
#define FO_HEAP_WALK_H

#include "heap/freeonce_walk.h"
#include "heap/region.h"

typedef void fo_walk_live(void *context, const struct fo_at *live);

/* If blocks are watched or guarded, the hooks write their headers, and block/walk.h has the state
 * of a block. */
enum fo_watched {
    FO_WATCHED_NOT,
    FO_WATCHED_LIVE,
    FO_WATCHED_FREED,
    FO_WATCHED_DAMAGED,
    FO_WATCHED_GONE
};
struct fo_walk_watch {
    enum fo_watched (*state)(uintptr_t payload);
    void (*elsewhere)(fo_walk_live *each, void *context); /* live blocks that lie in no page */
};

/* `each`, if not NULL, is called for every live block.  `watch` is NULL if the heap alone knows
 * of its blocks.  False: there is no region, or no memory. */
bool fo_region_walk(struct fo_walk *out, const struct fo_walk_watch *watch, fo_walk_live *each,
                    void *context);

/* Live blocks, by the source line that allocated them, most bytes first. */
struct fo_walk_site {
    fo_site site;
    uint64_t blocks, bytes;
};

/* The first `room` sites that are met; returns how many. */
size_t fo_region_sites(struct fo_walk_site *out, size_t room);

#endif
