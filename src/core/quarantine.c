/* The rare steps of quarantine.h: a home for a thread, locks that are taken, blocks that leave. */
#include "core/quarantine.h"

#include <errno.h>
#include <signal.h>
#include <sys/types.h>

#include "backend/backend.h"
#include "core/options.h"
#include "core/watch.h"

static void choose_home(void)
{
    struct fo_memory *m = fo_hot.memory;
    uint32_t n = __atomic_fetch_add(&m->shards_used, 1, __ATOMIC_RELAXED);

    /* The option is for all threads together. */
    if (n > 0 && n < FO_SHARDS)
        for (uint32_t i = 0; i < FO_SHARDS; i++)
            FO_RELAXED_STORE(&m->shards[i].limit, fo_options.quarantine / 2 / (n + 1));
    fo_thread.home = &m->shards[n % FO_SHARDS];
}

/* Is the process that holds this lock gone?  In private memory a foreign pid is a leftover of the
 * parent's other threads; in shared memory ask the system. */
static bool owner_is_gone(uint32_t owner, uint32_t pid)
{
    if (owner == pid)
        return false;
    return !fo_hot.shared || (kill((pid_t)owner, 0) != 0 && errno == ESRCH);
}

static bool take_over(struct fo_shard *s, uint32_t pid)
{
    uint32_t owner = FO_RELAXED_LOAD(&s->lock);

    return owner != 0 && owner_is_gone(owner, pid) &&
           __atomic_compare_exchange_n(&s->lock, &owner, pid, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

struct fo_shard *fo_quarantine_lock_slowly(uint32_t pid)
{
    struct fo_memory *m = fo_hot.memory;
    int saved_errno = errno;
    uint32_t first = (uint32_t)(fo_thread.home - m->shards);
    struct fo_shard *locked = NULL;

    for (uint32_t i = 0; i < FO_SHARDS && locked == NULL; i++) {
        struct fo_shard *s = &m->shards[(first + i) % FO_SHARDS];
        if (fo_shard_try(s, pid) || take_over(s, pid))
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

    __atomic_store_n(&q->tail, q->tail + 1, __ATOMIC_RELEASE);
    if ((e.address & 1) != 0)
        return;
    *bytes -= fo_word_size(e.word);
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
    while (s->other > s->limit && other->head != other->tail)
        release_oldest(other, &s->other);
    while (s->classed > s->limit && (q = next_class(s)) != NULL)
        release_oldest(q, &s->classed);
    fo_shard_unlock(s);
}

void fo_quarantine_put_slowly(uintptr_t payload, fo_site allocated, uint64_t word, fo_site freed)
{
    struct fo_process *me = fo_process_self();
    size_t size = fo_word_size(word);
    bool classed = size <= FO_CLASS_MAX;

    if (fo_thread.home == NULL)
        choose_home();
    fo_who();
    struct fo_shard *s = fo_quarantine_lock_slowly(me->pid);
    bool waits = s != NULL && size <= s->limit && !is_guarded(word);
    if (s != NULL) {
        struct fo_queue *q = &s->queues[classed ? fo_class_of(size) : FO_CLASSES];
        *(classed ? &s->classed : &s->other) += waits ? size : 0;
        fo_queue_record(q, !waits, payload, allocated, word, freed);
        fo_quarantine_drain(s, q);
    }
    /* A giant would push out everybody else, a guarded block is closed at once: only the record
     * stays. */
    if (!waits)
        give_back(payload, word, freed);
}

static enum fo_remembered find_in(const struct fo_queue *q, uintptr_t payload, struct fo_freed *out)
{
    uint32_t number = __atomic_load_n(&q->head, __ATOMIC_ACQUIRE);
    uint32_t tail = __atomic_load_n(&q->tail, __ATOMIC_ACQUIRE), waiting = number - tail;

    for (uint32_t age = 0; age < q->mask; age++) {
        struct fo_freed *e = fo_queue_entry(q, --number);
        if ((FO_RELAXED_LOAD(&e->address) & ~UINT64_C(1)) != payload)
            continue;
        out->allocated = FO_RELAXED_LOAD(&e->allocated);
        out->word = FO_RELAXED_LOAD(&e->word);
        out->freed = FO_RELAXED_LOAD(&e->freed);
        out->who = FO_RELAXED_LOAD(&e->who);
        out->caller = FO_RELAXED_LOAD(&e->caller);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
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

    for (uint32_t i = 0; i < FO_SHARDS * FO_QUEUES && best != FO_WAITING; i++) {
        struct fo_freed f;
        enum fo_remembered here =
            find_in(&m->shards[i / FO_QUEUES].queues[i % FO_QUEUES], payload, &f);
        if (here > best) {
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
        if (!fo_shard_try(s, fo_process_self()->pid))
            continue;
        for (uint32_t n = q->tail; n != q->head; n++)
            if ((fo_queue_entry(q, n)->address & 1) == 0)
                fo_watch_leave(fo_queue_entry(q, n));
        fo_shard_unlock(s);
    }
}
