/* The lock for readers and writers of several processes: does it exclude whom it should, whatever
 * a thread reads besides, and whoever is killed?  It must hold in its short way, too. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/memory.h"
#include "fork/rwlock_short.h"
#include "shared_heap.h"

static pthread_rwlock_t *new_lock(void)
{
    pthread_rwlock_t *lock = block(sizeof *lock);

    assert_int_equal(fo_rwlock_init(lock), 0);
    return lock;
}

static void read_it(pthread_rwlock_t *lock)
{
    assert_int_equal(fo_rwlock_read_short(lock), 0);
}

static void leave(pthread_rwlock_t *lock)
{
    assert_int_equal(fo_rwlock_unlock_short(lock), 0);
}

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

/* --- private memory ------------------------------------------------------------------------------
 */

static void leave_in_child(void *lock)
{
    assert_int_equal(fo_rwlock_write(lock), EDEADLK); /* it reads */
    leave(lock);
    assert_int_equal(fo_rwlock_write(lock), 0);
    leave(lock);
}

FRESH(in_private_memory_a_child_has_what_the_thread_reads_that_forked)
{
    fixture_start("BACKEND=arena", NULL);
    pthread_rwlock_t *lock = new_lock();
    read_it(lock);
    fixture_fork(leave_in_child, lock);
    assert_int_equal(fo_rwlock_write(lock), EDEADLK);
    leave(lock);
}

static int has_read[2], may_leave[2];

static void *read_for_a_while(void *lock)
{
    char byte = 0;

    if (fo_rwlock_read(lock) != 0 || write(has_read[1], &byte, 1) != 1 ||
        read(may_leave[0], &byte, 1) != 1 || fo_rwlock_unlock(lock) != 0)
        abort();
    return NULL;
}

static void write_in_child(void *lock)
{
    alarm(60); /* a hang */
    assert_int_equal(fo_rwlock_write(lock), 0);
    leave(lock);
}

FRESH(in_private_memory_a_child_does_not_wait_for_its_parents_threads)
{
    pthread_t reader;
    char byte = 0;

    fixture_start("BACKEND=arena", NULL);
    pthread_rwlock_t *lock = new_lock();
    assert_true(pipe(has_read) == 0 && pipe(may_leave) == 0);
    assert_int_equal(pthread_create(&reader, NULL, read_for_a_while, lock), 0);
    assert_int_equal(read(has_read[0], &byte, 1), 1);
    fixture_fork(write_in_child, lock);
    assert_int_equal(fo_rwlock_try_write(lock), EBUSY);
    assert_int_equal(write(may_leave[1], &byte, 1), 1);
    assert_int_equal(pthread_join(reader, NULL), 0);
    assert_int_equal(fo_rwlock_write(lock), 0);
    leave(lock);
}

static void *read_in_thread(void *lock)
{
    if (fo_rwlock_read(lock) != 0 || fo_rwlock_unlock(lock) != 0)
        abort();
    return NULL;
}

/* As glibc's do by default: a program in which the second reader comes first would hang. */
FRESH(in_private_memory_others_read_while_a_writer_waits)
{
    pthread_t writer, reader;

    fixture_start("BACKEND=arena", NULL);
    pthread_rwlock_t *lock = new_lock();
    alarm(60); /* a hang */
    read_it(lock);
    assert_int_equal(pthread_create(&writer, NULL, write_in_thread, lock), 0);
    await_writer(lock);
    assert_int_equal(pthread_create(&reader, NULL, read_in_thread, lock), 0);
    assert_int_equal(pthread_join(reader, NULL), 0);
    leave(lock);
    assert_int_equal(pthread_join(writer, NULL), 0);
}

/* It is no cancellation point. */
FRESH(a_waiting_writer_is_not_cancelled)
{
    pthread_t writer;

    fixture_start("BACKEND=arena", NULL);
    pthread_rwlock_t *lock = new_lock();
    read_it(lock);
    assert_int_equal(pthread_create(&writer, NULL, write_in_thread, lock), 0);
    await_writer(lock);
    assert_int_equal(pthread_cancel(writer), 0);
    while (FO_RELAXED_LOAD(&((struct fo_rwlock *)(void *)lock)->writer) != 0)
        sched_yield(); /* it has slept now, and stands back */
    leave(lock);
    void *answer;
    assert_int_equal(pthread_join(writer, &answer), 0);
    assert_null(answer); /* not PTHREAD_CANCELED */
    assert_true(is_free_for_others(lock));
}

static void *leave_in_thread(void *lock)
{
    return (void *)(intptr_t)fo_rwlock_unlock_short(lock);
}

FRESH(in_private_memory_any_thread_leaves_what_another_one_reads)
{
    pthread_t other;
    void *answer;

    fixture_start("BACKEND=arena", NULL);
    pthread_rwlock_t *lock = new_lock();
    read_it(lock);
    assert_int_equal(pthread_create(&other, NULL, leave_in_thread, lock), 0);
    assert_int_equal(pthread_join(other, &answer), 0);
    assert_null(answer);
    assert_int_equal(fo_rwlock_unlock_short(lock), EPERM);
    assert_int_equal(fo_rwlock_write(lock), 0);
    leave(lock);
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

static void read_after_another_thread(void *lock)
{
    pthread_t reader;
    char byte = 0;

    assert_int_equal(pthread_create(&reader, NULL, read_for_a_while, lock), 0);
    assert_int_equal(read(has_read[0], &byte, 1), 1);
    read_it(lock);
    leave(lock);
    assert_int_equal(fo_rwlock_try_write(lock), EBUSY);
    assert_int_equal(write(may_leave[1], &byte, 1), 1);
    assert_int_equal(pthread_join(reader, NULL), 0);
    assert_int_equal(fo_rwlock_write(lock), 0);
    leave(lock);
}

/* What the thread that forked had may be another one's by now. */
FRESH(in_private_memory_a_child_in_which_another_thread_comes_first)
{
    fixture_start("BACKEND=arena", NULL);
    pthread_rwlock_t *lock = new_lock();
    assert_true(pipe(has_read) == 0 && pipe(may_leave) == 0);
    read_it(lock);
    leave(lock);
    fixture_fork(read_after_another_thread, lock);
}

/* --- many
 * -----------------------------------------------------------------------------------------
 */

enum { PROCESSES = 4, THREADS = 3, TURNS = SMALL ? 2000 : 20000, STORM_LOCKS = 4 };

/* Whoever writes changes both; who sees them differ was not excluded. */
struct shared {
    pthread_rwlock_t *lock;
    volatile uint64_t first, second;
};

static struct shared *storm[STORM_LOCKS];

static void look(const struct shared *s)
{
    if (s->first != s->second)
        abort();
}

static void write_once(struct shared *s)
{
    if (fo_rwlock_write(s->lock) != 0)
        abort();
    look(s);
    s->first++;
    s->second++;
    leave(s->lock);
}

/* Two at a time, in a fixed order, so that nobody waits for himself. */
static void *take_turns(void *number)
{
    uint64_t seed = (uintptr_t)number ^ (uint64_t)getpid() << 8;

    for (unsigned i = 0; i < TURNS; i++) {
        uint64_t r = fixture_random(&seed);
        struct shared *a = storm[r % (STORM_LOCKS - 1)], *b = storm[STORM_LOCKS - 1];
        if (r >> 8 & 15) {
            read_it(a->lock);
            look(a);
            read_it(b->lock);
            look(b);
            leave(r >> 16 & 1 ? a->lock : b->lock);
            leave(r >> 16 & 1 ? b->lock : a->lock);
        } else
            write_once(r >> 16 & 1 ? a : b);
    }
    return NULL;
}

static void storm_here(void *unused)
{
    pthread_t threads[THREADS];

    (void)unused;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_turns, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void *read_once(void *unused)
{
    read_it(storm[0]->lock);
    leave(storm[0]->lock);
    return unused;
}

static void start_storm(const char *backend)
{
    fixture_start(backend, "SHM_SIZE=256M", NULL);
    for (unsigned i = 0; i < STORM_LOCKS; i++) {
        storm[i] = block(sizeof *storm[i]);
        storm[i]->lock = new_lock();
        storm[i]->first = storm[i]->second = 0;
    }
}

FRESH(a_storm_of_threads_and_processes)
{
    pid_t pids[PROCESSES];

    start_storm("BACKEND=shm");
    for (unsigned i = 0; i < PROCESSES; i++)
        if ((pids[i] = fork()) == 0) {
            storm_here(NULL);
            _exit(0);
        }
    storm_here(NULL);
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    for (unsigned i = 0; i < STORM_LOCKS; i++)
        look(storm[i]);
    fixture_expect("%s", "");
}

FRESH(a_storm_of_threads_in_private_memory)
{
    start_storm("BACKEND=arena");
    storm_here(NULL);
    for (unsigned i = 0; i < STORM_LOCKS; i++)
        look(storm[i]);
    fixture_expect("%s", "");
}

/* Threads come and go, and each has a seat for its time. */
FRESH(seats_are_given_back)
{
    pthread_t thread;

    start_storm("BACKEND=arena");
    for (unsigned i = 0; i < (SMALL ? 100 : 3 * FO_SEATS); i++) {
        assert_int_equal(pthread_create(&thread, NULL, read_once, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    assert_int_equal(fo_hot.memory->seats_used, 1);
    assert_int_equal(fo_hot.memory->seats[0].owner.owner, 0);
}

/* Killed at any instant: a dead reader holds nobody up, and a dead writer is told of. */
FRESH(a_storm_in_which_processes_are_killed)
{
    enum { KILLS = SMALL ? 20 : 200 };
    uint64_t seed = 7;

    start_storm("BACKEND=shm");
    alarm(60); /* a hang */
    for (unsigned i = 0; i < KILLS; i++) {
        pid_t pid = fork();
        if (pid == 0)
            for (;;) {
                read_it(storm[0]->lock);
                read_it(storm[1]->lock);
                leave(storm[0]->lock);
                leave(storm[1]->lock);
            }
        usleep((useconds_t)(fixture_random(&seed) % 1000));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        write_once(storm[0]);
        write_once(storm[1]);
    }
    assert_int_equal(storm[0]->first, KILLS);
    fixture_expect("%s", "");
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
        cmocka_unit_test(in_private_memory_a_child_has_what_the_thread_reads_that_forked),
        cmocka_unit_test(in_private_memory_a_child_does_not_wait_for_its_parents_threads),
        cmocka_unit_test(in_private_memory_a_child_in_which_another_thread_comes_first),
        cmocka_unit_test(in_private_memory_others_read_while_a_writer_waits),
        cmocka_unit_test(a_waiting_writer_is_not_cancelled),
        cmocka_unit_test(in_private_memory_any_thread_leaves_what_another_one_reads),
        cmocka_unit_test(a_new_lock_is_read_by_nobody),
        cmocka_unit_test(a_storm_of_threads_and_processes),
        cmocka_unit_test(a_storm_of_threads_in_private_memory),
        cmocka_unit_test(seats_are_given_back),
        cmocka_unit_test(a_storm_in_which_processes_are_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
