/* Which addresses hold a block right now?  The answer never reads the block itself, so it is sound
 * for any 64-bit value: for every 16 bytes of address space there is one byte of state, in leaves
 * of 1 MiB that are made when a block first appears in their 16 MiB.  (The idea is the shadow
 * memory of AddressSanitizer, made sparse.)  Leaves are found by a hash table with linear probing.
 * Neighbouring leaves have neighbouring entries, and the heap of a program is mostly one terabyte
 * or less, so that the first probe finds its leaves.
 *
 * A state is changed by compare-and-exchange of its byte: of two threads, or two processes when the
 * map is shared, that free one block, exactly one succeeds.  No thread waits. */
#ifndef FO_BLOCK_REGISTRY_H
#define FO_BLOCK_REGISTRY_H

#include "base/base.h"
#include "base/hot.h"

enum fo_slot {
    FO_SLOT_NONE = 0,    /* no payload starts here */
    FO_SLOT_LIVE = 1,    /* a live payload */
    FO_SLOT_FREED = 2,   /* freed, in quarantine: the library owns the memory */
    FO_SLOT_BUSY = 3,    /* a realloc moves it at this moment */
    FO_SLOT_DAMAGED = 4, /* its header was found overwritten; never given back */
    FO_SLOT_GONE = 8,    /* memory given back; a payload started here once */
};

/* Bits of the states in which the library owns the memory, in one slot and in eight. */
#define FO_SLOT_OWNED  7
#define FO_SLOTS_OWNED UINT64_C(0x0707070707070707)

enum {
    FO_GRANULE_SHIFT = 4,
    FO_LEAF_SHIFT = 24, /* address bits that one leaf covers */
    FO_LEAF_SIZE = 1 << (FO_LEAF_SHIFT - FO_GRANULE_SHIFT),
    FO_LEAF_INDEX = 4096, /* bytes behind a leaf's states: fo_registry_note() */
    FO_LEAF_MAPPED = FO_LEAF_SIZE + FO_LEAF_INDEX,
    FO_ROOT_COUNT = 1 << 16,
};

/* The last field is written first: an entry that is claimed belongs to that part of the address
 * space for ever, and any thread may fill in the other fields. */
struct fo_root {
    uintptr_t part[FO_ROOT_COUNT]; /* p >> FO_LEAF_SHIFT, once the leaf is there */
    uint8_t *leaf[FO_ROOT_COUNT];  /* where it would begin if it covered the space from address 0 */
    uintptr_t claim[FO_ROOT_COUNT]; /* part + 1; 0: free */
};
#define FO_ROOT_SIZE sizeof(struct fo_root)

/* The slow path of fo_root_find(): after the first probe. */
uint8_t *fo_root_search(const struct fo_root *root, uintptr_t part);

/* False: there is no leaf for this address. */
static inline bool fo_root_can_find(const struct fo_root *root, uintptr_t p)
{
    return FO_RELAXED_LOAD(&root->claim[(p >> FO_LEAF_SHIFT) % FO_ROOT_COUNT]) != 0;
}

/* NULL: there is none.  The leaf is relaxed after `part` is acquired
 * (tests/models/registry-leaf.litmus); the claim, since the thread that has a block there also has
 * its claim. */
static inline uint8_t *fo_root_find(const struct fo_root *root, uintptr_t p)
{
    uintptr_t part = p >> FO_LEAF_SHIFT;
    uintptr_t at = part % FO_ROOT_COUNT;

    if (fo_likely(FO_HOT_LOAD(&root->part[at]) == part))
        return FO_RELAXED_LOAD(&root->leaf[at]);
    return FO_RELAXED_LOAD(&root->claim[at]) == 0 ? NULL : fo_root_search(root, part);
}

/* Does the library own the memory of a payload in this state? */
static inline bool fo_slot_is_owned(uint8_t state)
{
    return (state & FO_SLOT_OWNED) != 0;
}

/* The state byte of the payload that would start at p, or NULL: none can start there. */
static inline uint8_t *fo_registry_slot(uintptr_t p)
{
    if (fo_unlikely((p & 15) != 0))
        return NULL;
    uint8_t *leaf = fo_root_find(fo_hot.root, p);
    return fo_unlikely(leaf == NULL) ? NULL : leaf + (p >> FO_GRANULE_SHIFT);
}

/* The state byte of the 16 bytes around p, or NULL: no payload was ever near. */
static inline uint8_t *fo_registry_slot_around(uintptr_t p)
{
    uint8_t *leaf = fo_root_find(fo_hot.root, p);

    return leaf == NULL ? NULL : leaf + (p >> FO_GRANULE_SHIFT);
}

/* The state byte of a payload that is in the registry: no check is needed. */
static inline uint8_t *fo_registry_slot_known(uintptr_t p)
{
    return fo_root_find(fo_hot.root, p) + (p >> FO_GRANULE_SHIFT);
}

/* As fo_registry_slot(), and makes the leaf when there is none.  NULL: no memory for it. */
uint8_t *fo_registry_slot_make(uintptr_t p);

/* The memory of this payload was given back. */
void fo_registry_evicted(uintptr_t payload);

/* For a payload whose address is not known yet, in private memory: first a leaf, in case that it is
 * needed (NULL: no memory), then the state byte, which cannot fail. */
uint8_t *fo_registry_leaf(void);
uint8_t *fo_registry_slot_with(uintptr_t p, uint8_t *leaf);

/* Change a slot's state.  False: it was not `from`; nothing is ordered then, and the caller looks
 * again. */
static inline bool fo_registry_claim(uint8_t *slot, uint8_t from, uint8_t to)
{
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !FO_HAS_TSAN
    /* One thread and private memory: the same instruction without its lock prefix is still
     * indivisible for a signal handler of this thread. */
    if (!fo_hot_is_concurrent()) {
        uint8_t seen = from;
        __asm__ volatile("cmpxchgb %2, %1" : "+a"(seen), "+m"(*slot) : "q"(to) : "memory", "cc");
        return seen == from;
    }
#endif
    return __atomic_compare_exchange_n(slot, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* A payload of more than FO_NOTED_SIZE bytes is live here now: bit n of its leaf's index means that
 * one began in the leaf's n-th unit of 64 KiB.  So the start of a large block is found without
 * reading every state in between.  The bit is set after the state.  A search that finds no payload
 * in the unit clears it. */
enum { FO_NOTED_SIZE = 16 << 10, FO_UNIT_SHIFT = 16 };
void fo_registry_note(uintptr_t payload, size_t size);

/* The start of the payload that p is in, if it is in one: the nearest start at p or up to
 * FO_NOTED_SIZE below, or else the nearest that was noted, up to FO_LOOK_BACK below; 0 when there
 * is none.  Reads at most FO_LOOK_WORDS words, 8 states each.  For reports. */
#define FO_LOOK_BACK (UINT64_C(256) << 20)
enum { FO_LOOK_UNITS = 4, FO_LOOK_WORDS = 4400 };
uintptr_t fo_registry_below(uintptr_t p);

/* For pointers that are passed to libc, most of which are not OpenSSL's: does a payload start at p,
 * or in front of it and not much more than 1,024 bytes away?  Reads nine words of slots; true also
 * where these are not enough to decide. */
enum { FO_NEAR_WORDS = 9 };
#define FO_NEAR_MOST ((uintptr_t)FO_NEAR_WORDS * 8 << FO_GRANULE_SHIFT)
static inline bool fo_registry_can_be_near(const struct fo_root *root, uintptr_t p)
{
    if (root == NULL)
        return false;
    uintptr_t biased = (uintptr_t)fo_root_find(root, p);
    if (biased == 0)
        return false;
    if (fo_unlikely((p & ((UINT64_C(1) << FO_LEAF_SHIFT) - 1)) < FO_NEAR_MOST))
        return true; /* the slots in front are in another leaf */
    uintptr_t granule = p >> FO_GRANULE_SHIFT;
    const uint64_t *at = (const uint64_t *)((biased + granule) & ~(uintptr_t)7);
    uint64_t any = FO_RELAXED_LOAD(at) << (~granule & 7) * 8; /* without those above p */
#pragma GCC unroll 8
    for (int i = 1; i < FO_NEAR_WORDS; i++)
        any |= FO_RELAXED_LOAD(at - i);
    return (any & FO_SLOTS_OWNED) != 0;
}

/* The start of the nearest payload at p or so far in front, or 0. */
uintptr_t fo_registry_near(uintptr_t p);

/* Memory from which leaves of a map that processes share are cut; see memory.c. */
struct fo_leaf_pool {
    uint8_t *base;
    uint32_t count, used;
};

#endif
