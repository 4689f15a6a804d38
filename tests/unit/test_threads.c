/* Many threads allocate, move and free their own blocks and those of other threads: is every
 * planted double free reported, and nothing else?  The test is made for ThreadSanitizer; only the
 * forks need a run without it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/hooks.h"
#include "pool.h"

enum { THREADS = 8, CROWD = 24, SLOTS = 64, PLANTS = 12 };
enum { ROUNDS = FIXTURE_TSAN || FIXTURE_ASAN ? 5000 : 40000 };

/* Blocks on their way from one thread to another; the first word is their size. */
static size_t *exchange[SLOTS];
static unsigned planted;

static size_t *new_block(uint64_t *seed)
{
    unsigned bits = 3 + (unsigned)(fixture_random(seed) % 10);
    size_t size = 8 + (size_t)(fixture_random(seed) & ((UINT64_C(1) << bits) - 1));
    size_t *p = fo_malloc(size, "new.c", 1);

    assert_non_null(p);
    fixture_fill(p + 1, size - 8, 1);
    *p = size;
    return p;
}

static void one_round(uint64_t *seed)
{
    size_t **slot = &exchange[fixture_random(seed) % SLOTS];
    size_t *p = new_block(seed);

    if (fixture_random(seed) % 4 == 0) {
        size_t size = *p + fixture_random(seed) % 500;
        p = fo_realloc(p, size, "move.c", 2);
        assert_non_null(p);
        fixture_fill(p + 1, size - 8, 1);
        *p = size;
    }
    p = __atomic_exchange_n(slot, p, __ATOMIC_ACQ_REL);
    if (p == NULL)
        return;
    size_t size = *p;
    assert_in_range(size, 8, 8200 + 500);
    assert_true(fixture_is_filled(p + 1, size - 8, 1));
    fo_free(p, "free.c", 3);
}

/* The second free of a block follows at once; each has a line of its own. */
static void plant(uint64_t *seed)
{
    void *p = new_block(seed);
    int line = (int)__atomic_add_fetch(&planted, 1, __ATOMIC_RELAXED);

    fo_free(p, "free.c", 3);
    if (line % 2 == 0)
        fo_free(p, "planted.c", line);
    else
        assert_null(fo_realloc(p, 10, "planted.c", line));
}

static void *work(void *number)
{
    uint64_t seed = (uint64_t)(uintptr_t)number;

    for (unsigned i = 0; i < ROUNDS; i++)
        one_round(&seed);
    return NULL;
}

static void *work_and_plant(void *number)
{
    uint64_t seed = (uint64_t)(uintptr_t)number;

    for (unsigned i = 0; i < ROUNDS; i++) {
        one_round(&seed);
        if (i % (ROUNDS / PLANTS) == 0)
            plant(&seed);
    }
    return NULL;
}

static void run(unsigned count, void *(*body)(void *))
{
    pthread_t threads[CROWD];

    for (unsigned i = 0; i < count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, body, (void *)(uintptr_t)(i + 1)), 0);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static void free_exchange(void)
{
    for (int i = 0; i < SLOTS; i++) {
        fo_free(exchange[i], "free.c", 4);
        exchange[i] = NULL;
    }
}

FRESH(every_planted_double_free_is_reported_and_nothing_else)
{
    fixture_start(NULL);
    run(THREADS, work_and_plant);
    free_exchange();
    assert_true(planted >= THREADS * PLANTS);
    assert_int_equal(fixture_count("freeonce: double free of block") +
                         fixture_count("freeonce: realloc of freed block"),
                     planted);
    assert_int_equal(fixture_count("freeonce: "), planted);
    for (unsigned line = 1; line <= planted; line++) {
        char place[32];
        snprintf(place, sizeof place, "planted.c:%u ", line);
        assert_int_equal(fixture_count(place), 1);
    }
}

FRESH(more_threads_than_shards_find_nothing)
{
    fixture_start("QUARANTINE=64K", NULL);
    run(CROWD, work);
    free_exchange();
    fixture_expect("%s", "");
}

FRESH(a_small_quarantine_finds_nothing)
{
    fixture_start("QUARANTINE=2K", "TOMBSTONES=1", NULL);
    run(CROWD, work);
    free_exchange();
    fixture_expect("%s", "");
}

FRESH(a_pool_gets_every_block_back_once)
{
    fixture_start("QUARANTINE=0", "SHARED=0", NULL);
    pool_register();
    run(THREADS, work);
    free_exchange();
    pool_check(0);
    fixture_expect("%s", "");
}

/* Several threads free one block at the same moment. */
enum { RACES = 400 };
static void *raced[RACES];
static pthread_barrier_t barrier;

static void *race(void *number)
{
    for (int i = 0; i < RACES; i++) {
        pthread_barrier_wait(&barrier);
        fo_free(raced[i], "race.c", (int)(uintptr_t)number + 10 * i);
    }
    return NULL;
}

FRESH(of_threads_that_free_one_block_exactly_one_does)
{
    fixture_start("SHARED=0", NULL);
    pool_register();
    pthread_barrier_init(&barrier, NULL, 3);
    for (int i = 0; i < RACES; i++)
        raced[i] = fo_malloc(40, "a.c", 1);
    run(3, race);
    assert_int_equal(fixture_count("freeonce: double free of block"), 2 * RACES);
    assert_int_equal(pool.wrong, 0);
}

static bool stop;

static void *work_until_stopped(void *number)
{
    uint64_t seed = (uint64_t)(uintptr_t)number;

    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        one_round(&seed);
    return NULL;
}

static void use_in_child(void)
{
    uint64_t seed = (uint64_t)getpid();
    void *blocks[200];

    alarm(250); /* it must not hang */
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 200; i++)
            blocks[i] = new_block(&seed);
        for (int i = 0; i < 200; i++)
            fo_free(blocks[i], "child.c", 1);
    }
    free_exchange(); /* inherited */
}

static void *fork_often(void *number)
{
    for (int i = 0; i < 60; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            use_in_child();
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
    return number;
}

FRESH(children_of_busy_threads_can_allocate)
{
    pthread_t busy[3], forking[2];

    if (FIXTURE_TSAN || FIXTURE_ASAN) /* the locks of sanitizers do not survive such a fork */
        return;
    fixture_start("QUARANTINE=64K", NULL);
    for (uintptr_t i = 0; i < 3; i++)
        pthread_create(&busy[i], NULL, work_until_stopped, (void *)(i + 1));
    for (int i = 0; i < 2; i++)
        pthread_create(&forking[i], NULL, fork_often, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(forking[i], NULL);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 3; i++)
        pthread_join(busy[i], NULL);
    free_exchange();
    fixture_expect("%s", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_planted_double_free_is_reported_and_nothing_else),
        cmocka_unit_test(more_threads_than_shards_find_nothing),
        cmocka_unit_test(a_small_quarantine_finds_nothing),
        cmocka_unit_test(a_pool_gets_every_block_back_once),
        cmocka_unit_test(of_threads_that_free_one_block_exactly_one_does),
        cmocka_unit_test(children_of_busy_threads_can_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
