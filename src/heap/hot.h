/* What the hooks' short way through backend `arena` reads and writes: bins, headers, and the
 * process's own copy of what does not change.  The whole is described in region.h. */
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
#define FO_REGION_LARGE                                                                            \
    UINT64_C(0x7fff) /* a large block's check bits are turned: find.c                              \
                      */

/* A place for a freed block, and what is known of the free: kept apart from the block, so that no
 * write through a stale pointer falsifies it. */
struct fo_cell {
    uintptr_t payload; /* 0: nothing here */
    fo_site freed;
    uint64_t by; /* mark << FO_ADDRESS_BITS | caller, see fo_thread */
};

/* Behind the last cell of a magazine?  Told from the address: nothing has to be read, which would
 * have to come into the processor's cache first. */
static inline bool fo_cell_is_end(const struct fo_cell *cell)
{
    return (uintptr_t)cell % FO_MAGAZINE_END == 0;
}

struct fo_bin {
    struct fo_cell *take;         /* the next to hand out; nothing here: none left */
    struct fo_cell *put;          /* where the next freed one goes; an end: none left */
    uint32_t first, last, queued; /* full magazines that wait, oldest first: the quarantine */
    uint32_t ready, readied;      /* those that have waited, newest first: to be taken from next */
    uint32_t keep;                /* so many wait */
    uint32_t most;                /* so many may be ready; more go to all threads */
    uint32_t page;                /* from which fresh slots are taken; 0: none */
    uint32_t spare;               /* empty magazines; how many is said below */
    uint32_t grown;               /* so often fresh slots were taken since a freed one was */
    uint32_t reciprocal;          /* of the class's slots: fo_reciprocal() */
    uint16_t spares, most_spares; /* no more of them; others go to all threads */
};
_Static_assert(sizeof(struct fo_bin) == 64, "a cache line");

/* Does a slot that was handed out begin here?  One multiplication says that (after Lemire, Kaser
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

/* What the short way has to know of a page.  A table of its own, and read before any header: what a
 * block holds never decides whether it is one. */
struct fo_ground {
    uint32_t handed;   /* fo_handed() of slots; else 0 */
    uint16_t bin;      /* of slots: where in a cache their bin is */
    uint16_t not_ours; /* something else is there */
};

struct fo_cache {
    _Alignas(64) struct fo_bin bins[FO_REGION_CLASSES];
    struct fo_living owner;
    uint32_t index; /* fo_cache_at() */
    uint64_t maker; /* who saw to it first, as an owner (process/living.h) */
    bool made;      /* its bins can be used */
    bool drained;   /* left, and what waited in it went to all threads */
};

/* The process's page has this (process/process.h), so that the kernel zeroes it in a forked child.
 */
struct fo_direct {
    uint64_t size;  /* payloads up to so many bytes come by the short way; 0: none do */
    uintptr_t near; /* fo_direct_distance() */
    uint64_t limit; /* so many bytes */
    uint64_t bytes; /* the same, also when every free goes the long way */
    uint64_t
        object_bits;  /* of a header: if they are not as in `meta`, X_free() goes the long way */
    uint64_t by_name; /* as size, for callers of CRYPTO_malloc; load/openssl_memory.c */
    const struct fo_ground *grounds; /* region.h: ground, from base */
    uint64_t meta;                   /* of every header: process, backend */
    uint64_t key;                    /* of the check bits; odd */
    uint64_t fine;                   /* what of fo_region.fine is in `bins` */
    bool orphans;                    /* caches that a fork left behind may be adopted */
    bool held_back; /* shared, and the thread that was forked has not been here yet */
    uint16_t bins[FO_REGION_STEPS]; /* where in a cache its bin is, for each 16 bytes of size */
};

_Static_assert(sizeof(struct fo_direct) <= FO_PROCESS_HEAP && _Alignof(struct fo_direct) <= 8,
               "it lies on the process's page");

static FO_ALWAYS_INLINE struct fo_direct *fo_direct_of(struct fo_process *process)
{
    return (struct fo_direct *)(void *)process->heap;
}

/* How far from the first payload of page 1: there the short way of a free begins.  Two memory words
 * say where that is and how far it goes, and another thread may set them at this moment, with the
 * first block of all.  So a `near` of 0 puts NULL, and what lies low, behind every limit. */
enum { FO_DIRECT_NOWHERE = 1 << 30 };

static FO_ALWAYS_INLINE uintptr_t fo_direct_distance(const struct fo_direct *d, uintptr_t p)
{
    return p + FO_HOT_LOAD(&d->near) - FO_DIRECT_NOWHERE;
}

static inline void fo_direct_begin(struct fo_direct *d, uintptr_t first)
{
    FO_RELAXED_STORE(&d->near, FO_DIRECT_NOWHERE - first);
}

/* Is this a payload of the region, as far as the short way goes? */
static inline bool fo_direct_contains(const struct fo_direct *d, uintptr_t p)
{
    return fo_direct_distance(d, p) < FO_HOT_LOAD(&d->bytes);
}

/* So far from base, which is that of a page's first payload. */
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

/* It tells the states of a slot, and damage; whether a slot is here, fo_spot_is_slot() does
 * (docs/security.md).  The bit above it says "not live" and is not hashed: its flip is a difference
 * for certain, where a hash of it would be one in all but one of 32,768. */
static inline uint64_t fo_region_check(uint64_t key, uintptr_t payload, fo_site site, uint64_t word)
{
    return fo_keyed_hash(key, (site ^ (word & FO_REGION_META)) + payload) >> 49;
}

/* As in the header of a live block? */
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
