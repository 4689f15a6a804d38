/* Backend arena with threads and processes: is each block handed out once, are pages and magazines
 * consistent afterwards, and does the heap stay small? */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/hooks.h"
#include "fixture.h"
#include "report/record.h"
#include "whole_heap.h"

enum { SMALL = FIXTURE_TSAN || FIXTURE_ASAN };
enum { THREADS = 8, SLOTS = 256, ROUNDS = SMALL ? 20000 : 300000 };

#define start(...) fixture_start("BACKEND=arena", __VA_ARGS__)

static size_t *exchange[SLOTS];
static bool stop;

static void check_region(uint64_t live, uint64_t lost_most)
{
    struct fo_walk w = walk();

    assert_int_equal(w.live, live);
    assert_in_range(w.lost, 0, lost_most);
}

static size_t *new_block(uint64_t *seed)
{
    unsigned bits = 4 + (unsigned)(fixture_random(seed) % 12);
    size_t size = 16 + (size_t)(fixture_random(seed) & ((UINT64_C(1) << bits) - 1));
    size_t *p = fo_malloc(size, "new.c", 1);

    assert_non_null(p);
    p[0] = size;
    p[1] = ~size;
    ((unsigned char *)p)[size - 1] ^= 0; /* touched */
    return p;
}

static void free_block(size_t *p)
{
    if (p == NULL)
        return;
    assert_int_equal(p[0], ~p[1]);
    fo_free(p, "free.c", 1);
}

static void one_round(uint64_t *seed)
{
    size_t **slot = &exchange[fixture_random(seed) % SLOTS];
    size_t *p = new_block(seed);

    if (fixture_random(seed) % 8 == 0) {
        size_t size = p[0] + fixture_random(seed) % 300;
        p = fo_realloc(p, size, "move.c", 1);
        assert_non_null(p);
        assert_int_equal(p[0], ~p[1]);
    }
    free_block(__atomic_exchange_n(slot, p, __ATOMIC_ACQ_REL));
}

static void *work(void *number)
{
    uint64_t seed = (uint64_t)(uintptr_t)number;

    for (unsigned i = 0; i < ROUNDS; i++)
        one_round(&seed);
    return NULL;
}

static void run(unsigned count, void *(*body)(void *))
{
    pthread_t threads[THREADS];

    for (unsigned i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, body, (void *)(uintptr_t)(i + 1)), 0);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static unsigned held_in_exchange(void)
{
    unsigned n = 0;

    for (int i = 0; i < SLOTS; i++)
        n += exchange[i] != NULL;
    return n;
}

static void empty_exchange(void)
{
    for (int i = 0; i < SLOTS; i++)
        free_block(__atomic_exchange_n(&exchange[i], NULL, __ATOMIC_ACQ_REL));
}

FRESH(after_a_storm_of_threads_every_slot_is_where_it_belongs)
{
    start(NULL);
    run(THREADS, work);
    check_region(held_in_exchange(), 0);
    empty_exchange();
    check_region(0, 0);
    fixture_expect("%s", "");
}

FRESH(the_same_without_a_quarantine)
{
    start("QUARANTINE=0", NULL);
    run(THREADS, work);
    empty_exchange();
    check_region(0, 0);
    fixture_expect("%s", "");
}

FRESH(the_same_with_a_large_one_and_watched)
{
    start("QUARANTINE=16M", "CANARY=1", "FILL=1", NULL);
    run(THREADS, work);
    empty_exchange();
    fixture_expect("%s", "");
}

/* --- from thread to thread ---------------------------------------------------------------------
 */

enum { PASSED = SMALL ? 100000 : 1000000 };

static void *free_all(void *unused)
{
    for (unsigned freed = 0; freed < PASSED;) {
        size_t *p = __atomic_exchange_n(&exchange[freed % SLOTS], NULL, __ATOMIC_ACQ_REL);
        freed += p != NULL;
        if (p == NULL)
            sched_yield();
        free_block(p);
    }
    return unused;
}

FRESH(what_one_thread_allocates_and_another_frees_does_not_grow)
{
    pthread_t thread;
    uint64_t seed = 1;

    start(NULL);
    for (int i = 0; i < 10000; i++)
        free_block(new_block(&seed));
    assert_int_equal(pthread_create(&thread, NULL, free_all, NULL), 0);
    for (unsigned i = 0; i < PASSED; i++) {
        while (__atomic_load_n(&exchange[i % SLOTS], __ATOMIC_ACQUIRE) != NULL)
            sched_yield();
        __atomic_store_n(&exchange[i % SLOTS], new_block(&seed), __ATOMIC_RELEASE);
    }
    pthread_join(thread, NULL);
    assert_in_range(fo_region->pages, 1, 1500); /* of 64 KiB; a million blocks would take 80,000 */
    check_region(0, 0);
}

static void *little_work(void *unused)
{
    for (int i = 0; i < 100; i++)
        fo_free(fo_malloc(100, "a.c", 1), "f.c", 1);
    return unused;
}

FRESH(later_threads_use_the_caches_of_ended_ones)
{
    start(NULL);
    for (int i = 0; i < 300; i++)
        run(2, little_work);
    assert_in_range(fo_region->caches, 1, 8);
    check_region(0, 0);
}

/* --- one block, many frees ---------------------------------------------------------------------
 */

enum { RACERS = 2, RACES = SMALL ? 2000 : 10000 };
static void *contested;
static unsigned arrived;

/* Without sleep: the threads must continue within nanoseconds of each other. */
static void wait_for_all(unsigned *turn)
{
    *turn += RACERS;
    __atomic_add_fetch(&arrived, 1, __ATOMIC_ACQ_REL);
    for (unsigned i = 1; __atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < *turn; i++)
        if (i % 1024 == 0)
            sched_yield();
}

static void *free_contested(void *number)
{
    unsigned turn = 0;

    for (unsigned i = 0; i < RACES; i++) {
        if (number == (void *)1)
            __atomic_store_n(&contested, fo_malloc(100 + (size_t)(i % 16 == 0) * 10000, "a.c", 1),
                             __ATOMIC_RELEASE);
        wait_for_all(&turn);
        fo_free(__atomic_load_n(&contested, __ATOMIC_ACQUIRE), "race.c", 1);
        wait_for_all(&turn);
    }
    return NULL;
}

FRESH(of_threads_that_free_one_block_exactly_one_does)
{
    unsigned long found = 0, n;

    start(NULL);
    run(RACERS, free_contested);
    fo_report_counts();
    for (const char *at = fixture_log(); (at = strstr(at, "freeonce: ")) != NULL; at++)
        if (sscanf(at, "freeonce: seen %lu times", &n) == 1)
            found = n > found ? n : found;
    check_region(0, 0);
    assert_in_range(found, RACES - RACES / 10, RACES); /* frees at the same moment differ */
}

/* --- forks -------------------------------------------------------------------------------------
 */

static void *work_until_stopped(void *number)
{
    uint64_t seed = (uint64_t)(uintptr_t)number;

    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        one_round(&seed);
    return NULL;
}

/* The child of a thread in the middle of a storm: it loses what other threads had in flight, at
 * most a magazine each, and its heap is whole. */
static void check_heap_of_child(void)
{
    struct fo_walk before, after;
    uint64_t seed = 7;

    assert_true(fo_blocks_walk(&before, NULL, NULL));
    uint32_t caches = fo_region->caches;
    for (int i = 0; i < 5000; i++)
        free_block(new_block(&seed));
    run(3, little_work);
    assert_int_equal(fo_region->caches, caches); /* the child has adopted the threads' caches */
    assert_true(fo_blocks_walk(&after, NULL, NULL));
    /* Blocks in flight count as lost only after the cache is used again. */
    assert_in_range(after.lost, before.lost, before.lost + 4 * FO_MAGAZINE_CELLS);
    _exit(0);
}

FRESH(children_of_a_storm_own_a_heap_that_is_whole)
{
    pthread_t busy[4];
    int status;

    if (SMALL) /* the locks of sanitizers do not survive such a fork */
        return;
    start(NULL);
    for (uintptr_t i = 0; i < 4; i++)
        pthread_create(&busy[i], NULL, work_until_stopped, (void *)(i + 1));
    fo_free(fo_malloc(10, "a.c", 1), "f.c", 1);
    while (__atomic_load_n(&fo_region->caches, __ATOMIC_RELAXED) < 5)
        sched_yield();
    for (int i = 0; i < 100; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            check_heap_of_child();
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 4; i++)
        pthread_join(busy[i], NULL);
    empty_exchange();
    check_region(0, 0);
    fixture_expect("%s", "");
}

static void *allocate_and_stay(void *unused)
{
    free_block(new_block(&(uint64_t){1}));
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        sched_yield();
    return unused;
}

/* The forking thread has no cache yet. */
FRESH(a_child_has_the_caches_of_its_parents_threads)
{
    pthread_t other;
    int status;

    if (SMALL)
        return;
    fixture_start("BACKEND=arena", NULL);
    pthread_create(&other, NULL, allocate_and_stay, NULL);
    while (fo_region == NULL || __atomic_load_n(&fo_region->caches, __ATOMIC_RELAXED) == 0)
        sched_yield();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        free_block(new_block(&(uint64_t){2}));
        _exit((int)fo_region->caches);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 1);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    pthread_join(other, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_storm_of_threads_every_slot_is_where_it_belongs),
        cmocka_unit_test(the_same_without_a_quarantine),
        cmocka_unit_test(the_same_with_a_large_one_and_watched),
        cmocka_unit_test(what_one_thread_allocates_and_another_frees_does_not_grow),
        cmocka_unit_test(later_threads_use_the_caches_of_ended_ones),
        fixture_test_of_hooks(of_threads_that_free_one_block_exactly_one_does),
        cmocka_unit_test(a_child_has_the_caches_of_its_parents_threads),
        cmocka_unit_test(children_of_a_storm_own_a_heap_that_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
