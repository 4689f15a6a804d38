/* Does a thread live, of this process or of another?  Something in shared memory has one thread as
 * its owner; when the owner was killed, at any instruction, another thread adopts it.
 *
 * The owner holds a robust mutex while it lives, and the kernel marks the mutex when the owner ends
 * (set_robust_list(2)).  No thread ever waits for the mutex.  That needs no /proc, works across pid
 * namespaces, and is not misled by a pid that was given to another process.  The kernel does not do
 * so for a process made by a raw clone(2); there, the test is whether the process exists (life.h).
 *
 * Only the thread that the owner's word names ever tries the mutex.  Two that try it at once could
 * have the same tid, in two pid namespaces: when the kernel kills one, it takes the mutex of the
 * other for that one's.
 *
 * In private memory the mutex is not used: there are only threads of this process. */
#ifndef FO_PROCESS_LIVING_H
#define FO_PROCESS_LIVING_H

#include <pthread.h>

#include "base/base.h"
#include "base/hot.h"

struct fo_living {
    /* The process's id << 32 | FO_LIVING_WATCHED | tid, or 0 for all threads; 0: none */
    uint64_t owner;
    pthread_mutex_t mutex; /* held by the owner while it is watched */
};

#define FO_LIVING_WATCHED (UINT64_C(1) << 31)

/* Without the flag; 0: none. */
static inline uint64_t fo_living_owner(const struct fo_living *l)
{
    return __atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) & ~FO_LIVING_WATCHED;
}

/* The calling thread, as an owner. */
uint64_t fo_living_me(void);

/* Does the owner exist?  True also if its tid was given to another thread of the same process. */
bool fo_living_is_running(uint64_t owner);

/* Has it an owner that does not exist any more? */
bool fo_living_is_orphan(const struct fo_living *l);

/* Set up without an owner.  False: this system cannot watch over owners. */
bool fo_living_start(struct fo_living *l, bool shared);

/* fo_living_claim() where processes share it; the kernel watches for the end of this thread if it
 * can. */
bool fo_living_claim_shared(struct fo_living *l, uint64_t me);

/* Claim what has no owner.  False: it has one.  The first look is relaxed: the exchange decides
 * (tests/models/owner-handed.litmus). */
static inline bool fo_living_claim(struct fo_living *l, uint64_t me)
{
    uint64_t unowned = 0;

    if (FO_RELAXED_LOAD(&l->owner) != 0)
        return false;
    if (fo_unlikely(FO_RELAXED_LOAD(&fo_hot.shared)))
        return fo_living_claim_shared(l, me);
    return __atomic_compare_exchange_n(&l->owner, &unowned, me, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

/* Adopt what belongs to an owner that does not exist any more.  False: it has no owner, or one that
 * lives. */
bool fo_living_adopt(struct fo_living *l, uint64_t me);

void fo_living_release_watched(struct fo_living *l);

/* Release what the calling thread owns: it wrote the word itself, so its look is relaxed. */
static inline void fo_living_release(struct fo_living *l)
{
    if (fo_unlikely((FO_RELAXED_LOAD(&l->owner) & FO_LIVING_WATCHED) != 0))
        fo_living_release_watched(l);
    else
        __atomic_store_n(&l->owner, 0, __ATOMIC_RELEASE);
}

/* The calling thread ends: its process is the owner from now on. */
void fo_living_leave_to_process(struct fo_living *l);

/* Is the owner a process, to which a thread left it? */
static inline bool fo_living_is_left(uint64_t owner)
{
    return owner != 0 && (uint32_t)owner == 0;
}

/* Take it from the process to which it was left.  False: it has another owner by now. */
bool fo_living_disown(struct fo_living *l, uint64_t owner);

#endif
