/* The slow paths of quarantine.h: a thread's shard, locks that are held, eviction of blocks.
 * Relaxed: counts and limits, of which an old value serves as well, and what the lock's owner alone
 * writes. */
#include "block/quarantine.h"

#include <errno.h>

#include "backend/backend.h"
#include "block/watch.h"
#include "heap/system.h"
#include "options/options.h"
#include "process/ending.h"
#include "process/life.h"

/* Is the owner of this lock dead?  In private memory, the id of another process is from a thread of
 * the parent, which the fork did not copy. */
static bool is_owner_dead(uint32_t owner)
{
    return !fo_process_is_self(owner) && (!fo_hot.shared || fo_life_is_over(owner));
}

/* The memory of a large block is decommitted while it waits, and only its addresses are kept.  Not
 * in a pool, whose memory is the program's; nor with a fill, which is compared at the end. */
static bool is_decommitted(uint64_t word)
{
    enum { LEAST = 64 << 10 };

    return fo_word_size(word) >= LEAST && fo_word_backend(word) == FO_BACKEND_LIBC &&
           !fo_hot.shared && !fo_hot.fill;
}

static bool decommit_pages(uintptr_t payload, size_t size)
{
    enum { PAGE = 4096 };
    uintptr_t from = (payload + PAGE - 1) & ~(uintptr_t)(PAGE - 1),
              to = (payload + size) & ~(uintptr_t)(PAGE - 1);

    return fo_system_try_release(from, to - from);
}

/* As fo_quarantine_bytes(); less for a decommitted block. */
static size_t bytes_of(uint64_t word)
{
    enum { TWO_PAGES = 8192 };

    return is_decommitted(word) ? TWO_PAGES : fo_quarantine_bytes(fo_word_size(word));
}

static size_t bytes_waiting(const struct fo_queue *q)
{
    size_t bytes = 0;

    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): q is part of a shard */
    for (uint32_t n = q->tail; n != q->head; n++)
        if ((fo_queue_entry(q, n)->address & 1) == 0)
            bytes += bytes_of(fo_queue_entry(q, n)->word);
    return bytes;
}

/* From a dead owner.  The queues are consistent, the sums may not be. */
static bool adopt_shard(struct fo_shard *s, uint32_t id)
{
    uint32_t owner = FO_RELAXED_LOAD(&s->lock);

    if (owner == 0 || !is_owner_dead(owner) ||
        !__atomic_compare_exchange_n(&s->lock, &owner, id, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return false;
    size_t classed = 0;
    for (int i = 0; i < FO_CLASSES; i++)
        classed += bytes_waiting(&s->queues[i]);
    FO_RELAXED_STORE(&s->classed, classed);
    size_t other = bytes_waiting(&s->queues[FO_CLASSES]);
    __atomic_fetch_add(&fo_hot.memory->others, other - s->other, __ATOMIC_RELAXED);
    FO_RELAXED_STORE(&s->other, other);
    return true;
}

struct fo_shard *fo_quarantine_lock_slowly(uint32_t id)
{
    struct fo_memory *m = fo_hot.memory;
    int saved_errno = errno;
    uint32_t first = fo_thread.shard != NULL ? (uint32_t)(fo_thread.shard - m->shards) : 0;
    struct fo_shard *locked = NULL;

    for (uint32_t i = 0; i < FO_SHARDS && locked == NULL; i++) {
        struct fo_shard *s = &m->shards[(first + i) % FO_SHARDS];
        if (fo_shard_open(s) && (fo_shard_try(s, id) || adopt_shard(s, id)))
            locked = s;
    }
    errno = saved_errno;
    return locked;
}

static bool is_guarded(uint64_t word)
{
    return fo_word_backend(word) == FO_BACKEND_GUARD;
}

static void give_back(uintptr_t payload, uint64_t word, fo_site freed)
{
    if (is_guarded(word)) { /* guard keeps it, inaccessible, until it reuses the pages */
        fo_backend_free(payload, word, freed);
        return;
    }
    uint8_t *slot = fo_registry_slot(payload);
    if (slot != NULL) /* always; the registry never frees a leaf */
        __atomic_store_n(slot, FO_SLOT_GONE, __ATOMIC_RELEASE);
    fo_backend_free(payload, word, freed);
}

static void evict_oldest(struct fo_shard *s, struct fo_queue *q, size_t *bytes)
{
    struct fo_freed e = *fo_queue_entry(q, q->tail);

    /* The next two of this queue were last touched long ago: fetch them while others leave. */
    __builtin_prefetch(fo_queue_entry(q, q->tail + 2));
    __builtin_prefetch((const void *)fo_queue_entry(q, q->tail + 1)->address);
    __builtin_prefetch((const void *)(fo_queue_entry(q, q->tail + 1)->address + 64));
    __atomic_store_n(&q->tail, q->tail + 1, __ATOMIC_RELEASE);
    if ((e.address & 1) != 0)
        return;
    FO_RELAXED_STORE(bytes, *bytes - bytes_of(e.word));
    if (bytes == &s->other)
        __atomic_fetch_sub(&fo_hot.memory->others, bytes_of(e.word), __ATOMIC_RELAXED);
    if (fo_hot.fill)
        fo_watch_check_fill(&e);
    give_back((uintptr_t)e.address, e.word, e.freed);
}

/* The class whose blocks take most of the bytes; NULL: nothing waits.  The first two classes, which
 * have four of five blocks of OpenSSL, may take 8 and 4 times as much as any other. */
static struct fo_queue *largest_class(struct fo_shard *s)
{
    struct fo_queue *largest = NULL;
    size_t most = 0;

    for (size_t i = 0; i < FO_CLASSES; i++) {
        struct fo_queue *q = &s->queues[i];
        size_t bytes = (q->head - q->tail) * (i + 1) * 16, weight = i == 0 ? 8 : i == 1 ? 4 : 1;
        if (bytes > most * weight) {
            largest = q;
            most = bytes / weight;
        }
    }
    return largest;
}

/* Evicts a little more than necessary, so that not each free searches the largest class. */
static void drain_classes(struct fo_shard *s)
{
    size_t limit = FO_RELAXED_LOAD(&s->limit), enough = limit - (limit >> 15 != 0 ? limit / 32 : 0);
    struct fo_queue *q;

    while (s->classed > limit && (q = largest_class(s)) != NULL)
        for (uint32_t many = (q->head - q->tail + 3) / 4; many != 0 && s->classed > enough; many--)
            evict_oldest(s, q, &s->classed);
}

/* --- blocks without a class ----------------------------------------------------------------------
 *
 * They are few and large: among 1,000 allocations a thread has none, or several.  So each thread
 * has its share of their bytes for certain, and can use more while other threads use less: blocks
 * that were freed long ago are evicted before the bytes are used up.
 */

static size_t all_for_others(void)
{
    return fo_options.quarantine / 2;
}

static size_t others_waiting(void)
{
    return FO_RELAXED_LOAD(&fo_hot.memory->others);
}

/* In frees of its shard. */
static uint64_t age_of_oldest(const struct fo_shard *s)
{
    const struct fo_queue *q = &s->queues[FO_CLASSES];
    uint64_t thread_id = fo_queue_entry(q, q->tail)->thread_id;

    return ((s->clock << FO_THREAD_ID_CLOCK) - thread_id) >> FO_THREAD_ID_CLOCK;
}

/* A thread's share of these bytes is as large as its share for the classes. */
static bool has_too_many(const struct fo_shard *s)
{
    enum { LONG = 2000 };
    size_t all = all_for_others(), share = FO_RELAXED_LOAD(&s->limit), waiting = others_waiting();

    if (s->other <= share)
        return false;
    return waiting > all || s->other > all || (waiting > all / 8 * 7 && age_of_oldest(s) > LONG);
}

static void drain_own(struct fo_shard *s)
{
    struct fo_queue *q = &s->queues[FO_CLASSES];

    while (q->head != q->tail && has_too_many(s))
        evict_oldest(s, q, &s->other);
}

/* Evict what this thread has beyond its share, then what other threads have beyond theirs. */
static void drain_others(struct fo_shard *own)
{
    drain_own(own);
    for (uint32_t i = 0; i < FO_SHARDS && others_waiting() > all_for_others(); i++) {
        struct fo_shard *s = &fo_hot.memory->shards[i];
        if (s == own || FO_RELAXED_LOAD(&s->other) <= FO_RELAXED_LOAD(&s->limit) ||
            !fo_shard_try(s, fo_process_id()))
            continue;
        drain_own(s);
        fo_shard_unlock(s);
    }
}

void fo_quarantine_drain(struct fo_shard *s, struct fo_queue *q)
{
    while (q->head - q->tail > q->held)
        evict_oldest(s, q, q == &s->queues[FO_CLASSES] ? &s->other : &s->classed);
    drain_others(s);
    drain_classes(s);
    fo_shard_unlock(s);
}

static bool is_open(const struct fo_shard *s)
{
    return __atomic_load_n(&s->open, __ATOMIC_ACQUIRE);
}

/* FREEONCE_QUARANTINE is for all threads together: with one more, each gets less. */
static void lower_limits(struct fo_memory *m, uint32_t users)
{
    for (uint32_t i = 0; i < FO_SHARDS; i++)
        fo_shard_limit(&m->shards[i], users);
    for (uint32_t i = 0; i < FO_SHARDS; i++)
        if (is_open(&m->shards[i]) && fo_shard_try(&m->shards[i], fo_process_id()))
            fo_quarantine_drain(&m->shards[i], &m->shards[i].queues[0]);
}

/* Count the calling thread in the first of the shards with the fewest threads. */
static uint32_t join_shard(struct fo_memory *m)
{
    uint32_t best, threads;

    do {
        best = 0;
        threads = FO_RELAXED_LOAD(&m->threads[0]);
        for (uint32_t i = 1; i < FO_SHARDS; i++) {
            uint32_t here = FO_RELAXED_LOAD(&m->threads[i]);
            best = here < threads ? i : best;
            threads = here < threads ? here : threads;
        }
    } while (!__atomic_compare_exchange_n(&m->threads[best], &threads, threads + 1, false,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return best;
}

/* In a forked child the count has the threads of the parent, which do not end here.  It may be 0: a
 * thread that ends may have come before the fork. */
static void leave_shard(struct fo_memory *m, uint32_t n)
{
    uint32_t threads = FO_RELAXED_LOAD(&m->threads[n]);

    while (threads != 0 && !__atomic_compare_exchange_n(&m->threads[n], &threads, threads - 1,
                                                        false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

/* Shards 0 to n are used from now on. */
static void count_user(struct fo_memory *m, uint32_t n)
{
    uint32_t used = FO_RELAXED_LOAD(&m->shards_used);

    while (used <= n)
        if (__atomic_compare_exchange_n(&m->shards_used, &used, n + 1, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            if (n > 0)
                lower_limits(m, n + 1);
            return;
        }
}

static void choose_home(void)
{
    struct fo_memory *m = fo_hot.memory;
    uint32_t n = join_shard(m);

    if (n > 0) /* most processes have one thread */
        fo_ending_start();
    count_user(m, n);
    /* Each shard has addresses of its own.  Where a limit leaves few, one shard is enough. */
    bool can_open = is_open(&m->shards[n]) || fo_system_has_room(UINT64_C(64) << 20);
    struct fo_shard *s = &m->shards[can_open ? n : 0];
    fo_thread.shard = fo_shard_open(s) ? s : NULL;
    if (fo_thread.shard != &m->shards[n]) {
        leave_shard(m, n);
        if (fo_thread.shard != NULL)
            __atomic_fetch_add(&m->threads[0], 1, __ATOMIC_RELAXED);
    }
    fo_ending_watch(FO_ENDING_SHARD, fo_quarantine_leave);
    /* The fast path counts payloads alone; fo_quarantine_bytes(). */
    fo_thread.home = FO_RELAXED_LOAD(&fo_hot.spent) == 0 ? fo_thread.shard : NULL;
}

void fo_quarantine_begin(void)
{
    if (fo_thread.shard == NULL)
        choose_home();
}

/* Blocks that the thread frees from now on still enter its shard. */
void fo_quarantine_leave(void)
{
    struct fo_memory *m = fo_hot.memory;

    if (fo_thread.shard != NULL)
        leave_shard(m, (uint32_t)(fo_thread.shard - m->shards));
}

static struct fo_shard *lock_any(void)
{
    fo_process_self();
    fo_quarantine_begin();
    fo_thread_id();
    return fo_quarantine_lock_slowly(fo_process_id());
}

bool fo_quarantine_is_too_small(size_t size)
{
    fo_process_self();
    fo_quarantine_begin();
    return fo_thread.shard == NULL || size > all_for_others();
}

void fo_quarantine_remember(uintptr_t payload, fo_site allocated, uint64_t word, fo_site freed)
{
    struct fo_shard *s = lock_any();

    if (s == NULL)
        return;
    fo_queue_record(s, &s->queues[FO_CLASSES], 1, payload, allocated, word, freed);
    fo_quarantine_drain(s, &s->queues[FO_CLASSES]);
}

void fo_quarantine_put_slowly(uintptr_t payload, fo_site allocated, uint64_t word, fo_site freed)
{
    size_t size = fo_word_size(word);
    bool small = size + fo_hot.tail <= FO_CLASS_MAX && !is_guarded(word);
    struct fo_shard *s = lock_any();
    /* As on the fast path, which blocks of a pool do not take: draining enforces the limit. */
    bool small_in_pool = FO_RELAXED_LOAD(&fo_hot.spent) != 0 && small;
    bool waits = s != NULL && !is_guarded(word) &&
                 (small_in_pool || size <= (small ? FO_RELAXED_LOAD(&s->limit) : all_for_others()));
    if (waits && is_decommitted(word))
        waits = decommit_pages(payload, size);
    /* A block that does not wait must not be reused: only its record enters the last queue. */
    bool classed = waits && small;
    if (s != NULL) {
        struct fo_queue *q = &s->queues[classed ? fo_class_of(size + fo_hot.tail) : FO_CLASSES];
        size_t *bytes = classed ? &s->classed : &s->other;
        size_t more = waits ? bytes_of(word) : 0;
        FO_RELAXED_STORE(bytes, *bytes + more);
        if (!classed)
            __atomic_fetch_add(&fo_hot.memory->others, more, __ATOMIC_RELAXED);
        fo_queue_record(s, q, !waits, payload, allocated, word, freed);
        fo_quarantine_drain(s, q);
    }
    if (!waits) /* a huge block would evict all others, a guarded block is closed at once */
        give_back(payload, word, freed);
}

/* What is read of an entry is one record if the head has not reached the entry again: a part of a
 * later record comes with a later head (fo_queue_record(); tests/models/record-ring.litmus). */
static enum fo_remembered find_in(const struct fo_queue *q, uintptr_t payload, struct fo_freed *out)
{
    uint32_t number = __atomic_load_n(&q->head, __ATOMIC_ACQUIRE);
    uint32_t tail = __atomic_load_n(&q->tail, __ATOMIC_ACQUIRE), waiting = number - tail;

    for (uint32_t age = 0; age < q->mask; age++) {
        struct fo_freed *e = fo_queue_entry(q, --number);
        uint64_t address = __atomic_load_n(&e->address, __ATOMIC_ACQUIRE);
        if (address == 0)
            break; /* never used, like all before it: do not touch their pages */
        if ((address & ~UINT64_C(1)) != payload)
            continue;
        out->address = address;
        out->allocated = __atomic_load_n(&e->allocated, __ATOMIC_ACQUIRE);
        out->word = __atomic_load_n(&e->word, __ATOMIC_ACQUIRE);
        out->freed = __atomic_load_n(&e->freed, __ATOMIC_ACQUIRE);
        out->thread_id = __atomic_load_n(&e->thread_id, __ATOMIC_ACQUIRE);
        out->caller = __atomic_load_n(&e->caller, __ATOMIC_ACQUIRE);
        out->stacks = __atomic_load_n(&e->stacks, __ATOMIC_ACQUIRE);
        if (FO_RELAXED_LOAD(&q->head) - number > q->mask)
            break; /* the entry has been written since, like all before it */
        return age < waiting && (address & 1) == 0 ? FO_WAITING : FO_TOMBSTONE;
    }
    return FO_FORGOTTEN;
}

enum fo_remembered fo_quarantine_find(uintptr_t payload, struct fo_freed *out)
{
    const struct fo_memory *m = fo_hot.memory;
    enum fo_remembered best = FO_FORGOTTEN;

    /* Most wrong frees are by the thread of the first free: its shard is searched first. */
    uint32_t home = fo_thread.shard != NULL ? (uint32_t)(fo_thread.shard - m->shards) : 0;
    for (uint32_t i = 0; i < FO_SHARDS * FO_QUEUES && best != FO_WAITING; i++) {
        struct fo_freed f;
        const struct fo_shard *s = &m->shards[(home + i / FO_QUEUES) % FO_SHARDS];
        const struct fo_queue *q = &s->queues[i % FO_QUEUES];
        enum fo_remembered here = is_open(s) ? find_in(q, payload, &f) : FO_FORGOTTEN;
        if (here > best || (here == best && here != FO_FORGOTTEN &&
                            fo_thread_id_is_newer(f.thread_id, out->thread_id))) {
            best = here;
            *out = f;
        }
    }
    return best;
}

void fo_quarantine_sweep(void)
{
    struct fo_memory *m = fo_hot.memory;

    for (uint32_t i = 0; fo_hot.fill && i < FO_SHARDS * FO_QUEUES; i++) {
        struct fo_shard *s = &m->shards[i / FO_QUEUES];
        struct fo_queue *q = &s->queues[i % FO_QUEUES];
        if (!is_open(s) || !fo_shard_try(s, fo_process_id()))
            continue;
        for (uint32_t n = q->tail; n != q->head; n++)
            if ((fo_queue_entry(q, n)->address & 1) == 0)
                fo_watch_check_fill(fo_queue_entry(q, n));
        fo_shard_unlock(s);
    }
}
