/* The behaviour of rwlocks that programs rely on, in memory that OpenSSL allocated: in private
 * memory they are glibc's, in shared memory the library's (src/shared/rwlock.h). */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fault.h"
#include "libc.h"

enum { LONGEST = 100 }; /* seconds; a longer run hangs */

static pthread_rwlock_t *lock;
static uint32_t reached;

static pthread_rwlock_t *new_lock(void)
{
    pthread_rwlock_t *l = OPENSSL_malloc(sizeof *l);

    CHECK(l != NULL && pthread_rwlock_init(l, NULL) == 0);
    return l;
}

static uint32_t load(uint32_t *p)
{
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static void store(uint32_t *p, uint32_t value)
{
    __atomic_store_n(p, value, __ATOMIC_SEQ_CST);
}

static void await(uint32_t *p, uint32_t value)
{
    while (load(p) != value)
        sched_yield();
}

static pthread_t thread(void *(*run)(void *), void *argument)
{
    pthread_t t;
    pthread_attr_t small;

    CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 128 << 10) == 0);
    CHECK(pthread_create(&t, &small, run, argument) == 0);
    return t;
}

static void join(pthread_t t)
{
    CHECK(pthread_join(t, NULL) == 0);
}

/* The system call in which a thread of this process sleeps; -1: it runs. */
static long sleeps_in(uint32_t tid)
{
    char path[64], text[256] = "";
    long number;

    snprintf(path, sizeof path, "/proc/self/task/%u/syscall", tid);
    FILE *file = fopen(path, "re");
    CHECK(file != NULL && fgets(text, sizeof text, file) != NULL);
    fclose(file);
    return sscanf(text, "%ld", &number) == 1 ? number : -1;
}

static void await_sleep(uint32_t *tid)
{
    while (load(tid) == 0 || sleeps_in(load(tid)) < 0)
        usleep(1000); /* clock_nanosleep(2): allowed in the sandbox below */
}

static uint32_t own_tid(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

/* --- owners --------------------------------------------------------------------------------------
 */

static void *acquire_to_read(void *l)
{
    CHECK(pthread_rwlock_rdlock(l) == 0);
    return NULL;
}

static void *release_one(void *l)
{
    CHECK(pthread_rwlock_unlock(l) == 0);
    return NULL;
}

static void left_by_a_thread(void)
{
    lock = new_lock();
    join(thread(acquire_to_read, lock));
    CHECK(pthread_rwlock_trywrlock(lock) == EBUSY);
    CHECK(pthread_rwlock_rdlock(lock) == 0);
    CHECK(pthread_rwlock_unlock(lock) == 0);
    CHECK(pthread_rwlock_trywrlock(lock) == EBUSY);
    CHECK(pthread_rwlock_unlock(lock) == 0);
    CHECK(pthread_rwlock_trywrlock(lock) == 0);
}

static uint32_t main_tid, returned;

static void *release_when_main_waits(void *unused)
{
    while (load(&returned) == 0 && sleeps_in(main_tid) < 0)
        sched_yield();
    CHECK(pthread_rwlock_unlock(lock) == 0);
    return unused;
}

static void handed_over_and_written(void)
{
    lock = new_lock();
    main_tid = own_tid();
    alarm(LONGEST);
    CHECK(pthread_rwlock_rdlock(lock) == 0);
    pthread_t other =
        thread(release_when_main_waits, NULL); /* from here on the lock is the other thread's */
    int status = pthread_rwlock_wrlock(lock);
    store(&returned, 1);
    join(other);
    CHECK(status == 0);
}

enum { ROUNDS = 3000 };

static void *take_for_another(void *unused)
{
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        CHECK(pthread_rwlock_rdlock(lock) == 0);
        store(&reached, i);
        while (load(&reached) == i) { /* meanwhile it acquires the lock for itself */
            CHECK(pthread_rwlock_rdlock(lock) == 0);
            CHECK(pthread_rwlock_unlock(lock) == 0);
        }
    }
    return unused;
}

static void *release_for_another(void *unused)
{
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        await(&reached, i);
        CHECK(pthread_rwlock_unlock(lock) == 0);
        store(&reached, 0);
    }
    return unused;
}

static void handed_over_often(void)
{
    lock = new_lock();
    alarm(LONGEST);
    pthread_t taker = thread(take_for_another, NULL), other = thread(release_for_another, NULL);
    join(taker);
    join(other);
    CHECK(pthread_rwlock_trywrlock(lock) == 0);
}

/* --- many locks, readers and threads -------------------------------------------------------------
 */

enum { LOCKS = 100 };
static pthread_rwlock_t *locks[LOCKS];

static void *read_them_too(void *unused)
{
    for (unsigned i = 0; i < LOCKS; i++)
        CHECK(pthread_rwlock_tryrdlock(locks[i]) == 0);
    for (unsigned i = 0; i < LOCKS; i++)
        CHECK(pthread_rwlock_unlock(locks[i]) == 0);
    return unused;
}

static void many_locks(void)
{
    for (unsigned i = 0; i < LOCKS; i++) {
        locks[i] = new_lock();
        CHECK(pthread_rwlock_rdlock(locks[i]) == 0);
    }
    join(thread(read_them_too, NULL));
    for (unsigned i = 0; i < LOCKS; i++) {
        CHECK(pthread_rwlock_rdlock(locks[i]) == 0 && pthread_rwlock_unlock(locks[i]) == 0);
        CHECK(pthread_rwlock_trywrlock(locks[i]) == EBUSY);
        CHECK(pthread_rwlock_unlock(locks[i]) == 0);
        CHECK(pthread_rwlock_trywrlock(locks[i]) == 0);
    }
}

static void counted(void)
{
    enum { TIMES = 50 };

    lock = new_lock();
    for (unsigned i = 0; i < TIMES; i++)
        CHECK(pthread_rwlock_rdlock(lock) == 0);
    for (unsigned i = 0; i < TIMES; i++) {
        CHECK(pthread_rwlock_trywrlock(lock) == EBUSY);
        if (i % 2 == 0)
            join(thread(release_one, lock));
        else
            CHECK(pthread_rwlock_unlock(lock) == 0);
    }
    CHECK(pthread_rwlock_trywrlock(lock) == 0);
}

static void *read_and_read_the_next(void *l)
{
    acquire_to_read(l);
    store(&reached, 1);
    await(&reached, 2);
    acquire_to_read(l);
    release_one(l);
    store(&reached, 3);
    await(&reached, 0);
    return NULL;
}

/* A lock that a thread reads is destroyed, and a new lock has its address; or its memory is used
 * again without that. */
static void reborn(void)
{
    for (unsigned i = 0; i < 20; i++) {
        lock = new_lock();
        pthread_t t = thread(read_and_read_the_next, lock);
        await(&reached, 1);
        if (i % 2 == 0)
            CHECK(pthread_rwlock_destroy(lock) == 0);
        else
            memset(lock, 7, sizeof *lock);
        CHECK(pthread_rwlock_init(lock, NULL) == 0);
        store(&reached, 2);
        await(&reached, 3);
        CHECK(pthread_rwlock_trywrlock(lock) == 0);
        CHECK(pthread_rwlock_unlock(lock) == 0 && pthread_rwlock_destroy(lock) == 0);
        OPENSSL_free(lock);
        store(&reached, 0);
        join(t);
    }
}

static void *read_once_and_stay(void *unused)
{
    CHECK(pthread_rwlock_rdlock(lock) == 0 && pthread_rwlock_unlock(lock) == 0);
    __atomic_add_fetch(&reached, 1, __ATOMIC_SEQ_CST);
    await(&returned, 1);
    return unused;
}

static void *late(void *unused)
{
    CHECK(pthread_rwlock_rdlock(lock) == 0 && pthread_rwlock_rdlock(lock) == 0);
    CHECK(pthread_rwlock_trywrlock(lock) == EBUSY);
    CHECK(pthread_rwlock_unlock(lock) == 0 && pthread_rwlock_unlock(lock) == 0);
    CHECK(pthread_rwlock_trywrlock(lock) == 0 && pthread_rwlock_unlock(lock) == 0);
    return unused;
}

static void many_threads(void)
{
    enum { THREADS = 2100 };
    static pthread_t all[THREADS];

    lock = new_lock();
    alarm(LONGEST);
    CHECK(pthread_rwlock_wrlock(lock) == 0); /* until all threads wait */
    for (unsigned i = 0; i < THREADS; i++)
        all[i] = thread(read_once_and_stay, NULL);
    CHECK(pthread_rwlock_unlock(lock) == 0);
    while (load(&reached) != THREADS)
        usleep(1000); /* thousands of threads yield meanwhile */
    join(thread(late, NULL));
    store(&returned, 1);
    for (unsigned i = 0; i < THREADS; i++)
        join(all[i]);
}

/* --- waiting -------------------------------------------------------------------------------------
 */

static uint32_t reader, writer, got;

static void *read_again_and_again(void *turns)
{
    store(&reader, own_tid());
    for (uintptr_t i = 0; i < (uintptr_t)turns; i++) {
        CHECK(pthread_rwlock_rdlock(lock) == 0);
        __atomic_add_fetch(&got, 1, __ATOMIC_SEQ_CST);
        CHECK(pthread_rwlock_unlock(lock) == 0);
    }
    return NULL;
}

/* A writer that acquires the lock again at once does not overtake a waiting reader. */
static void readers_turn(void)
{
    enum { TURNS = 50 };

    lock = new_lock();
    alarm(LONGEST);
    CHECK(pthread_rwlock_wrlock(lock) == 0);
    pthread_t t = thread(read_again_and_again, (void *)(uintptr_t)TURNS);
    for (uint32_t before = 0; before < TURNS; before = load(&got)) {
        await_sleep(&reader);
        CHECK(pthread_rwlock_unlock(lock) == 0 && pthread_rwlock_wrlock(lock) == 0);
        CHECK(load(&got) > before);
    }
    CHECK(pthread_rwlock_unlock(lock) == 0);
    join(t);
}

/* A thread waits in futex(2). */
static void waits_asleep(void)
{
    enum { LOOKS = 1000 };

    lock = new_lock();
    alarm(LONGEST);
    CHECK(pthread_rwlock_wrlock(lock) == 0);
    pthread_t t = thread(read_again_and_again, (void *)(uintptr_t)1);
    await_sleep(&reader);
    for (unsigned i = 0; i < LOOKS; i++) {
        long number = sleeps_in(reader);
        CHECK(number < 0 || number == SYS_futex);
        sched_yield();
    }
    CHECK(pthread_rwlock_unlock(lock) == 0);
    join(t);
}

static void *write_once(void *unused)
{
    store(&writer, own_tid());
    CHECK(pthread_rwlock_wrlock(lock) == 0 && pthread_rwlock_unlock(lock) == 0);
    return unused;
}

/* A sandbox that allows futex(2), and ends the process for calls that glibc's locks never make. */
static void in_a_sandbox(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_yield, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_nanosleep, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

    lock = new_lock();
    alarm(LONGEST);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
    CHECK(pthread_rwlock_wrlock(lock) == 0);
    pthread_t readers = thread(read_again_and_again, (void *)(uintptr_t)1);
    await_sleep(&reader);
    pthread_t writers = thread(write_once, NULL);
    await_sleep(&writer);
    CHECK(pthread_rwlock_unlock(lock) == 0);
    join(readers);
    join(writers);
    CHECK(pthread_rwlock_rdlock(lock) == 0); /* now a writer waits for a reader */
    store(&writer, 0);
    writers = thread(write_once, NULL);
    await_sleep(&writer);
    CHECK(pthread_rwlock_unlock(lock) == 0);
    join(writers);
}

/* --- answers -------------------------------------------------------------------------------------
 */

/* One second from now. */
static struct timespec soon(clockid_t clock)
{
    struct timespec t;

    CHECK(clock_gettime(clock, &t) == 0);
    t.tv_sec++;
    return t;
}

static void *answers_of_another(void *unused)
{
    struct timespec real = soon(CLOCK_REALTIME), monotonic = soon(CLOCK_MONOTONIC), past = {0, 0},
                    negative = {-1, 0};

    fact("other-try-read", "%d", pthread_rwlock_tryrdlock(lock));
    fact("other-try-write", "%d", pthread_rwlock_trywrlock(lock));
    fact("other-timed-read", "%d", pthread_rwlock_timedrdlock(lock, &past));
    fact("other-timed-write", "%d", pthread_rwlock_timedwrlock(lock, &negative));
    fact("other-timed-write-soon", "%d", pthread_rwlock_timedwrlock(lock, &real));
    fact("other-clock-read-soon", "%d",
         pthread_rwlock_clockrdlock(lock, CLOCK_MONOTONIC, &monotonic));
    return unused;
}

static void answers(void)
{
    struct timespec past = {0, 0}, wrong = {0, 2000000000}, end = soon(CLOCK_REALTIME);

    lock = new_lock();
    fact("read", "%d", pthread_rwlock_rdlock(lock));
    fact("try-write-of-reader", "%d", pthread_rwlock_trywrlock(lock));
    fact("timed-write-of-reader", "%d", pthread_rwlock_timedwrlock(lock, &past));
    fact("wrong-time-of-reader", "%d", pthread_rwlock_timedrdlock(lock, &wrong));
    fact("unlock", "%d", pthread_rwlock_unlock(lock));
    fact("write", "%d", pthread_rwlock_wrlock(lock));
    fact("read-of-writer", "%d", pthread_rwlock_rdlock(lock));
    fact("write-of-writer", "%d", pthread_rwlock_wrlock(lock));
    fact("try-read-of-writer", "%d", pthread_rwlock_tryrdlock(lock));
    fact("try-write-of-writer", "%d", pthread_rwlock_trywrlock(lock));
    fact("timed-read-of-writer", "%d", pthread_rwlock_timedrdlock(lock, &end));
    fact("timed-write-of-writer", "%d", pthread_rwlock_timedwrlock(lock, &end));
    fact("wrong-time-of-writer", "%d", pthread_rwlock_timedwrlock(lock, &wrong));
    fact("wrong-clock-of-writer", "%d", pthread_rwlock_clockwrlock(lock, 77, &end));
    join(thread(answers_of_another, NULL));
    fact("unlock-of-writer", "%d", pthread_rwlock_unlock(lock));
    fact("wrong-time", "%d", pthread_rwlock_timedrdlock(lock, &wrong));
    fact("wrong-clock", "%d", pthread_rwlock_clockrdlock(lock, CLOCK_BOOTTIME, &end));
    fact("past-but-free", "%d", pthread_rwlock_clockwrlock(lock, CLOCK_MONOTONIC, &past));
    fact("destroy-of-writer", "%d", pthread_rwlock_destroy(lock));
}

const struct fault rwlock_faults[] = {
    {"rwlock-left-by-thread", left_by_a_thread},
    {"rwlock-handed-over-and-written", handed_over_and_written},
    {"rwlock-handed-over-often", handed_over_often},
    {"rwlock-many-locks", many_locks},
    {"rwlock-counted", counted},
    {"rwlock-reborn", reborn},
    {"rwlock-many-threads", many_threads},
    {"rwlock-readers-turn", readers_turn},
    {"rwlock-waits-asleep", waits_asleep},
    {"rwlock-in-a-sandbox", in_a_sandbox},
    {"rwlock-answers", answers},
    {NULL, NULL},
};
