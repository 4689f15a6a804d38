/* Backend arena grows in place: what if another mapping is in the way, if several threads grow it
 * at once, if one of them was not copied into a forked child, or if a limit leaves the program
 * little? */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "whole_heap.h"

enum { SMALL = FIXTURE_TSAN || FIXTURE_ASAN };

#define MIB ((size_t)1 << 20)

/* The region is there with the first block. */
#define start(...)                                                                                 \
    do {                                                                                           \
        fixture_start("BACKEND=arena", __VA_ARGS__);                                               \
        fo_free(fo_malloc(1, "a.c", 1), "f.c", 1);                                                 \
    } while (0)

static uintptr_t end_of_heap(void)
{
    return fo_layout.base + fo_region_committed();
}

/* A mapping of the program, at this distance behind the end of the heap. */
static unsigned char *put_in_the_way(size_t distance, size_t size)
{
    void *at = (void *)(end_of_heap() + distance);
    unsigned char *p = mmap(at, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    assert_ptr_equal(p, at);
    return memset(p, 0x5a, size);
}

static void assert_untouched(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(p[i], 0x5a);
}

/* --- mappings in the way -----------------------------------------------------------------------
 */

enum { BLOCKS = 600 };

static void fill(unsigned char **blocks, const unsigned char *stranger, size_t size)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t bytes = i % 3 == 0 ? 20000 : i % 3 == 1 ? 5000 : 300000;
        blocks[i] = fo_malloc(bytes, "new.c", 1);
        assert_non_null(blocks[i]);
        fixture_fill(blocks[i], bytes, i);
        assert_true(blocks[i] + bytes <= stranger || blocks[i] >= stranger + size);
        assert_true(fo_region_contains((uintptr_t)blocks[i]));
    }
}

static void empty(unsigned char **blocks)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        assert_true(fixture_is_filled(blocks[i],
                                      i % 3 == 0   ? 20000
                                      : i % 3 == 1 ? 5000
                                                   : 300000,
                                      i));
        fo_free(blocks[i], "free.c", 1);
    }
}

static void grow_around(size_t distance, size_t size)
{
    static unsigned char *blocks[BLOCKS];

    start(NULL);
    unsigned char *stranger = put_in_the_way(distance, size);
    fill(blocks, stranger, size);
    assert_true(end_of_heap() > (uintptr_t)stranger + size);
    assert_false(fo_region_contains((uintptr_t)stranger));
    assert_false(fo_region_contains((uintptr_t)stranger + size - 16));
    assert_int_equal(walk().live, BLOCKS);
    assert_untouched(stranger, size);
    empty(blocks);
    assert_int_equal(walk().live, 0);
    assert_untouched(stranger, size);
    fixture_expect("%s", "");
}

FRESH(the_heap_grows_behind_what_is_in_the_way)
{
    grow_around(0, 4096);
}

FRESH(the_heap_grows_around_what_begins_in_a_step)
{
    grow_around(3 * 65536 + 4096, 70000 / 4096 * 4096);
}

FRESH(the_heap_grows_around_what_is_larger_than_a_step)
{
    grow_around(MIB, 24 * MIB);
}

FRESH(a_wrong_free_behind_what_is_in_the_way_is_reported_and_nothing_is_touched)
{
    static unsigned char *blocks[BLOCKS];

    start(NULL);
    unsigned char *stranger = put_in_the_way(0, 2 * MIB);
    fill(blocks, stranger, 2 * MIB);
    unsigned char *behind = blocks[BLOCKS - 1];
    assert_true(behind > stranger);
    fo_free(stranger + 32, "wrong.c", 1);
    assert_int_equal(fixture_count("never allocated"), 1);
    assert_untouched(stranger, 2 * MIB);
    munmap(stranger, 2 * MIB); /* from now on it is not readable */
    fo_free(stranger + 64, "wrong.c", 2);
    fo_free(stranger + MIB, "wrong.c", 3);
    assert_int_equal(fixture_count("never allocated"), 3);
    fo_free(behind, "free.c", 1);
    fo_free(behind, "free.c", 2);
    assert_int_equal(fixture_count("double free of block"), 1);
    assert_int_equal(walk().live, BLOCKS - 1);
}

/* With setarch -L the kernel fills the addresses behind the heap from their bottom: each mapping of
 * the program is in the way. */
FRESH(the_heap_grows_in_what_mappings_leave_to_it)
{
    static unsigned char *blocks[40], *last;

    start(NULL);
    for (unsigned i = 0; i < 40; i++) {
        if (end_of_heap() > (uintptr_t)last)
            last = put_in_the_way((size_t)(i % 3) * 65536, 65536);
        blocks[i] = fo_malloc(900000, "new.c", 1);
        assert_non_null(blocks[i]);
        fixture_fill(blocks[i], 900000, i);
    }
    for (unsigned i = 0; i < 40; i++)
        assert_true(fixture_is_filled(blocks[i], 900000, i));
    assert_int_equal(walk().live, 40);
    free_blocks((void **)blocks, 40);
    assert_int_equal(walk().live, 0);
}

/* --- threads and forks -------------------------------------------------------------------------
 */

enum { THREADS = 8, EACH = SMALL ? 200 : 1500 };

static pthread_barrier_t all;

static void *grow(void *number)
{
    void **mine = calloc(EACH, sizeof *mine);

    assert_non_null(mine);
    pthread_barrier_wait(&all);
    for (unsigned i = 0; i < EACH; i++) {
        size_t size = 9000 + (size_t)(uintptr_t)number * 9000;
        mine[i] = fo_malloc(size, "grow.c", 1);
        assert_non_null(mine[i]);
        fixture_fill(mine[i], 64, i);
        assert_true(fo_region_contains((uintptr_t)mine[i]));
    }
    for (unsigned i = 0; i < EACH; i++)
        assert_true(fixture_is_filled(mine[i], 64, i));
    return mine;
}

FRESH(threads_that_grow_it_at_once_share_no_block)
{
    pthread_t threads[THREADS];

    start(NULL);
    pthread_barrier_init(&all, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, grow, (void *)i), 0);
    void **blocks[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], (void **)&blocks[i]);
    assert_int_equal(walk().live, THREADS * EACH);
    for (unsigned i = 0; i < THREADS; i++) {
        free_blocks(blocks[i], EACH);
        free(blocks[i]);
    }
    assert_int_equal(walk().live, 0);
}

static sem_t forks;
enum { FORKS = SMALL ? 10 : 100 };

/* A few steps while the other thread forks, each time. */
static void *keep_growing(void *unused)
{
    for (unsigned fork = 0; fork < FORKS; fork++) {
        sem_wait(&forks);
        for (unsigned i = 0; i < 4; i++)
            assert_non_null(fo_malloc(700000, "kept.c", 1));
    }
    return unused;
}

/* In the child, the other thread never finishes what it had begun. */
static void grow_in_the_child(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < 8; i++) {
        unsigned char *p = fo_malloc(700000, "child.c", 1);
        assert_non_null(p);
        memset(p, 1, 700000);
    }
    fo_caches_reclaim(); /* this finishes it */
    walk();
}

FRESH(a_child_forked_while_another_thread_grows_it_can_grow_it)
{
    pthread_t thread;

    if (FIXTURE_TSAN) /* it does not support the fork of a process with threads */
        return;
    start(NULL);
    sem_init(&forks, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, keep_growing, NULL), 0);
    for (unsigned i = 0; i < FORKS; i++) {
        sem_post(&forks);
        fixture_fork(grow_in_the_child, NULL);
    }
    pthread_join(thread, NULL);
    assert_int_equal(walk().pages_lost, 0);
}

/* --- limits ------------------------------------------------------------------------------------
 */

static size_t mapped(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    size_t pages = 0;

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu", &pages), 1);
    fclose(f);
    return pages * 4096;
}

static void leave_addresses(size_t bytes)
{
    struct rlimit limit = {mapped() + bytes, RLIM_INFINITY};

    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
}

FRESH(it_maps_a_few_megabytes_at_start)
{
    size_t before = mapped();

    if (FIXTURE_ASAN || FIXTURE_TSAN)
        return;
    start(NULL);
    assert_in_range(mapped() - before, 0, 10 * MIB);
}

/* A block of 20,000 bytes takes 65,536 in the heap, and the program needs memory, too. */
FRESH(under_a_limit_that_is_set_later_the_program_has_room)
{
    enum { COUNT = 1000 };
    static void *blocks[COUNT];
    unsigned outside = 0;

    if (FIXTURE_ASAN || FIXTURE_TSAN) /* their shadow needs terabytes */
        return;
    start(NULL);
    leave_addresses(40 * MIB);
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = fo_malloc(20000, "a.c", 1);
        assert_non_null(blocks[i]);
        outside += !fo_region_contains((uintptr_t)blocks[i]);
    }
    assert_in_range(outside, 1, COUNT - 1);
    void *p = malloc(4 * MIB);
    assert_non_null(p);
    free(p);
    free_blocks(blocks, COUNT);
    assert_int_equal(walk().live, 0);
    fixture_expect("%s", "");
}

FRESH(a_limit_that_is_set_later_binds)
{
    enum { COUNT = 100 };
    static void *blocks[COUNT];
    unsigned refused = 0;

    if (FIXTURE_ASAN || FIXTURE_TSAN)
        return;
    start(NULL);
    leave_addresses(40 * MIB);
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = fo_malloc(MIB, "a.c", 1);
        refused += blocks[i] == NULL;
    }
    assert_in_range(refused, COUNT - 40, COUNT - 20);
    free_blocks(blocks, COUNT);
    assert_int_equal(walk().live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_heap_grows_behind_what_is_in_the_way),
        cmocka_unit_test(the_heap_grows_around_what_begins_in_a_step),
        cmocka_unit_test(the_heap_grows_around_what_is_larger_than_a_step),
        cmocka_unit_test(a_wrong_free_behind_what_is_in_the_way_is_reported_and_nothing_is_touched),
        cmocka_unit_test(the_heap_grows_in_what_mappings_leave_to_it),
        cmocka_unit_test(threads_that_grow_it_at_once_share_no_block),
        cmocka_unit_test(a_child_forked_while_another_thread_grows_it_can_grow_it),
        cmocka_unit_test(it_maps_a_few_megabytes_at_start),
        cmocka_unit_test(under_a_limit_that_is_set_later_the_program_has_room),
        cmocka_unit_test(a_limit_that_is_set_later_binds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
