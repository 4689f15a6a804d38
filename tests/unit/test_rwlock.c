/* The rwlock of several processes: does it exclude other threads, with any number of locks held,
 * after forks, and after the end of its owner?  Waits are in test_rwlock_wait.c, many threads at
 * once, some of them killed, in test_rwlock_storm.c. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "locks.h"

/* --- the locks of one thread ---------------------------------------------------------------------
 */

enum { LOCKS = 3 * FO_LINE_READS + 2 };

/* In every order in which two neighbours, the ends, or all are exchanged. */
FRESH(locks_are_released_in_any_order)
{
    static const uint8_t orders[][4] = {{3, 2, 1, 0}, {0, 1, 2, 3}, {1, 3, 0, 2}, {2, 0, 3, 1}};
    pthread_rwlock_t *locks[4];

    start(NULL);
    for (unsigned i = 0; i < 4; i++)
        locks[i] = new_lock();
    for (unsigned o = 0; o < 4; o++) {
        for (unsigned i = 0; i < 4; i++)
            acquire_shared(locks[i]);
        for (unsigned left = 0; left < 4; left++) {
            assert_false(can_others_write(locks[orders[o][left]]));
            unlock(locks[orders[o][left]]);
            assert_true(can_others_write(locks[orders[o][left]]));
        }
    }
    fixture_expect("%s", "");
}

/* Without a limit: another line begins after the seventh lock, and after each next seven. */
FRESH(others_read_all_locks_that_a_thread_reads)
{
    pthread_rwlock_t *locks[LOCKS];

    start(NULL);
    for (unsigned i = 0; i < LOCKS; i++) {
        locks[i] = new_lock();
        acquire_shared(locks[i]);
    }
    for (unsigned i = 0; i < LOCKS; i++) {
        assert_false(can_others_write(locks[i]));
        assert_true(can_others_read(locks[i]));
    }
    for (unsigned i = 0; i < LOCKS; i++) {
        unlock(locks[i]);
        assert_true(can_others_write(locks[i]));
        assert_int_equal(fo_rwlock_unlock(locks[i]), EPERM);
    }
    assert_ptr_equal(fo_own_seat.top, fo_own_seat.seat->first.reads);
    assert_ptr_equal(fo_own_seat.last, &fo_own_seat.seat->first);
}

/* First in, first out: lines in the middle become empty and are used again. */
FRESH(lines_serve_again)
{
    enum { TURNS = 500 };
    pthread_rwlock_t *locks[LOCKS];

    start(NULL);
    for (unsigned i = 0; i < LOCKS; i++) {
        locks[i] = new_lock();
        acquire_shared(locks[i]);
    }
    for (unsigned i = 0; i < TURNS; i++) {
        unlock(locks[i % LOCKS]);
        acquire_shared(locks[i % LOCKS]);
    }
    assert_in_range(fo_seats->lines_used, 1, LOCKS / FO_LINE_READS + 1);
}

FRESH(a_lock_is_read_again_without_a_limit)
{
    enum { TIMES = 3000 };
    pthread_rwlock_t *lock, *other;

    start(NULL);
    lock = new_lock();
    other = new_lock();
    acquire_shared(other);
    for (unsigned i = 0; i < TIMES; i++)
        acquire_shared(lock);
    unlock(other); /* its entry lies below those of `lock`, which fill several lines */
    assert_true(can_others_write(other));
    for (unsigned i = 0; i < TIMES; i++) {
        assert_int_equal(fo_rwlock_try_write(lock), EBUSY);
        unlock(lock);
    }
    assert_true(can_others_write(lock));
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
        acquire_shared(lock);
        acquire_shared(other);
        assert_true(can_others_read(lock) && can_others_read(other));
        unlock(lock);
        unlock(other);
    }
    assert_true(can_others_write(lock) && can_others_write(other));
}

static void release_in_child(void *lock)
{
    acquire_shared(lock);
    unlock(lock); /* its own */
    unlock(lock); /* its parent's */
}

FRESH(any_process_may_release_what_another_one_reads)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    acquire_shared(lock);
    fixture_fork(release_in_child, lock);
    assert_int_equal(fo_rwlock_unlock_fast(lock), EPERM);
    assert_true(can_others_write(lock));
}

static void write_release_in_child(void *lock)
{
    unlock(lock);
}

FRESH(any_process_may_release_what_another_one_writes)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    assert_int_equal(fo_rwlock_write(lock), 0);
    assert_true(fo_rwlock_has_writer_here());
    fixture_fork(write_release_in_child, lock);
    assert_false(fo_rwlock_has_writer_here());
    assert_true(can_others_write(lock));
}

/* As with glibc: a writer that acquires the lock again gets an error, a reader that writes waits.
 */
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
    unlock(lock);
    acquire_shared(lock);
    assert_int_equal(fo_rwlock_write_until(lock, CLOCK_MONOTONIC, &soon), ETIMEDOUT);
    assert_int_equal(fo_rwlock_try_write(lock), EBUSY);
    assert_int_equal(fo_rwlock_destroy(lock), 0);
}

FRESH(a_new_lock_has_no_readers)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    for (unsigned i = 0; i < 2 * FO_LINE_READS; i++)
        acquire_shared(lock);
    assert_int_equal(fo_rwlock_init(lock), 0); /* as after a free and a new allocation */
    assert_int_equal(fo_rwlock_write(lock), 0);
    unlock(lock);
    assert_int_equal(fo_rwlock_unlock(lock), EPERM);
}

/* --- threads that end ----------------------------------------------------------------------------
 */

static void *acquire_to_read(void *lock)
{
    acquire_shared(lock);
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

static void check_kept_lock(void *(*acquire)(void *), bool readable)
{
    pthread_rwlock_t *lock = new_lock();

    in_a_thread(acquire, lock);
    assert_int_equal(fo_rwlock_try_write(lock), EBUSY);
    assert_true(can_others_read(lock) == readable);
    unlock(lock);
    assert_true(can_others_write(lock));
}

/* Another thread may release the lock.  The seat is retired after that. */
FRESH(the_locks_of_an_ended_thread_stay_locked)
{
    start(NULL);
    acquire_shared(new_lock());
    uint32_t used = fo_seats->used;
    for (unsigned i = 0; i < 20; i++) {
        check_kept_lock(acquire_to_read, true);
        check_kept_lock(acquire_to_write, false);
    }
    assert_in_range(fo_seats->used, used, used + 2); /* one of the thread, one of the child */
    fixture_expect("%s", "");
}

static void acquire_in_threads_and_die(void *locks)
{
    in_a_thread(acquire_to_read, ((pthread_rwlock_t **)locks)[0]);
    in_a_thread(acquire_to_write, ((pthread_rwlock_t **)locks)[1]);
    kill(getpid(), SIGKILL);
}

FRESH(the_locks_of_a_dead_process_are_released)
{
    start(NULL);
    pthread_rwlock_t *locks[] = {new_lock(), new_lock()};
    fork_and_wait(acquire_in_threads_and_die, locks);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(fo_rwlock_write(locks[i]), 0);
        unlock(locks[i]);
    }
    assert_int_equal(fixture_count("was left locked for writing"), 1);
}

static void acquire_and_die(pthread_rwlock_t **locks)
{
    acquire_shared(locks[0]);
    assert_int_equal(fo_rwlock_write(locks[1]), 0);
    kill(getpid(), SIGKILL);
}

FRESH(the_locks_of_a_dead_process_made_by_clone_are_released)
{
    start(NULL);
    pthread_rwlock_t *locks[] = {new_lock(), new_lock()};
    /* Without a robust list the kernel does not mark its end. */
    pid_t child = fixture_clone();
    if (child == -1)
        return;
    if (child == 0)
        acquire_and_die(locks);
    assert_int_equal(waitpid(child, NULL, 0), child);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(fo_rwlock_write(locks[i]), 0);
        unlock(locks[i]);
    }
    assert_int_equal(fixture_count("was left locked for writing"), 1);
}

/* --- numbers that other processes wrote ----------------------------------------------------------
 */

FRESH(numbers_of_seats_and_lines_are_bounded)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock(), *other = new_lock();
    alarm(250); /* a hang */
    for (unsigned i = 0; i < 2 * FO_LINE_READS; i++)
        acquire_shared(other);
    fo_seats->line[fo_seats->lines_used].links = 1 | (1 << 1) | 1u << 31; /* a circle */
    acquire_shared(lock);
    fo_seats->used = UINT32_MAX;
    unlock(lock);
    struct fo_rwlock *l = (struct fo_rwlock *)(void *)lock;
    l->word = UINT64_MAX << 32 | FO_RWLOCK_HELD | FO_RWLOCK_OWNER;
    assert_int_equal(fo_rwlock_write(lock), 0);
    unlock(lock);
    l->word = FO_RWLOCK_HELD;
    assert_int_equal(fo_rwlock_unlock(lock), 0);
}

FRESH(without_a_seat_a_lock_is_refused_with_a_message)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    fo_seats->used = FO_SEATS - 1; /* each has an owner: none is ready */
    assert_int_equal(fo_rwlock_read_fast(lock), EAGAIN);
    assert_int_equal(fo_rwlock_write(lock), EAGAIN);
    fixture_expect("freeonce: more threads than 32,767 of all processes together use OpenSSL's "
                   "locks in shared memory: further ones get none of them\n%s",
                   "");
}

FRESH(without_room_a_lock_is_refused_with_a_message)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    fo_seats->lines_used = FO_LINES - 1;
    for (unsigned i = 0; i < FO_LINE_READS; i++)
        acquire_shared(lock);
    assert_int_equal(fo_rwlock_read_fast(lock), EAGAIN);
    unlock(lock);
    acquire_shared(lock);
    assert_int_equal(fixture_count("they get no further ones"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_are_released_in_any_order),
        cmocka_unit_test(others_read_all_locks_that_a_thread_reads),
        cmocka_unit_test(lines_serve_again),
        cmocka_unit_test(a_lock_is_read_again_without_a_limit),
        cmocka_unit_test(room_that_was_left_in_another_order_is_used_again),
        cmocka_unit_test(any_process_may_release_what_another_one_reads),
        cmocka_unit_test(any_process_may_release_what_another_one_writes),
        cmocka_unit_test(a_thread_that_has_the_lock_already),
        cmocka_unit_test(a_new_lock_has_no_readers),
        cmocka_unit_test(the_locks_of_an_ended_thread_stay_locked),
        cmocka_unit_test(the_locks_of_a_dead_process_are_released),
        cmocka_unit_test(the_locks_of_a_dead_process_made_by_clone_are_released),
        cmocka_unit_test(numbers_of_seats_and_lines_are_bounded),
        cmocka_unit_test(without_a_seat_a_lock_is_refused_with_a_message),
        cmocka_unit_test(without_room_a_lock_is_refused_with_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
