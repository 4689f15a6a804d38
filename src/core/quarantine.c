/* The rings behind quarantine.h.
 *
 * Every thread keeps to one of 16 shards.  A shard's lock is tried and never waited for: if it is
 * taken (by another thread, by this thread under a signal handler, by a thread that a fork left
 * behind) the next shard serves.  So nothing can deadlock.  All steps are ordered so that an owner
 * that vanishes at any instruction leaves a consistent ring and at most the block in flight is
 * lost; its lock can therefore be taken over as soon as it is known to be dead. */
#include "core/quarantine.h"

#include <errno.h>
#include <signal.h>
#include <sys/types.h>

#include "backend/backend.h"
#include "core/options.h"
#include "fork/process.h"

static __thread uint32_t home; /* this thread's shard + 1 */

static uint32_t choose_home(struct fo_memory *m)
{
    uint32_t n = __atomic_fetch_add(&m->shards_used, 1, __ATOMIC_RELAXED);
    uint32_t used = n < FO_SHARDS ? n + 1 : FO_SHARDS;

    FO_RELAXED_STORE(&m->shard_limit, fo_options.quarantine / used);
    home = n % FO_SHARDS + 1;
    return home;
}

/* Is the process that holds this lock gone?  In private memory a foreign pid is a leftover of the
 * parent's other threads; in shared memory ask the system. */
static bool owner_is_gone(uint32_t owner, uint32_t pid)
{
    if (owner == pid)
        return false;
    return !fo_hot.shared || (kill((pid_t)owner, 0) != 0 && errno == ESRCH);
}

static bool lock_take(struct fo_shard *s, uint32_t pid)
{
    uint32_t expected = 0;

#if defined(__x86_64__) && !FO_HAS_TSAN && !defined(__SANITIZE_THREAD__)
    if (!fo_hot_concurrent()) { /* as in fo_registry_claim() */
        uint32_t seen = 0;
        __asm__ volatile("cmpxchgl %2, %1" : "+a"(seen), "+m"(s->lock) : "r"(pid) : "memory", "cc");
        return seen == 0;
    }
#endif
    return __atomic_compare_exchange_n(&s->lock, &expected, pid, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static FO_COLD struct fo_shard *lock_another(struct fo_memory *m, uint32_t first, uint32_t pid)
{
    int saved_errno = errno;
    struct fo_shard *taken = NULL;

    for (uint32_t i = 0; i < FO_SHARDS && taken == NULL; i++) {
        struct fo_shard *s = &m->shards[(first + i) % FO_SHARDS];
        uint32_t owner = FO_RELAXED_LOAD(&s->lock);
        bool dead = owner != 0 && owner_is_gone(owner, pid);
        if (dead ? __atomic_compare_exchange_n(&s->lock, &owner, pid, false, __ATOMIC_ACQUIRE,
                                               __ATOMIC_RELAXED)
                 : lock_take(s, pid))
            taken = s;
    }
    errno = saved_errno;
    return taken;
}

static void give_back(uintptr_t payload, uint64_t word, fo_site freed)
{
    uint8_t *slot = fo_registry_slot(payload);
    if (slot != NULL) /* always; the registry never loses a leaf */
        __atomic_store_n(slot, FO_SLOT_NONE, __ATOMIC_RELEASE);
    fo_backend_free(payload, word, freed);
}

static void release_oldest(struct fo_memory *m, struct fo_shard *s)
{
    struct fo_freed *e = &s->entries[s->tail & m->ring_mask];
    uint64_t address = e->address, word = e->word;
    fo_site freed = e->freed;

    __atomic_store_n(&s->tail, s->tail + 1, __ATOMIC_RELEASE);
    if ((address & 1) != 0)
        return;
    s->bytes -= fo_word_size(word);
    give_back((uintptr_t)address, word, freed);
}

void fo_quarantine_put(uintptr_t payload, fo_site allocated, uint64_t word, fo_site freed)
{
    struct fo_process *me = fo_process_self();
    struct fo_memory *m = fo_hot.memory;
    uint32_t at = fo_likely(home != 0) ? home : choose_home(m);
    struct fo_shard *s = &m->shards[at - 1];

    if (fo_unlikely(!lock_take(s, me->pid)) && (s = lock_another(m, at - 1, me->pid)) == NULL) {
        give_back(payload, word, freed); /* every shard is taken: forget the places, keep going */
        return;
    }
    size_t size = fo_word_size(word);
    bool waits = size <= m->shard_limit;
    uint64_t head = s->head;
    struct fo_freed *e = &s->entries[head & m->ring_mask];
    FO_RELAXED_STORE(&e->address, (uint64_t)payload | !waits);
    FO_RELAXED_STORE(&e->allocated, allocated);
    FO_RELAXED_STORE(&e->word, word);
    FO_RELAXED_STORE(&e->freed, freed);
    FO_RELAXED_STORE(&e->process, me->index);
    FO_RELAXED_STORE(&e->thread, fo_thread_id());
    if (fo_likely(waits))
        s->bytes += size;
    __atomic_store_n(&s->head, head + 1, __ATOMIC_RELEASE);
    while (s->bytes > m->shard_limit || s->head - s->tail > m->ring_held)
        release_oldest(m, s);
    __atomic_store_n(&s->lock, 0, __ATOMIC_RELEASE);
    if (fo_unlikely(!waits))
        give_back(payload, word, freed); /* a giant would push out everybody else */
}

static enum fo_remembered find_in(const struct fo_memory *m, const struct fo_shard *s,
                                  uintptr_t payload, struct fo_freed *out)
{
    uint64_t head = __atomic_load_n(&s->head, __ATOMIC_ACQUIRE);
    uint64_t tail = __atomic_load_n(&s->tail, __ATOMIC_ACQUIRE);
    uint64_t oldest = head > m->ring_mask ? head - m->ring_mask : 0;

    while (head-- > oldest) {
        struct fo_freed *e = &s->entries[head & m->ring_mask];
        if ((FO_RELAXED_LOAD(&e->address) & ~UINT64_C(1)) != payload)
            continue;
        out->allocated = FO_RELAXED_LOAD(&e->allocated);
        out->word = FO_RELAXED_LOAD(&e->word);
        out->freed = FO_RELAXED_LOAD(&e->freed);
        out->process = FO_RELAXED_LOAD(&e->process);
        out->thread = FO_RELAXED_LOAD(&e->thread);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        out->address = FO_RELAXED_LOAD(&e->address); /* overwritten meanwhile? */
        if ((out->address & ~UINT64_C(1)) == payload)
            return head >= tail && (out->address & 1) == 0 ? FO_WAITING : FO_TOMBSTONE;
    }
    return FO_FORGOTTEN;
}

enum fo_remembered fo_quarantine_find(uintptr_t payload, struct fo_freed *out)
{
    const struct fo_memory *m = fo_hot.memory;
    enum fo_remembered best = FO_FORGOTTEN;

    for (uint32_t i = 0; i < FO_SHARDS && best != FO_WAITING; i++) {
        struct fo_freed f;
        enum fo_remembered here = find_in(m, &m->shards[i], payload, &f);
        if (here > best) {
            best = here;
            *out = f;
        }
    }
    return best;
}
