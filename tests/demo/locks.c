/* Which locks may several processes use? These definitions stand in front of libc's for libcrypto
 * too, which is linked later. */
#include "locks.h"

#include <dlfcn.h>
#include <pthread.h>

/* libcrypto must find them, whatever visibility the tree is built with. */
#define EXPORTED __attribute__((visibility("default")))

typedef int rwlock_init(pthread_rwlock_t *lock, const pthread_rwlockattr_t *attr);
typedef int mutex_init(pthread_mutex_t *lock, const pthread_mutexattr_t *attr);

static bool make_shared = true;

void locks_make_shared(bool yes)
{
    make_shared = yes;
}

EXPORTED int pthread_rwlock_init(pthread_rwlock_t *lock, const pthread_rwlockattr_t *attr)
{
    rwlock_init *real = (rwlock_init *)dlsym(RTLD_NEXT, "pthread_rwlock_init");
    if (attr != NULL || !make_shared)
        return real(lock, attr);

    pthread_rwlockattr_t shared;
    pthread_rwlockattr_init(&shared);
    pthread_rwlockattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    int error = real(lock, &shared);
    pthread_rwlockattr_destroy(&shared);
    return error;
}

EXPORTED int pthread_mutex_init(pthread_mutex_t *lock, const pthread_mutexattr_t *attr)
{
    mutex_init *real = (mutex_init *)dlsym(RTLD_NEXT, "pthread_mutex_init");
    if (attr != NULL || !make_shared)
        return real(lock, attr);

    pthread_mutexattr_t shared;
    pthread_mutexattr_init(&shared);
    pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    int error = real(lock, &shared);
    pthread_mutexattr_destroy(&shared);
    return error;
}
