/* The library's own memory that must be shared between processes exactly when OpenSSL's blocks
 * are: registry, quarantine, tombstones, and the table of processes.  One mapping, private by
 * default; memory.c replaces it by a shared one before the first block if need be. */
#ifndef FO_CORE_MEMORY_H
#define FO_CORE_MEMORY_H

#include "core/base.h"
#include "core/block.h"
#include "core/registry.h"

enum { FO_SHARDS = 16, FO_PROCESSES = 1 << FO_PROCESS_BITS };

/* One free, remembered: in quarantine first, then as a tombstone. */
struct fo_freed {
    uint64_t address; /* of the payload; bit 0: the memory is with its backend already */
    fo_site allocated;
    uint64_t word; /* the header's word while it lived */
    fo_site freed;
    uint32_t process; /* index into the table of processes */
    uint32_t thread;  /* 0: the main thread */
};

/* A ring of frees.  [head - capacity, tail) are tombstones, [tail, head) wait in quarantine.  The
 * lock holds the owner's pid; nobody waits for it, see quarantine.c. */
struct fo_shard {
    _Alignas(64) uint32_t lock;
    uint64_t head, tail;
    size_t bytes;
    struct fo_freed *entries;
};

/* One process of the tree.  Index 0 means "not known". */
struct fo_lineage {
    uint32_t pid;
    uint32_t parent; /* index */
    uintptr_t place; /* return address of its parent's fork(), 0: not known */
    char name[16];
};

struct fo_memory {
    uint8_t **root;
    struct fo_leaf_pool pool;
    uint32_t processes_used;
    uint32_t shards_used;
    uint64_t ring_mask;   /* capacity of each ring - 1, a power of two less one */
    uint64_t ring_held;   /* at most so many of them wait in quarantine */
    size_t shard_limit;   /* bytes that wait in one shard: the option's, by shards in use */
    struct fo_lineage processes[FO_PROCESSES];
    struct fo_shard shards[FO_SHARDS];
};

/* A new, empty map; NULL when the system has no room for it.  The one before it stays mapped: a
 * thread may be looking at it. */
struct fo_memory *fo_memory_map(bool shared);

#endif
