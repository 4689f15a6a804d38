/* See living.h.  The order of a claim: the word names the thread, the thread locks the mutex, the
 * word gets the flag FO_LIVING_WATCHED.  A release goes in the reverse order.
 * A failed exchange changes nothing and is relaxed. */
#include "process/living.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/moved.h"
#include "process/life.h"
#include "process/process.h"

enum { OWNER_SHIFT = 32 };

uint64_t fo_living_me(void)
{
    uint32_t id = fo_process_id(), thread = fo_thread_id_number(fo_thread_id());

    return (uint64_t)id << OWNER_SHIFT | (thread != 0 ? thread : fo_process_self()->pid);
}

bool fo_living_start(struct fo_living *l, bool shared)
{
    pthread_mutexattr_t how;

    l->owner = 0;
    if (!shared)
        return true;
    FO_MOVED(pthread_mutexattr_init)(&how);
    bool can = FO_MOVED(pthread_mutexattr_setpshared)(&how, PTHREAD_PROCESS_SHARED) == 0 &&
               FO_MOVED(pthread_mutexattr_setrobust)(&how, PTHREAD_MUTEX_ROBUST) == 0 &&
               pthread_mutex_init(&l->mutex, &how) == 0;
    FO_MOVED(pthread_mutexattr_destroy)(&how);
    return can;
}

/* Does the kernel watch for the end of this thread?  Asked once, since a thread that waits for a
 * lock may be in a sandbox that allows futex(2) alone. */
static bool is_watched_by_kernel(void)
{
    static __thread struct {
        uint32_t serial; /* of the process */
        bool watched;
    } known;
    uint32_t serial = fo_process_serial();

    if (known.serial != serial) {
        known.watched = fo_thread_is_watched();
        known.serial = serial;
    }
    return known.watched;
}

static bool replace_owner(struct fo_living *l, uint64_t before, uint64_t me)
{
    return __atomic_compare_exchange_n(&l->owner, &before, me, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

/* Called by the owner.  The mutex is free, or its holder was killed.  If it is locked, another
 * process wrote here that should not: then the kernel does not watch this owner. */
static void watch(struct fo_living *l, uint64_t me)
{
    int status = FO_MOVED(pthread_mutex_trylock)(&l->mutex);

    if (status == 0 || (status == EOWNERDEAD && FO_MOVED(pthread_mutex_consistent)(&l->mutex) == 0))
        __atomic_store_n(&l->owner, me | FO_LIVING_WATCHED, __ATOMIC_RELEASE);
}

bool fo_living_claim_shared(struct fo_living *l, uint64_t me)
{
    if (!replace_owner(l, 0, me))
        return false;
    if (is_watched_by_kernel())
        watch(l, me);
    return true;
}

static bool is_of_this_process(uint64_t owner)
{
    return fo_process_is_self((uint32_t)(owner >> OWNER_SHIFT));
}

/* In this process: does the thread exist?  In another: does the process? */
bool fo_living_is_running(uint64_t owner)
{
    pid_t thread = (pid_t)(owner & ~FO_LIVING_WATCHED & UINT32_MAX);

    if (is_of_this_process(owner)) {
        int saved_errno = errno;
        bool is_running =
            thread == 0 || syscall(SYS_tgkill, fo_getpid(), thread, 0) == 0 || errno != ESRCH;
        errno = saved_errno;
        return is_running;
    }
    return FO_RELAXED_LOAD(&fo_hot.shared) && !fo_life_is_over((uint32_t)(owner >> OWNER_SHIFT));
}

/* Of an owner that is watched, the mutex shows it.  One that is not watched may be about to claim
 * or to release. */
static bool is_gone(const struct fo_living *l, uint64_t owner)
{
    if ((owner & FO_LIVING_WATCHED) != 0)
        return fo_mutex_is_orphan(&l->mutex);
    bool is_changing = FO_RELAXED_LOAD(&fo_hot.shared) && is_of_this_process(owner);
    return !is_changing && !fo_living_is_running(owner);
}

bool fo_living_is_orphan(const struct fo_living *l)
{
    uint64_t owner = __atomic_load_n(&l->owner, __ATOMIC_ACQUIRE);

    return owner != 0 && is_gone(l, owner);
}

bool fo_living_adopt(struct fo_living *l, uint64_t me)
{
    uint64_t before = __atomic_load_n(&l->owner, __ATOMIC_ACQUIRE);
    bool watches = FO_RELAXED_LOAD(&fo_hot.shared) && is_watched_by_kernel();

    /* A thread that the kernel does not watch adopts nothing that is watched. */
    if (before == 0 || ((before & FO_LIVING_WATCHED) != 0 && !watches) || !is_gone(l, before) ||
        !replace_owner(l, before, me))
        return false;
    if (watches)
        watch(l, me);
    return true;
}

/* Unlock the owner's mutex, before the word changes any further. */
static uint64_t unwatch(struct fo_living *l)
{
    uint64_t owner = FO_RELAXED_LOAD(&l->owner); /* written by the owner alone */

    if ((owner & FO_LIVING_WATCHED) == 0)
        return owner;
    __atomic_store_n(&l->owner, owner & ~FO_LIVING_WATCHED, __ATOMIC_RELEASE);
    FO_MOVED(pthread_mutex_unlock)(&l->mutex);
    return owner & ~FO_LIVING_WATCHED;
}

void fo_living_release_watched(struct fo_living *l)
{
    unwatch(l);
    __atomic_store_n(&l->owner, 0, __ATOMIC_RELEASE);
}

void fo_living_leave_to_process(struct fo_living *l)
{
    uint64_t owner = unwatch(l);

    __atomic_store_n(&l->owner, owner >> OWNER_SHIFT << OWNER_SHIFT, __ATOMIC_RELEASE);
}

bool fo_living_disown(struct fo_living *l, uint64_t owner)
{
    return replace_owner(l, owner, 0);
}
