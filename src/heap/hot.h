/* What the hooks' fast path through backend `arena` reads and writes: bins, headers, and the
 * process's own copy of what does not change.  region.h describes the whole. */
#ifndef FO_HEAP_HOT_H
#define FO_HEAP_HOT_H

#include "base/block.h"
#include "heap/classes.h"
#include "process/living.h"
#include "process/process.h"

enum { FO_PAGE_SHIFT = 16, FO_MAGAZINE_END = 512 };

#define FO_REGION_DEAD  UINT64_C(0x8000)
#define FO_REGION_FREED (FO_REGION_DEAD | 1)
#define FO_REGION_HELD  (FO_REGION_DEAD | 2)
#define FO_REGION_MAKER (((UINT64_C(1) << FO_PROCESS_BITS) - 1) << FO_META_SHIFT)
#define FO_REGION_META  (~UINT64_C(0xffff))
#define FO_REGION_LARGE UINT64_C(0x7fff) /* inverts a large block's check bits: find.c */

/* A place for a freed block, and the record of its free: kept apart from the block, so that no
 * write through a stale pointer can change it. */
struct fo_cell {
    uintptr_t payload; /* 0: empty */
    fo_site freed;
    uint64_t by; /* mark << FO_ADDRESS_BITS | caller, see fo_thread */
};

/* Is this behind the last cell of a magazine?  The address answers that, without a read that might
 * miss the processor's cache. */
static inline bool fo_cell_is_end(const struct fo_cell *cell)
{
    return (uintptr_t)cell % FO_MAGAZINE_END == 0;
}

struct fo_bin {
    struct fo_cell *take;         /* the next to hand out; an empty cell: none left */
    struct fo_cell *put;          /* for the next freed one; an end: no room left */
    uint32_t first, last, queued; /* full magazines that wait, oldest first: the quarantine */
    uint32_t ready, readied;      /* those that have waited, newest first: used next */
    uint32_t keep;                /* how many magazines wait */
    uint32_t most;                /* how many may be ready; the rest is for all threads */
    uint32_t page;                /* from which fresh slots are taken; 0: none */
    uint32_t spare;               /* empty magazines, `spares` of them */
    uint32_t grown;               /* how often fresh slots were taken since a freed one was */
    uint32_t reciprocal;          /* of the class's slots: fo_reciprocal() */
    uint16_t spares, most_spares; /* and their limit; the rest is for all threads */
};
_Static_assert(sizeof(struct fo_bin) == 64, "a cache line");

/* Does a slot that was handed out begin here?  One multiplication answers that (after Lemire, Kaser
 * and Kurz 2019, "Faster remainder by direct computation"): with c = 2^32 / size + 1, in integers,
 * and e = size * c - 2^32, which is 1 to size, for any offset = n * size + rest
 *
 *   offset * c mod 2^32 = n * e + rest * c
 *
 * as long as that is below 2^32: n * e <= 65,536 and (size - 1) * c < 2^32 - c + size.  Where rest
 * is 0, it is below handed * e exactly if n < handed; otherwise at least c, which is more.
 * unit.ground tries all offsets of all classes. */
static inline uint32_t fo_reciprocal(uint32_t slot)
{
    return (uint32_t)((UINT64_C(1) << 32) / slot) + 1;
}

/* For fo_ground.handed: the page's first `count` slots are handed out. */
static inline uint32_t fo_handed(uint32_t slot, uint32_t count)
{
    return count * (slot * fo_reciprocal(slot));
}

/* What the fast path must know of a page.  It is a table of its own, read before any header: what a
 * block holds never decides whether it is one. */
struct fo_ground {
    uint32_t handed;       /* fo_handed() of slots; else 0 */
    uint16_t bin;          /* of slots: offset of their bin in a cache */
    uint16_t foreign_part; /* 1: the mapping there is foreign */
};

struct fo_cache {
    _Alignas(64) struct fo_bin bins[FO_REGION_CLASSES];
    struct fo_living owner;
    uint32_t index;          /* fo_cache_at() */
    uint64_t maker;          /* the thread that makes it, as an owner (process/living.h) */
    bool made;               /* its bins can be used */
    bool drained;            /* released, and what waited in it went to all threads */
    struct fo_cell *nothing; /* an empty cell: fo_region_stop() */
};

/* It lies on the process's page (process/process.h), which the kernel zeroes in a forked child. */
struct fo_direct {
    uint64_t size;  /* the fast path has payloads up to so many bytes; 0: none */
    uintptr_t near; /* fo_direct_distance() */
    uint64_t limit; /* bytes behind that, for frees on the fast path */
    uint64_t shared_size, shared_limit; /* the same for a heap that processes share:
                                           block/hooks_shared.c; one pair of the two is 0 */
    uint64_t bytes;                     /* the same, also when every free takes the slow path */
    uint64_t object_bits;               /* of a header: as in `meta` on the fast path of X_free() */
    uint64_t by_name; /* as size, for callers of CRYPTO_malloc; load/openssl_memory.c */
    const struct fo_ground *grounds; /* region.h: ground, from base */
    uint64_t meta;                   /* of every header: process, backend */
    uint64_t key;                    /* of the check bits; odd */
    uint64_t fine;                   /* the part of fo_region.fine that is in `bins` */
    bool orphans;                    /* caches that a fork left behind may be adopted */
    bool held_back;                  /* shared, and the thread that was forked has not called yet */
    uint16_t bins[FO_REGION_STEPS];  /* offset of its bin in a cache, for each 16 bytes of size */
};

_Static_assert(sizeof(struct fo_direct) <= FO_PROCESS_HEAP && _Alignof(struct fo_direct) <= 8,
               "it lies on the process's page");

static FO_ALWAYS_INLINE struct fo_direct *fo_direct_of(struct fo_process *process)
{
    return (struct fo_direct *)(void *)process->heap;
}

/* The distance from the first payload of page 1, where the fast path of a free begins.  Two memory
 * words have that place and its limit, and another thread may set them at this moment, with the
 * first block of all.  So a `near` of 0 puts NULL and all low addresses behind every limit. */
enum { FO_DIRECT_NOWHERE = 1 << 30 };

static FO_ALWAYS_INLINE uintptr_t fo_direct_distance(const struct fo_direct *d, uintptr_t p)
{
    return p + FO_HOT_LOAD(&d->near) - FO_DIRECT_NOWHERE;
}

/* Relaxed: before the limit is released, every place is behind it. */
static inline void fo_direct_begin(struct fo_direct *d, uintptr_t first)
{
    FO_RELAXED_STORE(&d->near, FO_DIRECT_NOWHERE - first);
}

/* Does the payload lie in the range of the fast path? */
static inline bool fo_direct_contains(const struct fo_direct *d, uintptr_t p)
{
    return fo_direct_distance(d, p) < FO_HOT_LOAD(&d->bytes);
}

/* A distance, as a page and an offset from the page's first payload. */
struct fo_spot {
    const struct fo_ground *grounds;
    uintptr_t page;
    uint32_t offset;
};

static FO_ALWAYS_INLINE struct fo_spot fo_spot_at(const struct fo_direct *d, uintptr_t distance)
{
    uint32_t offset = (uint16_t)distance;

    FO_OPAQUE(offset); /* no copy of the distance */
    return (struct fo_spot){d->grounds, distance >> FO_PAGE_SHIFT, offset};
}

/* Relaxed: the thread that made the page wrote it before it handed out a block.  For a stale
 * pointer it may be an older one: then the header's check bits decide. */
static FO_ALWAYS_INLINE uint16_t fo_spot_bin(const struct fo_spot *spot)
{
    return FO_RELAXED_LOAD(&spot->grounds[spot->page].bin);
}

/* `bin` is the one of fo_spot_bin(). */
static FO_ALWAYS_INLINE bool fo_spot_is_slot(const struct fo_spot *spot, const struct fo_bin *bin)
{
    uintptr_t page = spot->page;

    FO_OPAQUE(page); /* no address to keep from fo_spot_bin() */
    return spot->offset * bin->reciprocal < FO_HOT_LOAD(&spot->grounds[page].handed);
}

/* The check bits tell the states of a slot, and damage; fo_spot_is_slot() tells whether a slot is
 * here (docs/security.md).  The bit above them means "not live" and is not hashed: its flip always
 * makes a difference; if it were hashed, one flip in 32,768 would make none. */
static inline uint64_t fo_region_check(uint64_t key, uintptr_t payload, fo_site site, uint64_t word)
{
    return fo_keyed_hash(key, (site ^ (word & FO_REGION_META)) + payload) >> 49;
}

/* Is the word that of a live block? */
static inline bool fo_region_word_is_live(uint64_t key, uintptr_t payload, fo_site site,
                                          uint64_t word)
{
    return (uint16_t)fo_region_check(key, payload, site, word) == (uint16_t)word;
}

/* The lower bits in which the word differs from a live block's: 0, FO_REGION_FREED or
 * FO_REGION_HELD; anything else is damage. */
static inline uint64_t fo_region_freed_word(uint64_t key, uintptr_t payload, fo_site site,
                                            uint64_t word)
{
    return (word & ~FO_REGION_META) ^ fo_region_check(key, payload, site, word);
}

#endif
