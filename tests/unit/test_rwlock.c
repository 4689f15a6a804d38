/* The lock for readers and writers of several processes: does it exclude whom it should, whatever
 * a thread reads besides, and whoever forks or waits?  By many at once, some of them killed:
 * test_rwlock_storm.c. */
#include <errno.h>
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

enum { LOCKS = 12 };
_Static_assert((int)LOCKS > (int)FO_READS, "more than there is room for");

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

FRESH(more_locks_than_there_is_room_for_are_had_alone)
{
    pthread_rwlock_t *locks[LOCKS];

    start(NULL);
    for (unsigned i = 0; i < LOCKS; i++) {
        locks[i] = new_lock();
        read_it(locks[i]);
    }
    for (unsigned i = 0; i < LOCKS; i++)
        assert_false(is_free_for_others(locks[i]));
    for (unsigned i = 0; i < LOCKS; i++) {
        leave(locks[i]);
        assert_int_equal(fo_rwlock_unlock(locks[i]), EPERM);
        assert_true(is_free_for_others(locks[i]));
    }
}

FRESH(a_lock_is_read_again_as_often_as_one_likes)
{
    enum { TIMES = 3 * FO_READS };
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
        assert_false(is_free_for_others(lock));
        leave(lock);
    }
    assert_true(is_free_for_others(lock));
    assert_int_equal(fo_rwlock_unlock(lock), EPERM);
    for (unsigned i = 0; i < FO_READS; i++)
        read_it(i == 0 ? other : lock);
    assert_true(others_can_read(other) && others_can_read(lock)); /* there is room as before */
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

static void read_in_child(void *lock)
{
    assert_int_equal(fo_rwlock_unlock_short(lock), EPERM); /* its parent has it */
    read_it(lock);
    leave(lock);
}

FRESH(a_child_does_not_have_what_its_parent_reads)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    read_it(lock);
    fixture_fork(read_in_child, lock);
    assert_false(is_free_for_others(lock));
    leave(lock);
    assert_true(is_free_for_others(lock));
}

FRESH(who_writes_does_not_read_and_who_reads_does_not_write)
{
    start(NULL);
    pthread_rwlock_t *lock = new_lock();
    assert_int_equal(fo_rwlock_write(lock), 0);
    assert_int_equal(fo_rwlock_read_short(lock), EDEADLK);
    leave(lock);
    read_it(lock);
    assert_int_equal(fo_rwlock_write(lock), EDEADLK);
    assert_int_equal(fo_rwlock_destroy(lock), 0);
}

static void await_writer(pthread_rwlock_t *lock)
{
    while (FO_RELAXED_LOAD(&((struct fo_rwlock *)(void *)lock)->writer) == 0)
        sched_yield();
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
    alarm(60); /* a hang */
    read_it(lock);
    assert_int_equal(pthread_create(&writer, NULL, write_in_thread, lock), 0);
    await_writer(lock);
    read_it(lock);
    assert_false(others_can_read(lock));
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
    for (unsigned i = 0; i < 2 * FO_READS; i++)
        read_it(lock);
    assert_int_equal(fo_rwlock_init(lock), 0); /* its memory came back to us */
    assert_int_equal(fo_own_seat.more_of_all, 0);
    assert_int_equal(fo_rwlock_write(lock), 0);
    leave(lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_are_left_in_any_order),
        cmocka_unit_test(more_locks_than_there_is_room_for_are_had_alone),
        cmocka_unit_test(a_lock_is_read_again_as_often_as_one_likes),
        cmocka_unit_test(room_that_was_left_in_another_order_is_used_again),
        cmocka_unit_test(a_child_does_not_have_what_its_parent_reads),
        cmocka_unit_test(who_writes_does_not_read_and_who_reads_does_not_write),
        cmocka_unit_test(who_reads_may_read_again_though_somebody_waits_to_write),
        cmocka_unit_test(a_waiting_writer_is_not_cancelled),
        cmocka_unit_test(a_new_lock_is_read_by_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
