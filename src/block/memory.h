/* The library's own memory that must be shared between processes exactly when OpenSSL's blocks
 * are: registry, quarantine, tombstones, and the table of processes.  One mapping, private by
 * default; shared/shared.c replaces it by a shared one before the first block if need be. */
#ifndef FO_BLOCK_MEMORY_H
#define FO_BLOCK_MEMORY_H

#include "base/base.h"
#include "base/freed.h"
#include "block/registry.h"
#include "process/tree.h"

enum { FO_SHARDS = 16 };

/* Payloads of up to FO_CLASS_MAX bytes, with the watched bytes behind them, have size classes, 16
 * bytes apart. */
enum { FO_CLASS_WAIT_LEAST = 16 }; /* the least number of a class that wait before one is reused */
enum { FO_CLASSES = 64, FO_CLASS_MAX = FO_CLASSES * 16, FO_QUEUES = FO_CLASSES + 1 };

static inline size_t fo_class_of(size_t size)
{
    return (size - 1) >> 4;
}

/* A ring of records of frees, first in first out, numbered modulo 2^32.  The blocks of [tail, head)
 * wait in quarantine; the records before tail are tombstones. */
struct fo_queue {
    uint32_t head, tail;
    uint32_t mask; /* capacity - 1, a power of two less one */
    uint32_t held; /* at most so many wait */
    struct fo_freed *entries;
    uint32_t ripe; /* if more wait, the next allocation may reuse the oldest */
    uint32_t unused;
};
_Static_assert(sizeof(struct fo_queue) == 32, "found by a shift on the hot path");

/* A queue for each size class, and one for all other blocks.  The lock holds the owner's id
 * (process/process.h); no thread waits for it, see quarantine.h. */
struct fo_shard {
    _Alignas(64) uint32_t lock;
    uint64_t clock; /* frees in this shard so far */
    size_t limit;   /* for `classed` */
    size_t classed; /* bytes that wait in the classes' queues; fo_quarantine_bytes() */
    size_t other; /* bytes in the last queue; apart, so that large blocks do not evict small ones */
    uint32_t opener; /* the process that opened the shard, or is opening it */
    bool open;       /* the queues can be used; else all of them are zero */
    struct fo_queue queues[FO_QUEUES];
};

struct fo_memory {
    struct fo_root *root;
    struct fo_leaf_pool pool; /* empty in a private map */
    size_t size;
    uint32_t shards_used;
    uint32_t threads[FO_SHARDS]; /* whose home is each shard, about */
    size_t others;               /* `other` of all shards together, about */
    uint32_t locks_recovered;    /* locked by killed writers, recovered since */
    bool own_generators;         /* the program made one; shared/fork_id.h */
    struct fo_tree tree;         /* fo_hot.tree points here */
    struct fo_shard shards[FO_SHARDS];
};

/* Set a shard's limits for this number of shards in use: half of FREEONCE_QUARANTINE is for the
 * classes, divided by that number, and half for all other blocks. */
void fo_shard_limit(struct fo_shard *s, uint32_t users);

/* In private memory a shard has no entries until a thread opens it.  False: no memory. */
bool fo_shard_open(struct fo_shard *s);

/* Bytes of the entries of an open shard, from those of its first queue on. */
size_t fo_shard_entries_size(void);

/* A new, empty map; NULL: no memory. */
struct fo_memory *fo_memory_map(bool shared);
void fo_memory_unmap(struct fo_memory *m);

/* Empty a shared map and make it private, at its address.  False: not possible, nothing changed. */
bool fo_memory_make_private(struct fo_memory *m);

#endif
