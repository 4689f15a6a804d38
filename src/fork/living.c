/* See living.h.  `watched` is set only while the mutex is held, or was by whoever died with it. */
#include "fork/living.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fork/process.h"

uint64_t fo_living_me(void)
{
    const struct fo_process *self = fo_process_self();
    uint32_t thread = fo_who_thread(fo_who());

    return (uint64_t)self->pid << 32 | (thread != 0 ? thread : self->pid);
}

bool fo_living_start(struct fo_living *l, bool shared)
{
    pthread_mutexattr_t how;

    l->owner = 0;
    l->watched = 0;
    if (!shared)
        return true;
    pthread_mutexattr_init(&how);
    bool can = pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED) == 0 &&
               pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST) == 0 &&
               pthread_mutex_init(&l->mutex, &how) == 0;
    pthread_mutexattr_destroy(&how);
    return can;
}

/* Will the kernel tell of this thread's end?  Asked once, since a thread that waits for a lock may
 * be in a sandbox that allows futex(2) alone. */
static bool is_watched_by_kernel(void)
{
    static __thread struct {
        uint32_t pid;
        bool watched;
    } known;
    uint32_t pid = fo_process_self()->pid;
    void *head = NULL;
    size_t size;

    if (known.pid == 0 || known.pid != pid) {
        known.watched = syscall(SYS_get_robust_list, 0, &head, &size) == 0 && head != NULL;
        known.pid = pid;
    }
    return known.watched;
}

static bool take(struct fo_living *l, uint64_t before, uint64_t me)
{
    return __atomic_compare_exchange_n(&l->owner, &before, me, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

/* False: its owner lives. */
static bool lock(struct fo_living *l)
{
    int status = pthread_mutex_trylock(&l->mutex);

    return status == 0 || (status == EOWNERDEAD && pthread_mutex_consistent(&l->mutex) == 0);
}

/* The mutex first: an owner whom the kernel watches is never seen without it. */
static bool claim_locked(struct fo_living *l, uint64_t me)
{
    if (!lock(l))
        return false;
    if (!take(l, 0, me)) {
        pthread_mutex_unlock(&l->mutex);
        return false;
    }
    __atomic_store_n(&l->watched, 1, __ATOMIC_RELEASE);
    return true;
}

bool fo_living_claim_shared(struct fo_living *l, uint64_t me)
{
    return is_watched_by_kernel() ? claim_locked(l, me) : take(l, 0, me);
}

static bool is_of_this_process(uint64_t owner)
{
    return owner >> 32 == fo_process_self()->pid;
}

/* Of this process: the thread; of another: the process. */
bool fo_living_exists(uint64_t owner)
{
    pid_t pid = (pid_t)(owner >> 32);

    if (is_of_this_process(owner))
        return fo_living_is_left(owner) ||
               syscall(SYS_tgkill, pid, (pid_t)(uint32_t)owner, 0) == 0 || errno != ESRCH;
    return FO_RELAXED_LOAD(&fo_hot.shared) && (kill(pid, 0) == 0 || errno != ESRCH);
}

/* By the mutex, which this thread holds: nobody else who inherits can come between.  An owner that
 * is `watched` holds it as long as it lives.  Of another, or of one that died while it claimed or
 * released, the pid has to tell; a thread of this process is about to claim or to release. */
static bool take_from_gone(struct fo_living *l, uint64_t me)
{
    uint64_t before = __atomic_load_n(&l->owner, __ATOMIC_ACQUIRE);
    bool gone = __atomic_load_n(&l->watched, __ATOMIC_ACQUIRE) != 0;
    bool lives = !gone && (is_of_this_process(before) || fo_living_exists(before));

    if (before == 0 || lives || !take(l, before, me))
        return false;
    __atomic_store_n(&l->watched, 1, __ATOMIC_RELEASE);
    return true;
}

static bool inherit_locked(struct fo_living *l, uint64_t me)
{
    if (!lock(l))
        return false;
    if (take_from_gone(l, me))
        return true;
    pthread_mutex_unlock(&l->mutex);
    return false;
}

bool fo_living_inherit(struct fo_living *l, uint64_t me)
{
    uint64_t before = __atomic_load_n(&l->owner, __ATOMIC_ACQUIRE);

    if (before == 0)
        return false;
    if (FO_RELAXED_LOAD(&fo_hot.shared) && is_watched_by_kernel())
        return inherit_locked(l, me);
    return __atomic_load_n(&l->watched, __ATOMIC_ACQUIRE) == 0 && !fo_living_exists(before) &&
           take(l, before, me);
}

void fo_living_release_watched(struct fo_living *l)
{
    __atomic_store_n(&l->watched, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&l->owner, 0, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&l->mutex);
}

void fo_living_leave_to_process(struct fo_living *l)
{
    uint64_t owner = FO_RELAXED_LOAD(&l->owner);
    bool watched = FO_RELAXED_LOAD(&l->watched) != 0;

    __atomic_store_n(&l->owner, owner >> 32 << 32, __ATOMIC_RELEASE);
    __atomic_store_n(&l->watched, 0, __ATOMIC_RELEASE);
    if (watched)
        pthread_mutex_unlock(&l->mutex);
}

bool fo_living_disown(struct fo_living *l, uint64_t owner)
{
    return take(l, owner, 0);
}
