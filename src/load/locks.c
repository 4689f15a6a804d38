/* Cure `locks`: a lock that OpenSSL puts into memory which processes share must be process-shared,
 * or a waiter in another process sleeps for ever.  Any address outside such memory, and every call
 * while the cure is not applied, is passed through untouched.  The caller's attributes are copied,
 * not changed. */
#include <pthread.h>

#include "core/options.h"
#include "fork/cures.h"
#include "fork/shared.h"
#include "load/real.h"

static bool wanted(const void *lock)
{
    return fo_unlikely(fo_cure_applied(FO_CURE_LOCKS)) && fo_shared_contains((uintptr_t)lock);
}

FO_EXPORT int pthread_rwlock_init(pthread_rwlock_t *lock, const pthread_rwlockattr_t *attributes)
{
    static void *slot;
    int (*real)(pthread_rwlock_t *, const pthread_rwlockattr_t *);
    pthread_rwlockattr_t copy;

    *(void **)&real = fo_real(&slot, "pthread_rwlock_init");
    if (!wanted(lock))
        return real(lock, attributes);
    if (attributes != NULL)
        copy = *attributes;
    else
        pthread_rwlockattr_init(&copy);
    pthread_rwlockattr_setpshared(&copy, PTHREAD_PROCESS_SHARED);
    return real(lock, &copy);
}

FO_EXPORT int pthread_mutex_init(pthread_mutex_t *lock, const pthread_mutexattr_t *attributes)
{
    static void *slot;
    int (*real)(pthread_mutex_t *, const pthread_mutexattr_t *);
    pthread_mutexattr_t copy;

    *(void **)&real = fo_real(&slot, "pthread_mutex_init");
    if (!wanted(lock))
        return real(lock, attributes);
    if (attributes != NULL)
        copy = *attributes;
    else
        pthread_mutexattr_init(&copy);
    pthread_mutexattr_setpshared(&copy, PTHREAD_PROCESS_SHARED);
    return real(lock, &copy);
}

FO_EXPORT int pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
    static void *slot;
    int (*real)(pthread_cond_t *, const pthread_condattr_t *);
    pthread_condattr_t copy;

    *(void **)&real = fo_real(&slot, "pthread_cond_init");
    if (!wanted(condition))
        return real(condition, attributes);
    if (attributes != NULL)
        copy = *attributes;
    else
        pthread_condattr_init(&copy);
    pthread_condattr_setpshared(&copy, PTHREAD_PROCESS_SHARED);
    return real(condition, &copy);
}
