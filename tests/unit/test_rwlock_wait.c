/* The rwlock of several processes: do threads and processes that wait for it get their turn? */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "locks.h"

static uint32_t word(pthread_rwlock_t *lock)
{
    return (uint32_t)__atomic_load_n(&((struct fo_rwlock *)(void *)lock)->word, __ATOMIC_SEQ_CST);
}

static void await_flag(pthread_rwlock_t *lock, uint32_t flag)
{
    while ((word(lock) & flag) == 0)
        sched_yield();
}

static void await_writer(pthread_rwlock_t *lock)
{
    await_flag(lock, FO_RWLOCK_PENDING);
}

static void *write_in_thread(void *lock)
{
    if (fo_rwlock_write(lock) != 0 || fo_rwlock_unlock(lock) != 0)
        abort();
    return NULL;
}

FRESH(a_reader_can_read_again_while_a_writer_waits)
{
    pthread_t writer;

    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    alarm(250); /* a hang */
    acquire_shared(lock);
    assert_int_equal(pthread_create(&writer, NULL, write_in_thread, lock), 0);
    await_writer(lock);
    acquire_shared(lock);
    assert_true(can_others_read(lock));
    unlock(lock);
    unlock(lock);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_true(can_others_write(lock));
}

/* The wait is no cancellation point. */
FRESH(a_waiting_writer_is_not_cancelled)
{
    pthread_t writer;

    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    acquire_shared(lock);
    assert_int_equal(pthread_create(&writer, NULL, write_in_thread, lock), 0);
    await_writer(lock);
    assert_int_equal(pthread_cancel(writer), 0);
    unlock(lock);
    void *answer;
    assert_int_equal(pthread_join(writer, &answer), 0);
    assert_null(answer); /* not PTHREAD_CANCELED */
    assert_true(can_others_write(lock));
}

static pthread_rwlock_t *common;
static uint32_t got;

static void *read_and_count(void *times)
{
    for (uintptr_t i = 0; i < (uintptr_t)times; i++) {
        if (fo_rwlock_read(common) != 0)
            abort();
        __atomic_add_fetch(&got, 1, __ATOMIC_SEQ_CST);
        unlock(common);
    }
    return NULL;
}

/* A writer that acquires the lock again at once does not overtake a waiting reader. */
FRESH(a_writer_does_not_starve_a_reader)
{
    enum { TURNS = SMALL ? 20 : 300 };
    pthread_t reader;

    start(NULL);
    common = new_lock();
    alarm(250); /* a hang */
    assert_int_equal(fo_rwlock_write(common), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_and_count, (void *)(uintptr_t)TURNS), 0);
    for (uint32_t i = 0; i < TURNS; i++) {
        await_flag(common, FO_RWLOCK_READERS_WAIT);
        uint32_t before = __atomic_load_n(&got, __ATOMIC_SEQ_CST);
        unlock(common);
        assert_int_equal(fo_rwlock_write(common), 0);
        uint32_t after = __atomic_load_n(&got, __ATOMIC_SEQ_CST);
        assert_true(after > before);
        if (after == TURNS)
            break;
    }
    unlock(common);
    assert_int_equal(pthread_join(reader, NULL), 0);
}

static void wait_to_read(void *lock)
{
    fo_rwlock_read(lock);
}

/* A waiting reader was killed before it acquired the lock. */
FRESH(a_reader_that_was_killed_has_no_turn)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    alarm(250); /* a hang */
    assert_int_equal(fo_rwlock_write(lock), 0);
    pid_t reader = fork();
    if (reader == 0) {
        wait_to_read(lock);
        _exit(0);
    }
    await_flag(lock, FO_RWLOCK_READERS_WAIT);
    kill(reader, SIGKILL);
    assert_int_equal(waitpid(reader, NULL, 0), reader);
    unlock(lock);
    assert_int_equal(fo_rwlock_write(lock), 0);
    unlock(lock);
}

FRESH(a_reader_that_waits_no_longer_has_no_turn)
{
    struct timespec now;
    int status;

    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    assert_int_equal(fo_rwlock_write(lock), 0);
    clock_gettime(CLOCK_REALTIME, &now);
    pid_t reader = fork();
    if (reader == 0)
        _exit(fo_rwlock_read_until(lock, CLOCK_REALTIME, &now));
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_int_equal(WEXITSTATUS(status), ETIMEDOUT);
    unlock(lock);
    assert_int_equal(fo_rwlock_try_write(lock), 0);
    unlock(lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_can_read_again_while_a_writer_waits),
        cmocka_unit_test(a_waiting_writer_is_not_cancelled),
        cmocka_unit_test(a_writer_does_not_starve_a_reader),
        cmocka_unit_test(a_reader_that_was_killed_has_no_turn),
        cmocka_unit_test(a_reader_that_waits_no_longer_has_no_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
