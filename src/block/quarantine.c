/* The rare steps of quarantine.h: a home for a thread, locks that are taken, blocks that leave. */
#include "block/quarantine.h"

#include <errno.h>

#include "backend/backend.h"
#include "block/watch.h"
#include "heap/system.h"
#include "options/options.h"
#include "process/life.h"

/* Is the process that holds this lock gone?  In private memory another process's id is a leftover
 * of the parent's other threads. */
static bool owner_is_gone(uint32_t owner)
{
    return !fo_process_is_self(owner) && (!fo_hot.shared || fo_life_is_over(owner));
}

static size_t bytes_waiting(const struct fo_queue *q)
{
    size_t bytes = 0;

    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): q is part of a shard */
    for (uint32_t n = q->tail; n != q->head; n++)
        if ((fo_queue_entry(q, n)->address & 1) == 0)
            bytes += fo_quarantine_bytes(fo_word_size(fo_queue_entry(q, n)->word));
    return bytes;
}

/* From an owner that is gone.  Its queues are consistent, its sums may not be. */
static bool take_over(struct fo_shard *s, uint32_t id)
{
    uint32_t owner = FO_RELAXED_LOAD(&s->lock);

    if (owner == 0 || !owner_is_gone(owner) ||
        !__atomic_compare_exchange_n(&s->lock, &owner, id, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        return false;
    size_t classed = 0;
    for (int i = 0; i < FO_CLASSES; i++)
        classed += bytes_waiting(&s->queues[i]);
    FO_RELAXED_STORE(&s->classed, classed);
    FO_RELAXED_STORE(&s->other, bytes_waiting(&s->queues[FO_CLASSES]));
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
        if (fo_shard_open(s) && (fo_shard_try(s, id) || take_over(s, id)))
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
    if (is_guarded(word)) { /* stays ours, inaccessible, until its pages serve again */
        fo_backend_free(payload, word, freed);
        return;
    }
    uint8_t *slot = fo_registry_slot(payload);
    if (slot != NULL) /* always; the registry never loses a leaf */
        __atomic_store_n(slot, FO_SLOT_GONE, __ATOMIC_RELEASE);
    fo_backend_free(payload, word, freed);
}

static void release_oldest(struct fo_queue *q, size_t *bytes)
{
    struct fo_freed e = *fo_queue_entry(q, q->tail);

    /* The next two of this queue have not been touched for long: fetch them while others leave. */
    __builtin_prefetch(fo_queue_entry(q, q->tail + 2));
    __builtin_prefetch((const void *)fo_queue_entry(q, q->tail + 1)->address);
    __builtin_prefetch((const void *)(fo_queue_entry(q, q->tail + 1)->address + 64));
    __atomic_store_n(&q->tail, q->tail + 1, __ATOMIC_RELEASE);
    if ((e.address & 1) != 0)
        return;
    FO_RELAXED_STORE(bytes, *bytes - fo_quarantine_bytes(fo_word_size(e.word)));
    if (fo_hot.fill)
        fo_watch_leave(&e);
    give_back((uintptr_t)e.address, e.word, e.freed);
}

/* The next class in turn of which something waits. */
static struct fo_queue *next_class(struct fo_shard *s)
{
    for (int i = 0; i < FO_CLASSES; i++) {
        s->hand = (s->hand + 1) % FO_CLASSES;
        if (s->queues[s->hand].head != s->queues[s->hand].tail)
            return &s->queues[s->hand];
    }
    return NULL;
}

void fo_quarantine_drain(struct fo_shard *s, struct fo_queue *q)
{
    struct fo_queue *other = &s->queues[FO_CLASSES];

    while (q->head - q->tail > q->held)
        release_oldest(q, q == other ? &s->other : &s->classed);
    while (s->other > FO_RELAXED_LOAD(&s->limit) && other->head != other->tail)
        release_oldest(other, &s->other);
    while (s->classed > FO_RELAXED_LOAD(&s->limit) && (q = next_class(s)) != NULL)
        release_oldest(q, &s->classed);
    fo_shard_unlock(s);
}

static bool is_open(const struct fo_shard *s)
{
    return __atomic_load_n(&s->open, __ATOMIC_ACQUIRE);
}

/* The option is for all threads together: with another one, each may keep less. */
static void lower_limits(struct fo_memory *m, uint32_t users)
{
    for (uint32_t i = 0; i < FO_SHARDS; i++)
        fo_shard_limit(&m->shards[i], fo_options.quarantine / 2 / users);
    for (uint32_t i = 0; i < FO_SHARDS; i++)
        if (is_open(&m->shards[i]) && fo_shard_try(&m->shards[i], fo_process_id()))
            fo_quarantine_drain(&m->shards[i], &m->shards[i].queues[0]);
}

static void choose_home(void)
{
    struct fo_memory *m = fo_hot.memory;
    uint32_t n = __atomic_fetch_add(&m->shards_used, 1, __ATOMIC_RELAXED);

    if (n > 0 && n < FO_SHARDS)
        lower_limits(m, n + 1);
    /* Each has addresses of its own.  Where a limit leaves few, one is enough. */
    bool may_open = fo_system_has_room(UINT64_C(64) << 20);
    struct fo_shard *s = &m->shards[may_open ? n % FO_SHARDS : 0];
    fo_thread.shard = fo_shard_open(s) ? s : NULL;
    /* The fast path counts payloads alone; fo_quarantine_bytes(). */
    fo_thread.home = FO_RELAXED_LOAD(&fo_hot.spent) == 0 ? fo_thread.shard : NULL;
}

void fo_quarantine_begin(void)
{
    if (fo_thread.shard == NULL)
        choose_home();
}

static struct fo_shard *lock_any(void)
{
    fo_process_self();
    fo_quarantine_begin();
    fo_who();
    return fo_quarantine_lock_slowly(fo_process_id());
}

bool fo_quarantine_is_too_small(size_t size)
{
    fo_process_self();
    fo_quarantine_begin();
    return fo_thread.shard == NULL || size > FO_RELAXED_LOAD(&fo_thread.shard->limit);
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
    struct fo_shard *s = lock_any();
    /* As on the fast path, which a pool's blocks do not take: draining sees to the limit. */
    bool short_way = FO_RELAXED_LOAD(&fo_hot.spent) != 0 && size + fo_hot.tail <= FO_CLASS_MAX;
    bool waits =
        s != NULL && !is_guarded(word) && (short_way || size <= FO_RELAXED_LOAD(&s->limit));
    /* What does not wait must never serve again: only its record stays, apart from the classes. */
    bool classed = waits && size + fo_hot.tail <= FO_CLASS_MAX;
    if (s != NULL) {
        struct fo_queue *q = &s->queues[classed ? fo_class_of(size + fo_hot.tail) : FO_CLASSES];
        size_t *bytes = classed ? &s->classed : &s->other;
        FO_RELAXED_STORE(bytes, *bytes + (waits ? fo_quarantine_bytes(size) : 0));
        fo_queue_record(s, q, !waits, payload, allocated, word, freed);
        fo_quarantine_drain(s, q);
    }
    if (!waits) /* a giant would push out everybody else, a guarded block is closed at once */
        give_back(payload, word, freed);
}

static enum fo_remembered find_in(const struct fo_queue *q, uintptr_t payload, struct fo_freed *out)
{
    uint32_t number = __atomic_load_n(&q->head, __ATOMIC_ACQUIRE);
    uint32_t tail = __atomic_load_n(&q->tail, __ATOMIC_ACQUIRE), waiting = number - tail;

    for (uint32_t age = 0; age < q->mask; age++) {
        struct fo_freed *e = fo_queue_entry(q, --number);
        uint64_t address = FO_RELAXED_LOAD(&e->address);
        if (address == 0)
            break; /* never used, and so are all before it: leave their pages alone */
        if ((address & ~UINT64_C(1)) != payload)
            continue;
        out->allocated = __atomic_load_n(&e->allocated, __ATOMIC_ACQUIRE);
        out->word = __atomic_load_n(&e->word, __ATOMIC_ACQUIRE);
        out->freed = __atomic_load_n(&e->freed, __ATOMIC_ACQUIRE);
        out->who = __atomic_load_n(&e->who, __ATOMIC_ACQUIRE);
        out->caller = __atomic_load_n(&e->caller, __ATOMIC_ACQUIRE);
        out->stacks = __atomic_load_n(&e->stacks, __ATOMIC_ACQUIRE);
        out->address = FO_RELAXED_LOAD(&e->address); /* overwritten meanwhile? */
        if ((out->address & ~UINT64_C(1)) == payload)
            return age < waiting && (out->address & 1) == 0 ? FO_WAITING : FO_TOMBSTONE;
    }
    return FO_FORGOTTEN;
}

enum fo_remembered fo_quarantine_find(uintptr_t payload, struct fo_freed *out)
{
    const struct fo_memory *m = fo_hot.memory;
    enum fo_remembered best = FO_FORGOTTEN;

    /* Most wrong frees are by the thread of the first one: its shard comes first. */
    uint32_t home = fo_thread.shard != NULL ? (uint32_t)(fo_thread.shard - m->shards) : 0;
    for (uint32_t i = 0; i < FO_SHARDS * FO_QUEUES && best != FO_WAITING; i++) {
        struct fo_freed f;
        const struct fo_shard *s = &m->shards[(home + i / FO_QUEUES) % FO_SHARDS];
        const struct fo_queue *q = &s->queues[i % FO_QUEUES];
        enum fo_remembered here = is_open(s) ? find_in(q, payload, &f) : FO_FORGOTTEN;
        if (here > best ||
            (here == best && here != FO_FORGOTTEN && fo_who_newer(f.who, out->who))) {
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
                fo_watch_leave(fo_queue_entry(q, n));
        fo_shard_unlock(s);
    }
}
