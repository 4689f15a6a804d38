/* The rwlock with many threads and processes at once, some of which are killed at any instant: does
 * it exclude the others, and are seats retired? */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "locks.h"

enum { PROCESSES = 4, THREADS = 3, TURNS = SMALL ? 2000 : 20000, STORM_LOCKS = 4 };

/* A writer changes both numbers.  If they differ for another thread, that one was not excluded. */
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
    unlock(s->lock);
}

/* Two at a time, in a fixed order, so that there is no deadlock. */
static void *take_turns(void *number)
{
    uint64_t seed = (uintptr_t)number ^ (uint64_t)getpid() << 8;

    for (unsigned i = 0; i < TURNS; i++) {
        uint64_t r = fixture_random(&seed);
        struct shared *a = storm[r % (STORM_LOCKS - 1)], *b = storm[STORM_LOCKS - 1];
        if (r >> 8 & 15) {
            acquire_shared(a->lock);
            look(a);
            acquire_shared(b->lock);
            look(b);
            unlock(r >> 16 & 1 ? a->lock : b->lock);
            unlock(r >> 16 & 1 ? b->lock : a->lock);
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
    acquire_shared(storm[0]->lock);
    unlock(storm[0]->lock);
    return unused;
}

static void start_storm(void)
{
    start(NULL);
    for (unsigned i = 0; i < STORM_LOCKS; i++) {
        storm[i] = block(sizeof *storm[i]);
        storm[i]->lock = new_lock();
        storm[i]->first = storm[i]->second = 0;
    }
}

/* ThreadSanitizer knows the order of operations in one process only: a writer does not read the
 * seats of readers whose release a writer of another process has seen. */
static unsigned other_processes(void)
{
#ifdef __SANITIZE_THREAD__
    return 0;
#else
    return FO_HAS_TSAN ? 0 : PROCESSES;
#endif
}

FRESH(a_storm_of_threads_and_processes)
{
    pid_t pids[PROCESSES];

    start_storm();
    for (unsigned i = 0; i < other_processes(); i++)
        if ((pids[i] = fork()) == 0) {
            storm_here(NULL);
            _exit(0);
        }
    storm_here(NULL);
    for (unsigned i = 0; i < other_processes(); i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    for (unsigned i = 0; i < STORM_LOCKS; i++)
        look(storm[i]);
    fixture_expect("%s", "");
}

/* Each thread has a seat until it ends. */
FRESH(seats_are_retired)
{
    pthread_t thread;

    start_storm();
    for (unsigned i = 0; i < (SMALL ? 100 : 3000); i++) {
        assert_int_equal(pthread_create(&thread, NULL, read_once, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    assert_int_equal(fo_seats->used, 1);
    assert_int_equal(fo_seats->seat[1].owner.owner, 0);
}

/* Killed at any instant, a reader blocks no other thread. */
FRESH(a_storm_in_which_processes_are_killed)
{
    enum { KILLS = SMALL ? 20 : 200 };
    uint64_t seed = 7;

    start_storm();
    alarm(250); /* a hang */
    for (unsigned i = 0; i < KILLS; i++) {
        pid_t pid = fork();
        if (pid == 0)
            for (;;) {
                acquire_shared(storm[0]->lock);
                acquire_shared(storm[1]->lock);
                unlock(storm[0]->lock);
                unlock(storm[1]->lock);
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
        cmocka_unit_test(a_storm_of_threads_and_processes),
        cmocka_unit_test(seats_are_retired),
        cmocka_unit_test(a_storm_in_which_processes_are_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
