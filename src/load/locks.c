/* Cure `locks`: a lock that OpenSSL puts into memory which processes share must work between them,
 * or a waiter in another process sleeps for ever.  Mutexes and condition variables become
 * process-shared; the caller's attributes are copied, not changed.  Read-write locks, which OpenSSL
 * uses most, become locks of the library, which can be recovered after their owner was killed
 * (shared/rwlock.h).  A call for any other address, and every call while the cure is not applied,
 * is passed through unchanged. */
#include <pthread.h>
#include <time.h>

#include "backend/origins.h"
#include "base/libc.h"
#include "base/moved.h"
#include "base/real.h"
#include "options/options.h"
#include "shared/cures.h"
#include "shared/rwlock_fast.h"

static bool is_shared(const void *lock)
{
    return fo_unlikely(fo_cure_is_applied(FO_CURE_LOCKS)) && fo_origins_share((uintptr_t)lock);
}

#define REAL(name, ...)                                                                            \
    static void *slot;                                                                             \
    int (*real)(__VA_ARGS__);                                                                      \
    *(void **)&real = fo_real(&slot, #name)

/* --- read-write locks ----------------------------------------------------------------------------
 */

FO_EXPORT int pthread_rwlock_init(pthread_rwlock_t *lock, const pthread_rwlockattr_t *attributes)
{
    REAL(pthread_rwlock_init, pthread_rwlock_t *, const pthread_rwlockattr_t *);
    return is_shared(lock) && fo_rwlock_has_room(lock) ? fo_rwlock_init(lock)
                                                       : real(lock, attributes);
}

/* Called tens of thousands of times in a handshake, so each entry is one jump: to libc's function,
 * or, while the cure is applied, to judge_, which decides by the lock's contents whether it is a
 * lock of the library. */
typedef int lock_function(pthread_rwlock_t *lock);

static void switch_all(void);

static lock_function *set_target(lock_function **target, lock_function *real, lock_function *judge)
{
    __atomic_store_n(&fo_cure_locks_begun, switch_all, __ATOMIC_SEQ_CST);
    __atomic_store_n(target, real, __ATOMIC_SEQ_CST);
    if (fo_cure_is_applied(FO_CURE_LOCKS))
        __atomic_store_n(target, judge, __ATOMIC_SEQ_CST);
    return FO_RELAXED_LOAD(target); /* relaxed: an older one works, too */
}

#define INTERPOSE(name, own, fast_path)                                                            \
    static __attribute__((noinline)) int pass_##own(pthread_rwlock_t *lock)                        \
    {                                                                                              \
        if (fo_unlikely(lock == fo_rwlock_tried))                                                  \
            fo_rwlock_tried = NULL;                                                                \
        REAL(name, pthread_rwlock_t *);                                                            \
        return real(lock);                                                                         \
    }                                                                                              \
    static int judge_##own(pthread_rwlock_t *lock)                                                 \
    {                                                                                              \
        return fo_likely(fo_rwlock_is_own(lock)) ? fast_path(lock) : pass_##own(lock);             \
    }                                                                                              \
    static int find_##own(pthread_rwlock_t *lock);                                                 \
    static lock_function *target_##own = find_##own;                                               \
    static int find_##own(pthread_rwlock_t *lock)                                                  \
    {                                                                                              \
        REAL(name, pthread_rwlock_t *);                                                            \
        return set_target(&target_##own, real, judge_##own)(lock);                                 \
    }                                                                                              \
    FO_EXPORT int name(pthread_rwlock_t *lock)                                                     \
    {                                                                                              \
        return FO_HOT_LOAD(&target_##own)(lock);                                                   \
    }
INTERPOSE(pthread_rwlock_destroy, fo_rwlock_destroy, fo_rwlock_destroy)
INTERPOSE(pthread_rwlock_rdlock, fo_rwlock_read, fo_rwlock_read_fast)
INTERPOSE(pthread_rwlock_wrlock, fo_rwlock_write, fo_rwlock_write)
INTERPOSE(pthread_rwlock_tryrdlock, fo_rwlock_try_read, fo_rwlock_try_read)
INTERPOSE(pthread_rwlock_trywrlock, fo_rwlock_try_write, fo_rwlock_try_write)
INTERPOSE(pthread_rwlock_unlock, fo_rwlock_unlock, fo_rwlock_unlock_fast)

static void switch_all(void)
{
#define SWITCH(own) __atomic_store_n(&target_##own, judge_##own, __ATOMIC_SEQ_CST)
    SWITCH(fo_rwlock_destroy);
    SWITCH(fo_rwlock_read);
    SWITCH(fo_rwlock_write);
    SWITCH(fo_rwlock_try_read);
    SWITCH(fo_rwlock_try_write);
    SWITCH(fo_rwlock_unlock);
}

#define INTERPOSE_TIMED(name, own)                                                                 \
    FO_EXPORT int name(pthread_rwlock_t *lock, const struct timespec *end)                         \
    {                                                                                              \
        REAL(name, pthread_rwlock_t *, const struct timespec *);                                   \
        return fo_rwlock_is_own(lock) ? own(lock, CLOCK_REALTIME, end) : real(lock, end);          \
    }
INTERPOSE_TIMED(pthread_rwlock_timedrdlock, fo_rwlock_read_until)
INTERPOSE_TIMED(pthread_rwlock_timedwrlock, fo_rwlock_write_until)

#define INTERPOSE_CLOCK(name, own)                                                                 \
    FO_EXPORT int name(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *end)        \
    {                                                                                              \
        REAL(name, pthread_rwlock_t *, clockid_t, const struct timespec *);                        \
        return fo_rwlock_is_own(lock) ? own(lock, clock, end) : real(lock, clock, end);            \
    }
INTERPOSE_CLOCK(pthread_rwlock_clockrdlock, fo_rwlock_read_until)
INTERPOSE_CLOCK(pthread_rwlock_clockwrlock, fo_rwlock_write_until)

/* --- mutexes and condition variables -------------------------------------------------------------
 */

FO_EXPORT int pthread_mutex_init(pthread_mutex_t *lock, const pthread_mutexattr_t *attributes)
{
    REAL(pthread_mutex_init, pthread_mutex_t *, const pthread_mutexattr_t *);
    pthread_mutexattr_t copy;

    if (!is_shared(lock))
        return real(lock, attributes);
    if (attributes != NULL)
        copy = *attributes;
    else
        FO_MOVED(pthread_mutexattr_init)(&copy);
    FO_MOVED(pthread_mutexattr_setpshared)(&copy, PTHREAD_PROCESS_SHARED);
    return real(lock, &copy);
}

FO_EXPORT int pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
    static void *slot;
    int (*real)(pthread_cond_t *, const pthread_condattr_t *);
    pthread_condattr_t copy;

    *(void **)&real = fo_real_cond_init(&slot);
    if (!is_shared(condition))
        return real(condition, attributes);
    if (attributes != NULL)
        copy = *attributes;
    else
        pthread_condattr_init(&copy);
    FO_MOVED(pthread_condattr_setpshared)(&copy, PTHREAD_PROCESS_SHARED);
    return real(condition, &copy);
}
