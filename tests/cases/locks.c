/* OpenSSL's locks, and glibc's in shared memory: the changes by the cure `locks`, as facts, and the
 * contract of pthread_rwlock_...(3), which stays. */
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "libc.h"

static const char *sharing(bool shared)
{
    return shared ? "shared" : "private";
}

static void lock_attributes(void)
{
    enum { OURS = 0x4f466b63 }; /* src/shared/rwlock.c */
    static pthread_rwlock_t own;
    const pthread_rwlock_t *lock = (const pthread_rwlock_t *)CRYPTO_THREAD_lock_new();
    pthread_mutex_t *mutex = OPENSSL_malloc(sizeof *mutex);
    pthread_cond_t *condition = OPENSSL_malloc(sizeof *condition);

    CHECK(lock != NULL && mutex != NULL && condition != NULL);
    CHECK(pthread_mutex_init(mutex, NULL) == 0 && pthread_cond_init(condition, NULL) == 0);
    CHECK(pthread_rwlock_init(&own, NULL) == 0);
    fact("rwlock", "%s", FIRST_WORD_OF(lock) == OURS ? "ours" : "glibc's");
    fact("mutex", "%s", sharing(MUTEX_IS_SHARED(mutex)));
    fact("condition", "%s", sharing(CONDITION_IS_SHARED(condition)));
    fact("own", "%s", sharing(RWLOCK_IS_SHARED(&own)));
}

/* The caller's own attributes stay. */
static void attributes_kept(void)
{
    pthread_mutexattr_t attributes;
    pthread_mutex_t *mutex = OPENSSL_malloc(sizeof *mutex);
    int shared;

    CHECK(pthread_mutexattr_init(&attributes) == 0);
    CHECK(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK) == 0);
    CHECK(pthread_mutex_init(mutex, &attributes) == 0);
    CHECK(pthread_mutex_lock(mutex) == 0 && pthread_mutex_unlock(mutex) == 0);
    CHECK(pthread_mutex_unlock(mutex) != 0);
    CHECK(pthread_mutexattr_getpshared(&attributes, &shared) == 0);
    CHECK(shared == PTHREAD_PROCESS_PRIVATE);
}

/* Two processes wait for each other's lock, often. */
static void take_turns(CRYPTO_RWLOCK *lock, volatile int *turns)
{
    enum { ROUNDS = 3000 };

    alarm(250); /* a waiter that is never woken */
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(CRYPTO_THREAD_write_lock(lock) == 1);
        int before = *turns;
        usleep(i % 100 == 0); /* so that the other one has to wait */
        *turns = before + 1;
        CHECK(CRYPTO_THREAD_unlock(lock) == 1);
    }
}

static void lock_between_processes(void)
{
    CRYPTO_RWLOCK *lock = CRYPTO_THREAD_lock_new();
    volatile int *turns = OPENSSL_zalloc(sizeof *turns); /* a compiler knows of no other process */
    pid_t child = fork();

    take_turns(lock, turns);
    if (child == 0)
        _exit(0);
    wait_for(child);
    fact("turns", "%d", *turns);
}

/* A child is killed while it holds the lock; the parent can acquire it. */
static void kill_owner(CRYPTO_RWLOCK *lock, int (*take)(CRYPTO_RWLOCK *))
{
    int status;

    pid_t child = fork();
    if (child == 0) {
        if (take(lock) == 1)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    fact("killed", "%d", (int)child);
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    alarm(250); /* a waiter that is never woken */
    CHECK(CRYPTO_THREAD_read_lock(lock) == 1 && CRYPTO_THREAD_unlock(lock) == 1);
    CHECK(CRYPTO_THREAD_write_lock(lock) == 1 && CRYPTO_THREAD_unlock(lock) == 1);
    CRYPTO_THREAD_lock_free(lock);
}

static void dead_writer(void)
{
    CRYPTO_RWLOCK *lock = CRYPTO_THREAD_lock_new();

    fact("lock", "%p", (void *)lock);
    kill_owner(lock, CRYPTO_THREAD_write_lock);
}

static void dead_reader(void)
{
    kill_owner(CRYPTO_THREAD_lock_new(), CRYPTO_THREAD_read_lock);
}

static void *try_to_write(void *lock)
{
    return (void *)(intptr_t)pthread_rwlock_trywrlock(lock);
}

/* In private memory: a lock is read across a fork, and the child's second thread is first to use
 * it. */
static void read_across_fork(void)
{
    pthread_rwlock_t *lock = (pthread_rwlock_t *)CRYPTO_THREAD_lock_new();
    pthread_t thread;
    void *answer;

    CHECK(lock != NULL && pthread_rwlock_rdlock(lock) == 0);
    pid_t child = fork();
    if (child == 0) {
        CHECK(pthread_create(&thread, NULL, try_to_write, lock) == 0);
        CHECK(pthread_join(thread, &answer) == 0 && (intptr_t)answer == EBUSY);
        CHECK(pthread_rwlock_unlock(lock) == 0);
        CHECK(pthread_rwlock_trywrlock(lock) == 0);
        _exit(0);
    }
    wait_for(child);
    CHECK(pthread_rwlock_unlock(lock) == 0);
}

/* The contract of pthread_rwlock_...(3), with glibc's locks or the library's. */
static void lock_contract(void)
{
    pthread_rwlock_t *lock = OPENSSL_malloc(sizeof *lock);
    struct timespec past = {0, 0};

    CHECK(pthread_rwlock_init(lock, NULL) == 0);
    for (int i = 0; i < 20; i++) /* readers may come again */
        CHECK(pthread_rwlock_rdlock(lock) == 0);
    CHECK(pthread_rwlock_trywrlock(lock) == EBUSY);
    for (int i = 0; i < 20; i++)
        CHECK(pthread_rwlock_unlock(lock) == 0);
    CHECK(pthread_rwlock_wrlock(lock) == 0);
    CHECK(pthread_rwlock_tryrdlock(lock) == EBUSY && pthread_rwlock_trywrlock(lock) == EBUSY);
    CHECK(pthread_rwlock_timedrdlock(lock, &past) != 0); /* EDEADLK or ETIMEDOUT */
    CHECK(pthread_rwlock_wrlock(lock) == EDEADLK && pthread_rwlock_rdlock(lock) == EDEADLK);
    CHECK(pthread_rwlock_unlock(lock) == 0);
    CHECK(pthread_rwlock_clockwrlock(lock, CLOCK_MONOTONIC, &past) == 0);
    CHECK(pthread_rwlock_unlock(lock) == 0 && pthread_rwlock_destroy(lock) == 0);
    OPENSSL_free(lock);
}

const struct fault lock_faults[] = {
    {"lock-attributes", lock_attributes},
    {"lock-attributes-kept", attributes_kept},
    {"lock-between-processes", lock_between_processes},
    {"lock-of-dead-writer", dead_writer},
    {"lock-of-dead-reader", dead_reader},
    {"lock-contract", lock_contract},
    {"lock-read-across-fork", read_across_fork},
    {NULL, NULL},
};
