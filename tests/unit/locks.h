/* For tests of the rwlock: through its fast path, as OpenSSL's calls use it. */
#ifndef FO_TESTS_LOCKS_H
#define FO_TESTS_LOCKS_H

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/rwlock_fast.h"
#include "shared_heap.h"

static inline pthread_rwlock_t *new_lock(void)
{
    pthread_rwlock_t *lock = block(sizeof *lock);

    assert_int_equal(fo_rwlock_init(lock), 0);
    return lock;
}

static inline void acquire_shared(pthread_rwlock_t *lock)
{
    assert_int_equal(fo_rwlock_read_fast(lock), 0);
}

static inline void unlock(pthread_rwlock_t *lock)
{
    assert_int_equal(fo_rwlock_unlock_fast(lock), 0);
}

/* Can another process acquire it to write? */
static inline void try_to_write(void *lock)
{
    if (fo_rwlock_try_write(lock) != 0)
        _exit(1);
    fo_rwlock_unlock(lock);
    _exit(0);
}

static inline void try_to_read(void *lock)
{
    _exit(fo_rwlock_try_read(lock) != 0);
}

static inline bool can_others(void (*attempt)(void *), pthread_rwlock_t *lock)
{
    int status;

    fixture_fork_any(attempt, lock, &status);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) == 0;
}

static inline bool can_others_write(pthread_rwlock_t *lock)
{
    return can_others(try_to_write, lock);
}

static inline bool can_others_read(pthread_rwlock_t *lock)
{
    return can_others(try_to_read, lock);
}

#endif
