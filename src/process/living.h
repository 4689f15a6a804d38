/* Does a thread live, of this process or of another?  Something in shared memory belongs to one
 * thread, and when that is gone, killed at any instruction, another thread takes it over.
 *
 * The owner holds a robust mutex for as long as it lives.  No thread ever waits for it: it is the
 * kernel's word on whether its owner is gone (set_robust_list(2)), which needs no /proc, knows
 * other pid namespaces and is not misled by a pid that was given to another process.  A process
 * made by a raw clone(2) has no such word from the kernel; there, whether it exists has to do
 * (life.h).
 *
 * Only the thread that the owner's word names ever tries the mutex.  Two that try it at once could
 * have the same tid, in two pid namespaces: when the kernel kills the one, it takes the other's
 * mutex for that one's.
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

/* Does it exist?  A tid that was given to another thread of the same process does, too. */
bool fo_living_is_running(uint64_t owner);

/* It has an owner, which is gone. */
bool fo_living_is_orphan(const struct fo_living *l);

/* Empty, for others to take.  False: this system cannot watch over owners. */
bool fo_living_start(struct fo_living *l, bool shared);

/* Where others share it, and the kernel tells of this thread's end. */
bool fo_living_claim_shared(struct fo_living *l, uint64_t me);

/* Take what belongs to nobody.  False: it belongs to somebody. */
static inline bool fo_living_claim(struct fo_living *l, uint64_t me)
{
    uint64_t nobody = 0;

    if (FO_RELAXED_LOAD(&l->owner) != 0)
        return false;
    if (fo_unlikely(FO_RELAXED_LOAD(&fo_hot.shared)))
        return fo_living_claim_shared(l, me);
    return __atomic_compare_exchange_n(&l->owner, &nobody, me, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

/* Take what belongs to an owner that is gone.  False: it has none, or one that lives. */
bool fo_living_inherit(struct fo_living *l, uint64_t me);

void fo_living_release_watched(struct fo_living *l);

/* Give back what is the calling thread's. */
static inline void fo_living_release(struct fo_living *l)
{
    if (fo_unlikely((FO_RELAXED_LOAD(&l->owner) & FO_LIVING_WATCHED) != 0))
        fo_living_release_watched(l);
    else
        __atomic_store_n(&l->owner, 0, __ATOMIC_RELEASE);
}

/* The calling thread ends: its process is the owner from now on. */
void fo_living_leave_to_process(struct fo_living *l);

/* True: a process owns it, of which a thread left it. */
static inline bool fo_living_is_left(uint64_t owner)
{
    return owner != 0 && (uint32_t)owner == 0;
}

/* Take it away from the process to which it was left.  False: it has another owner by now. */
bool fo_living_disown(struct fo_living *l, uint64_t owner);

#endif
