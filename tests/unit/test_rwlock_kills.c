/* The rwlock of several processes: a process executes its functions instruction by instruction.
 * Killed at any of them, it blocks no other process; and after it has released the lock, it touches
 * no byte of it. */
#include <linux/futex.h>

#include "locks.h"
#include "stepping.h"

enum { MANY = FO_LINE_READS + 2 };

static pthread_rwlock_t *locks[MANY];

static struct fo_rwlock *of(pthread_rwlock_t *lock)
{
    return (struct fo_rwlock *)(void *)lock;
}

static void read_and_release(void)
{
    acquire_shared(locks[0]);
    unlock(locks[0]);
}

static void read_many(void)
{
    for (unsigned i = 0; i < MANY; i++)
        acquire_shared(locks[i]);
}

static void release_many(void)
{
    for (unsigned i = 0; i < MANY; i++)
        unlock(locks[i]);
}

static void acquire_to_write(void)
{
    assert_int_equal(fo_rwlock_write(locks[0]), 0);
}

static void write_and_release(void)
{
    acquire_to_write();
    unlock(locks[0]);
}

static void read_then_write(void)
{
    read_and_release(); /* so that the writer searches for readers */
    write_and_release();
}

static void acquire_to_read(void)
{
    acquire_shared(locks[0]);
}

static void release(void)
{
    unlock(locks[0]);
}

/* As if a writer waited for this reader. */
static void be_awaited(void)
{
    acquire_to_read();
    *(fo_own_seat.top - 1) |= FO_AWAITED;
}

static void be_waited_for(void)
{
    acquire_to_write();
    of(locks[0])->word |= FO_RWLOCK_READERS_WAIT | FO_RWLOCK_WRITERS_WAIT;
}

static void nothing(void)
{
    read_and_release(); /* it has a seat */
}

static void begin(void)
{
    start(NULL);
    for (unsigned i = 0; i < MANY; i++)
        locks[i] = new_lock();
    read_and_release();
    stepping_on_one_processor();
    alarm(250); /* a hang */
}

/* --- killed --------------------------------------------------------------------------------------
 */

static void check_all_free(void)
{
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(fo_rwlock_write(locks[i]), 0);
        unlock(locks[i]);
        acquire_shared(locks[i]);
        unlock(locks[i]);
    }
}

/* A sanitizer makes hundreds of instructions of one: there, each kill is at another statement. */
static void kill_at_each(void (*prepare)(void), void (*run)(void), unsigned stride)
{
    enum { OF_SANITIZER = 1000 };
    unsigned steps = 0;
    bool killed = true;

    begin();
    for (; killed; steps += stride * (SMALL ? OF_SANITIZER : 1)) {
        pid_t child = stepping_start(prepare, run);
        killed = stepping_lead(child, steps);
        if (killed)
            stepping_kill(child);
        check_all_free();
        assert_true(fixture_count("was left locked for writing") <= 1);
        fixture_forget();
        assert_in_range(fo_seats->used, 1, 3); /* seats of dead processes are used again */
    }
    assert_in_range(steps, 10, SMALL ? 100000 : 10000); /* more with a sanitizer */
}

FRESH(killed_while_it_reads)
{
    kill_at_each(nothing, read_and_release, 1);
}

FRESH(killed_while_it_reads_many)
{
    kill_at_each(nothing, read_many, 7);
}

FRESH(killed_while_it_releases_many)
{
    kill_at_each(read_many, release_many, 7);
}

FRESH(killed_while_it_writes)
{
    kill_at_each(nothing, write_and_release, 1);
}

FRESH(killed_while_it_reads_and_writes)
{
    kill_at_each(nothing, read_then_write, 1);
}

FRESH(killed_while_it_releases_what_another_one_awaits)
{
    kill_at_each(be_awaited, release, 1);
}

FRESH(killed_while_it_releases_what_others_wait_for)
{
    kill_at_each(be_waited_for, release, 1);
}

/* --- freed when it is released -------------------------------------------------------------------
 */

static bool is_free(uint64_t key)
{
    struct fo_entry reader;

    return (of(locks[0])->word & FO_RWLOCK_OWNER) == 0 && !fo_seats_find(key, UINT32_MAX, &reader);
}

static void check_untouched_after_release(void (*acquire)(void))
{
    unsigned char *bytes = (void *)locks[0];
    uint64_t key = of(locks[0])->key;
    pid_t child = stepping_start(acquire, release);
    unsigned after = 0;

    while (!is_free(key))
        assert_true(stepping_lead(child, 1));
    memset(bytes, 0xa5, sizeof *locks[0]); /* as if it were another block by now */
    while (stepping_lead(child, 1))
        after++;
    for (unsigned i = 0; i < sizeof *locks[0]; i++)
        assert_int_equal(bytes[i], 0xa5);
    assert_in_range(after, 3, 100000); /* the call did not end with the release */
    assert_int_equal(fo_rwlock_init(locks[0]), 0);
}

FRESH(after_its_release_a_lock_is_not_touched)
{
    begin();
    check_untouched_after_release(acquire_to_read);
    check_untouched_after_release(be_awaited);
    check_untouched_after_release(acquire_to_write);
    check_untouched_after_release(be_waited_for);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_while_it_reads),
        cmocka_unit_test(killed_while_it_reads_many),
        cmocka_unit_test(killed_while_it_releases_many),
        cmocka_unit_test(killed_while_it_writes),
        cmocka_unit_test(killed_while_it_reads_and_writes),
        cmocka_unit_test(killed_while_it_releases_what_another_one_awaits),
        cmocka_unit_test(killed_while_it_releases_what_others_wait_for),
        cmocka_unit_test(after_its_release_a_lock_is_not_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
