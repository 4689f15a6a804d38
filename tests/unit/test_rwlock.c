/* The lock for readers and writers of several processes: does it exclude whom it should, whatever
 * a thread reads besides, and whoever forks or waits?  By many at once, some of them killed:
 * test_rwlock_storm.c. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "locks.h"

/* Could another process write?  It ends before it would wait. */
static void try_to_write(void *lock)
{
    if (fo_rwlock_try_write(lock) != 0)
        _exit(1);
    fo_rwlock_unlock(lock);
    _exit(0);
}

static void try_to_read(void *lock)
{
    _exit(fo_rwlock_try_read(lock) != 0);
}

static bool others_can(void (*attempt)(void *), pthread_rwlock_t *lock)
{
    int status;

    fixture_fork_any(attempt, lock, &status);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status) == 0;
}

static bool is_free_for_others(pthread_rwlock_t *lock)
{
    return others_can(try_to_write, lock);
}

static bool others_can_read(pthread_rwlock_t *lock)
{
    return others_can(try_to_read, lock);
}

/* --- what one thread reads -----------------------------------------------------------------------
 */

enum { LOCKS = 3 * FO_LINE_READS + 2 };

/* In every order in which two neighbours, the ends, or all are exchanged. */
FRESH(locks_are_left_in_any_order)
{
    static const uint8_t orders[][4] = {{3, 2, 1, 0}, {0, 1, 2, 3}, {1, 3, 0, 2}, {2, 0, 3, 1}};
    pthread_rwlock_t *locks[4];

    start(NULL);
    for (unsigned i = 0; i < 4; i++)
        locks[i] = new_lock();
    for (unsigned o = 0; o < 4; o++) {
        for (unsigned i = 0; i < 4; i++)
            read_it(locks[i]);
        for (unsigned left = 0; left < 4; left++) {
            assert_false(is_free_for_others(locks[orders[o][left]]));
            leave(locks[orders[o][left]]);
            assert_true(is_free_for_others(locks[orders[o][left]]));
        }
    }
    fixture_expect("%s", "");
}

/* As many as one likes: the line after the seventh, and after the next ones. */
FRESH(others_read_all_locks_that_a_thread_reads)
{
    pthread_rwlock_t *locks[LOCKS];

    start(NULL);
    for (unsigned i = 0; i < LOCKS; i++) {
        locks[i] = new_lock();
        read_it(locks[i]);
    }
    for (unsigned i = 0; i < LOCKS; i++) {
        assert_false(is_free_for_others(locks[i]));
        assert_true(others_can_read(locks[i]));
    }
    for (unsigned i = 0; i < LOCKS; i++) {
        leave(locks[i]);
        assert_true(is_free_for_others(locks[i]));
        assert_int_equal(fo_rwlock_unlock(locks[i]), EPERM);
    }
    assert_ptr_equal(fo_own_seat.top, fo_own_seat.seat->first.reads);
    assert_ptr_equal(fo_own_seat.last, &fo_own_seat.seat->first);
}

/* First in, first out: lines in the middle are empty then, and serve again. */
FRESH(lines_serve_again)
{
    enum { TURNS = 500 };
    pthread_rwlock_t *locks[LOCKS];

    start(NULL);
    for (unsigned i = 0; i < LOCKS; i++) {
        locks[i] = new_lock();
        read_it(locks[i]);
    }
    for (unsigned i = 0; i < TURNS; i++) {
        leave(locks[i % LOCKS]);
        read_it(locks[i % LOCKS]);
    }
    assert_in_range(fo_seats->lines_used, 1, LOCKS / FO_LINE_READS + 1);
}

FRESH(a_lock_is_read_again_as_often_as_one_likes)
{
    enum { TIMES = 3000 };
    pthread_rwlock_t *lock, *other;

    start(NULL);
    lock = new_lock();
    other = new_lock();
    read_it(other);
    for (unsigned i = 0; i < TIMES; i++)
        read_it(lock);
    leave(other); /* from below what is read more often than there is room */
    assert_true(is_free_for_others(other));
    for (unsigned i = 0; i < TIMES; i++) {
        assert_int_equal(fo_rwlock_try_write(lock), EBUSY);
        leave(lock);
    }
    assert_true(is_free_for_others(lock));
    assert_int_equal(fo_rwlock_unlock(lock), EPERM);
}

/* Each pair leaves a gap in the seat. */
FRESH(room_that_was_left_in_another_order_is_used_again)
{
    pthread_rwlock_t *lock, *other;

    start(NULL);
    lock = new_lock();
    other = new_lock();
    for (unsigned i = 0; i < LOCKS; i++) {
        read_it(lock);
        read_it(other);
        assert_true(others_can_read(lock) && others_can_read(other));
        leave(lock);
        leave(other);
    }
    assert_true(is_free_for_others(lock) && is_free_for_others(other));
}

static void release_in_child(void *lock)
{
    read_it(lock);
    leave(lock); /* its own */
    leave(lock); /* its parent's */
}

FRESH(any_process_may_release_what_another_one_reads)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    read_it(lock);
    fixture_fork(release_in_child, lock);
    assert_int_equal(fo_rwlock_unlock_fast(lock), EPERM);
    assert_true(is_free_for_others(lock));
}

static void write_release_in_child(void *lock)
{
    leave(lock);
}

FRESH(any_process_may_release_what_another_one_writes)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    assert_int_equal(fo_rwlock_write(lock), 0);
    assert_true(fo_rwlock_has_writer_here());
    fixture_fork(write_release_in_child, lock);
    assert_false(fo_rwlock_has_writer_here());
    assert_true(is_free_for_others(lock));
}

/* As glibc's: a writer that acquires the lock again is told, a reader that writes waits. */
FRESH(a_thread_that_has_the_lock_already)
{
    struct timespec soon, wrong = {0, 2000000000};

    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    clock_gettime(CLOCK_MONOTONIC, &soon);
    assert_int_equal(fo_rwlock_write(lock), 0);
    assert_int_equal(fo_rwlock_read_fast(lock), EDEADLK);
    assert_int_equal(fo_rwlock_write(lock), EDEADLK);
    assert_int_equal(fo_rwlock_read_until(lock, CLOCK_MONOTONIC, &soon), EDEADLK);
    assert_int_equal(fo_rwlock_try_read(lock), EBUSY);
    assert_int_equal(fo_rwlock_try_write(lock), EBUSY);
    assert_int_equal(fo_rwlock_read_until(lock, CLOCK_MONOTONIC, &wrong), EINVAL);
    assert_int_equal(fo_rwlock_read_until(lock, CLOCK_BOOTTIME, &soon), EINVAL);
    leave(lock);
    read_it(lock);
    assert_int_equal(fo_rwlock_write_until(lock, CLOCK_MONOTONIC, &soon), ETIMEDOUT);
    assert_int_equal(fo_rwlock_try_write(lock), EBUSY);
    assert_int_equal(fo_rwlock_destroy(lock), 0);
}

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

FRESH(who_reads_may_read_again_though_somebody_waits_to_write)
{
    pthread_t writer;

    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    alarm(250); /* a hang */
    read_it(lock);
    assert_int_equal(pthread_create(&writer, NULL, write_in_thread, lock), 0);
    await_writer(lock);
    read_it(lock);
    assert_true(others_can_read(lock));
    leave(lock);
    leave(lock);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_true(is_free_for_others(lock));
}

/* It is no cancellation point. */
FRESH(a_waiting_writer_is_not_cancelled)
{
    pthread_t writer;

    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    read_it(lock);
    assert_int_equal(pthread_create(&writer, NULL, write_in_thread, lock), 0);
    await_writer(lock);
    assert_int_equal(pthread_cancel(writer), 0);
    leave(lock);
    void *answer;
    assert_int_equal(pthread_join(writer, &answer), 0);
    assert_null(answer); /* not PTHREAD_CANCELED */
    assert_true(is_free_for_others(lock));
}

FRESH(a_new_lock_is_read_by_nobody)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    for (unsigned i = 0; i < 2 * FO_LINE_READS; i++)
        read_it(lock);
    assert_int_equal(fo_rwlock_init(lock), 0); /* its memory came back to us */
    assert_int_equal(fo_rwlock_write(lock), 0);
    leave(lock);
    assert_int_equal(fo_rwlock_unlock(lock), EPERM);
}

/* --- threads that wait ---------------------------------------------------------------------------
 */

static pthread_rwlock_t *common;
static uint32_t got;

static void *read_and_say(void *times)
{
    for (uintptr_t i = 0; i < (uintptr_t)times; i++) {
        if (fo_rwlock_read(common) != 0)
            abort();
        __atomic_add_fetch(&got, 1, __ATOMIC_SEQ_CST);
        leave(common);
    }
    return NULL;
}

/* A writer that writes again at once does not come before a reader that waits. */
FRESH(a_writer_leaves_the_turn_to_a_reader)
{
    enum { TURNS = SMALL ? 20 : 300 };
    pthread_t reader;

    start(NULL);
    common = new_lock();
    alarm(250); /* a hang */
    assert_int_equal(fo_rwlock_write(common), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_and_say, (void *)(uintptr_t)TURNS), 0);
    for (uint32_t i = 0; i < TURNS; i++) {
        await_flag(common, FO_RWLOCK_READERS_WAIT);
        uint32_t before = __atomic_load_n(&got, __ATOMIC_SEQ_CST);
        leave(common);
        assert_int_equal(fo_rwlock_write(common), 0);
        uint32_t after = __atomic_load_n(&got, __ATOMIC_SEQ_CST);
        assert_true(after > before);
        if (after == TURNS)
            break;
    }
    leave(common);
    assert_int_equal(pthread_join(reader, NULL), 0);
}

static void wait_to_read(void *lock)
{
    fo_rwlock_read(lock);
}

/* One that waited was killed before it came to its turn. */
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
    leave(lock);
    assert_int_equal(fo_rwlock_write(lock), 0);
    leave(lock);
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
    leave(lock);
    assert_int_equal(fo_rwlock_try_write(lock), 0);
    leave(lock);
}

/* --- threads that end ----------------------------------------------------------------------------
 */

static void *acquire_to_read(void *lock)
{
    read_it(lock);
    return NULL;
}

static void *acquire_to_write(void *lock)
{
    if (fo_rwlock_write(lock) != 0)
        abort();
    return NULL;
}

static void in_a_thread(void *(*what)(void *), void *argument)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, what, argument), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void is_kept_and_released(void *(*acquire)(void *), bool readable)
{
    pthread_rwlock_t *lock = new_lock();

    in_a_thread(acquire, lock);
    assert_int_equal(fo_rwlock_try_write(lock), EBUSY);
    assert_true(others_can_read(lock) == readable);
    leave(lock);
    assert_true(is_free_for_others(lock));
}

/* The lock is another thread's by then; and the seat is free when that one has released it. */
FRESH(a_thread_ends_and_what_it_has_is_kept)
{
    start(NULL);
    read_it(new_lock());
    uint32_t used = fo_seats->used;
    for (unsigned i = 0; i < 20; i++) {
        is_kept_and_released(acquire_to_read, true);
        is_kept_and_released(acquire_to_write, false);
    }
    assert_in_range(fo_seats->used, used, used + 2); /* the thread's, and the child's */
    fixture_expect("%s", "");
}

static void acquire_in_threads_and_vanish(void *locks)
{
    in_a_thread(acquire_to_read, ((pthread_rwlock_t **)locks)[0]);
    in_a_thread(acquire_to_write, ((pthread_rwlock_t **)locks)[1]);
    kill(getpid(), SIGKILL);
}

FRESH(its_process_ends_and_it_is_not)
{
    start(NULL);
    pthread_rwlock_t *locks[] = {new_lock(), new_lock()};
    fork_and_forget(acquire_in_threads_and_vanish, locks);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(fo_rwlock_write(locks[i]), 0);
        leave(locks[i]);
    }
    assert_int_equal(fixture_count("was left locked for writing"), 1);
}

static void acquire_and_vanish(pthread_rwlock_t **locks)
{
    read_it(locks[0]);
    assert_int_equal(fo_rwlock_write(locks[1]), 0);
    kill(getpid(), SIGKILL);
}

FRESH(a_process_made_by_clone_ends)
{
    start(NULL);
    pthread_rwlock_t *locks[] = {new_lock(), new_lock()};
    /* The kernel will not tell of its end. */
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0)
        acquire_and_vanish(locks);
    assert_int_equal(waitpid(child, NULL, 0), child);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(fo_rwlock_write(locks[i]), 0);
        leave(locks[i]);
    }
    assert_int_equal(fixture_count("was left locked for writing"), 1);
}

/* --- what other processes wrote ------------------------------------------------------------------
 */

FRESH(numbers_of_seats_and_lines_are_bounded)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock(), *other = new_lock();
    alarm(250); /* a hang */
    for (unsigned i = 0; i < 2 * FO_LINE_READS; i++)
        read_it(other);
    fo_seats->line[fo_seats->lines_used].links = 1 | (1 << 1) | 1u << 31; /* a circle */
    read_it(lock);
    fo_seats->used = UINT32_MAX;
    leave(lock);
    struct fo_rwlock *l = (struct fo_rwlock *)(void *)lock;
    l->word = UINT64_MAX << 32 | FO_RWLOCK_HELD | FO_RWLOCK_OWNER;
    assert_int_equal(fo_rwlock_write(lock), 0);
    leave(lock);
    l->word = FO_RWLOCK_HELD;
    assert_int_equal(fo_rwlock_unlock(lock), 0);
}

FRESH(without_a_seat_a_lock_is_refused_in_words)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    fo_seats->used = FO_SEATS - 1; /* and each is somebody's: none is ready */
    assert_int_equal(fo_rwlock_read_fast(lock), EAGAIN);
    assert_int_equal(fo_rwlock_write(lock), EAGAIN);
    fixture_expect("freeonce: more threads than 32,767 of all processes together use OpenSSL's "
                   "locks in shared memory: further ones get none of them\n%s",
                   "");
}

FRESH(without_room_a_lock_is_refused_in_words)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    fo_seats->lines_used = FO_LINES - 1;
    for (unsigned i = 0; i < FO_LINE_READS; i++)
        read_it(lock);
    assert_int_equal(fo_rwlock_read_fast(lock), EAGAIN);
    leave(lock);
    read_it(lock);
    assert_int_equal(fixture_count("they get no further ones"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_are_left_in_any_order),
        cmocka_unit_test(others_read_all_locks_that_a_thread_reads),
        cmocka_unit_test(lines_serve_again),
        cmocka_unit_test(a_lock_is_read_again_as_often_as_one_likes),
        cmocka_unit_test(room_that_was_left_in_another_order_is_used_again),
        cmocka_unit_test(any_process_may_release_what_another_one_reads),
        cmocka_unit_test(any_process_may_release_what_another_one_writes),
        cmocka_unit_test(a_thread_that_has_the_lock_already),
        cmocka_unit_test(who_reads_may_read_again_though_somebody_waits_to_write),
        cmocka_unit_test(a_waiting_writer_is_not_cancelled),
        cmocka_unit_test(a_new_lock_is_read_by_nobody),
        cmocka_unit_test(a_writer_leaves_the_turn_to_a_reader),
        cmocka_unit_test(a_reader_that_was_killed_has_no_turn),
        cmocka_unit_test(a_reader_that_waits_no_longer_has_no_turn),
        cmocka_unit_test(a_thread_ends_and_what_it_has_is_kept),
        cmocka_unit_test(its_process_ends_and_it_is_not),
        cmocka_unit_test(a_process_made_by_clone_ends),
        cmocka_unit_test(numbers_of_seats_and_lines_are_bounded),
        cmocka_unit_test(without_a_seat_a_lock_is_refused_in_words),
        cmocka_unit_test(without_room_a_lock_is_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
