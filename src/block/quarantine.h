/* Freed blocks wait here, first in first out.  The record of each one stays after the block has
 * left: address, both source lines, processes and thread.  Records lie outside the blocks, so that
 * no write through a stale pointer can falsify them.
 *
 * Blocks of `libc` leave the quarantine in one of two ways.  Once a size class has its share of the
 * bytes (block/memory.c), the next allocation of that class reuses its oldest block: this saves a
 * call of malloc and one of free, which pays for the checks.  And when too many bytes wait, blocks
 * of the largest queue go back to libc.  Blocks of other backends always go back, since these
 * backends have to see every allocation.
 *
 * Each thread uses one of 16 shards.  A thread tries a shard's lock and never waits for it: if it
 * is held (by another thread, by this thread below a signal handler, by a thread of the parent that
 * the fork did not copy), the thread uses the next shard.  So there is no deadlock.  Steps are
 * ordered so that an owner that is killed at any instruction leaves consistent queues, and at most
 * the block in flight is lost.  So another thread can adopt the lock of an owner that is dead.
 *
 * Relaxed is what the lock's owner alone writes.  Records are read without the lock: `head` orders
 * them. */
#ifndef FO_BLOCK_QUARANTINE_H
#define FO_BLOCK_QUARANTINE_H

#include "base/block.h"
#include "base/hot.h"
#include "block/memory.h"
#include "block/registry.h"
#include "block/watch.h"
#include "process/process.h"

/* With backend `host`, a waiting block takes more of the program's pool than its payload: the
 * block's header, 8 bytes of rounding on average, and the pool's own header, of unknown size.  That
 * is about 88 bytes in the allocator of Debian's Kamailio (qm), and less in others.  Most blocks
 * are of 16 to 32 bytes. */
enum { FO_SPENT_BY_HOST = sizeof(struct fo_header) + 8 + 88 };

/* Bytes of FREEONCE_QUARANTINE that a waiting block takes. */
static inline size_t fo_quarantine_bytes(size_t size)
{
    return size + FO_RELAXED_LOAD(&fo_hot.spent);
}

/* Lock this thread's shard, or else any other one.  NULL: all are locked. */
FO_COLD struct fo_shard *fo_quarantine_lock_slowly(uint32_t id);

/* Open a shard for the calling thread, before it enters a sandbox that may forbid mmap(2). */
void fo_quarantine_begin(void);

/* The calling thread ends, and is no longer counted in its shard. */
void fo_quarantine_leave(void);

/* The slow path of fo_quarantine_put(). */
void fo_quarantine_put_slowly(uintptr_t payload, fo_site allocated, uint64_t word, fo_site freed);

/* Is a block of this size given back at once, so that only its record stays? */
bool fo_quarantine_is_too_small(size_t size);

/* Enter such a record, of a block that the caller has given back. */
void fo_quarantine_remember(uintptr_t payload, fo_site allocated, uint64_t word, fo_site freed);

/* Evict blocks of this locked shard until it keeps its limits, and unlock it. */
void fo_quarantine_drain(struct fo_shard *s, struct fo_queue *q);

/* The program ends: check all waiting blocks, if freed blocks are filled. */
void fo_quarantine_sweep(void);

enum fo_remembered { FO_FORGOTTEN, FO_TOMBSTONE, FO_WAITING };

/* Newest record of a free of this payload: waiting in quarantine or, failing that, a tombstone.
 * Takes no lock, so it works on the report path.  Tombstones of several threads for one address
 * have no order among them: any one of them is taken. */
enum fo_remembered fo_quarantine_find(uintptr_t payload, struct fo_freed *out);

static inline bool fo_shard_try(struct fo_shard *s, uint32_t id)
{
    uint32_t none = 0;

    if (fo_unlikely(fo_hot_is_concurrent()))
        return __atomic_compare_exchange_n(&s->lock, &none, id, false, __ATOMIC_ACQUIRE,
                                           __ATOMIC_RELAXED);
    /* One thread: a signal handler runs as a whole between two instructions. */
    if (fo_unlikely(FO_RELAXED_LOAD(&s->lock) != 0))
        return false;
    FO_RELAXED_STORE(&s->lock, id);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return true;
}

static inline void fo_shard_unlock(struct fo_shard *s)
{
    __atomic_store_n(&s->lock, 0, __ATOMIC_RELEASE);
}

static inline struct fo_freed *fo_queue_entry(const struct fo_queue *q, uint32_t number)
{
    return &q->entries[number & q->mask];
}

/* Enter a free; `no_wait` is 1 for a block that does not wait. */
static inline void fo_queue_record(struct fo_shard *s, struct fo_queue *q, uint64_t no_wait,
                                   uintptr_t payload, fo_site allocated, uint64_t word,
                                   fo_site freed)
{
    uint32_t head = q->head;
    struct fo_freed *e = fo_queue_entry(q, head);

    /* A thread that reads a part of this record, in place of an old one, sees the head, too. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    FO_RELAXED_STORE(&e->address, (uint64_t)payload | no_wait);
    FO_RELAXED_STORE(&e->allocated, allocated);
    FO_RELAXED_STORE(&e->word, word);
    FO_RELAXED_STORE(&e->freed, freed);
    FO_RELAXED_STORE(&e->thread_id, fo_thread.id | s->clock++ << FO_THREAD_ID_CLOCK);
    FO_RELAXED_STORE(&e->caller, fo_thread.caller);
    FO_RELAXED_STORE(&e->stacks, fo_thread.stacks);
    __atomic_store_n(&q->head, head + 1, __ATOMIC_RELEASE);
}

/* Put a freed block into the quarantine; the caller has just changed its slot: LIVE to FREED. */
static inline void fo_quarantine_put(uintptr_t payload, fo_site allocated, uint64_t word,
                                     fo_site freed)
{
    uint32_t id = __atomic_load_n(&fo_hot.process->id, __ATOMIC_ACQUIRE);
    struct fo_shard *s = fo_thread.home; /* set only together with fo_thread.id */
    size_t size = fo_word_size(word);

    if (fo_unlikely(id == 0) || fo_unlikely(s == NULL) ||
        fo_unlikely(size + fo_hot.tail > FO_CLASS_MAX) || fo_unlikely(!fo_shard_try(s, id))) {
        fo_quarantine_put_slowly(payload, allocated, word, freed);
        return;
    }
    struct fo_queue *q = &s->queues[fo_class_of(size + fo_hot.tail)];
    size_t classed = s->classed + size;
    FO_RELAXED_STORE(&s->classed, classed);
    fo_queue_record(s, q, 0, payload, allocated, word, freed);
    if (fo_unlikely(classed > FO_RELAXED_LOAD(&s->limit)) ||
        fo_unlikely(q->head - q->tail > q->held)) {
        fo_quarantine_drain(s, q);
        return;
    }
    fo_shard_unlock(s);
}

/* The payload of the oldest block of this class that has waited long enough, or 0.  The caller owns
 * it; its slot is still FREED. */
static inline uintptr_t fo_quarantine_recycle(size_t class, uint32_t id)
{
    struct fo_shard *s = fo_thread.home;

    if (fo_unlikely(s == NULL) || fo_unlikely(!fo_shard_try(s, id)))
        return 0;
    struct fo_queue *q = &s->queues[class];
    uint32_t tail = q->tail;
    if (fo_unlikely(q->head - tail <= FO_RELAXED_LOAD(&q->ripe))) {
        fo_shard_unlock(s);
        return 0;
    }
    struct fo_freed *e = fo_queue_entry(q, tail);
    uintptr_t payload = (uintptr_t)e->address;
    size_t size = fo_word_size(e->word);
    /* The block that is reused next was last touched long ago. */
    __builtin_prefetch((const void *)(fo_queue_entry(q, tail + 2)->address - 16), 1);
    __atomic_store_n(&q->tail, tail + 1, __ATOMIC_RELEASE);
    FO_RELAXED_STORE(&s->classed, s->classed - size);
    if (fo_unlikely(fo_hot.fill))
        fo_watch_check_fill(e);
    fo_shard_unlock(s);
    return payload;
}

#endif
