/* Do freed blocks wait in order and within the limit, does the backend get each exactly once, and
 * are they remembered? */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/block.h"
#include "block/hooks.h"
#include "block/quarantine.h"
#include "options/options.h"
#include "pool.h"

static enum fo_remembered find(const void *p)
{
    struct fo_freed f;

    return fo_quarantine_find((uintptr_t)p, &f);
}

static void *freed_block(size_t size)
{
    void *p = fo_malloc(size, "a.c", 1);

    assert_non_null(p);
    fo_free(p, "f.c", 2);
    return p;
}

FRESH(blocks_of_a_class_come_back_in_the_order_of_their_frees)
{
    enum { COUNT = 200 };
    static void *blocks[COUNT];
    unsigned next = 0;

    fixture_start("QUARANTINE=8K", "SHARED=0", NULL);
    pool_register();
    for (unsigned i = 0; i < COUNT; i++)
        blocks[i] = fo_malloc(100, "a.c", 1);
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned before = pool.freed;
        fo_free(blocks[i * 7 % COUNT], "f.c", 2);
        assert_in_range(pool.freed - before, 0, 1);
        if (pool.freed == before)
            continue;
        assert_ptr_equal(pool.last_freed, (char *)blocks[next * 7 % COUNT] - 16);
        next++;
    }
    assert_in_range(next, COUNT - 8192 / 100, COUNT - 10); /* some wait */
    assert_int_equal(pool.wrong, 0);
}

FRESH(no_more_bytes_wait_than_the_option_says)
{
    static const char *const options[] = {"QUARANTINE=64K", "SHARED=0", NULL};
    uint64_t seed = 5;
    size_t most = 0;

    fixture_start_with(options);
    pool_register();
    for (int i = 0; i < 20000; i++) {
        unsigned bits = (unsigned)(fixture_random(&seed) % 14);
        freed_block(1 + (fixture_random(&seed) & ((UINT64_C(1) << bits) - 1)));
        unsigned waiting = pool.allocated - pool.freed;
        /* With the headers of the library and of the pool, and the rounding of sizes. */
        size_t bytes = pool.live_bytes + waiting * (size_t)48;
        assert_in_range(bytes, 0, fo_options.quarantine + waiting * (size_t)7);
        most = bytes > most ? bytes : most;
    }
    assert_in_range(most, fo_options.quarantine / 2, 2 * fo_options.quarantine);
    assert_int_equal(pool.wrong, 0);
    fixture_expect("%s", "");
}

static void *fill_and_leave(void *unused)
{
    for (size_t i = 0; i < 3000; i++)
        freed_block(1 + i * 37 % 2000);
    return unused;
}

FRESH(threads_that_are_gone_do_not_keep_more_bytes_waiting)
{
    fixture_start("QUARANTINE=64K", "SHARED=0", NULL);
    pool_register();
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, fill_and_leave, NULL), 0);
        pthread_join(thread, NULL);
        unsigned waiting = pool.allocated - pool.freed;
        size_t bytes = pool.live_bytes - waiting * sizeof(struct fo_header);
        assert_in_range(bytes, 0, fo_options.quarantine + waiting * (size_t)15);
    }
    assert_in_range(fo_hot.memory->shards_used, 1, 2); /* each thread got its predecessor's */
}

/* The byte in the middle of a large block that is in the quarantine. */
static unsigned char byte_of_large(void)
{
    enum { SIZE = 200000 };
    unsigned char *p = fo_malloc(SIZE, "a.c", 1);

    assert_non_null(memset(p, 7, SIZE));
    fo_free(p, "f.c", 2);
    assert_int_equal(find(p), FO_WAITING);
    return p[SIZE / 2];
}

FRESH(a_large_block_waits_without_its_memory)
{
    fixture_start("BACKEND=libc", NULL);
    for (int i = 0; i < 30; i++) /* more bytes than may wait */
        assert_int_equal(byte_of_large(), 0);
}

FRESH(a_large_block_that_is_filled_keeps_its_memory)
{
    fixture_start("BACKEND=libc", "FILL=1", NULL);
    assert_int_not_equal(byte_of_large(), 0);
}

FRESH(without_a_quarantine_every_block_comes_back_at_once)
{
    fixture_start("QUARANTINE=0", "SHARED=0", NULL);
    pool_register();
    for (size_t size = 1; size < 3000; size += 7) {
        void *p = freed_block(size);
        pool_check(0);
        assert_int_equal(find(p), FO_TOMBSTONE);
    }
}

FRESH(a_giant_does_not_evict_the_others)
{
    fixture_start("QUARANTINE=8K", "SHARED=0", NULL);
    pool_register();
    for (int i = 0; i < 10; i++)
        freed_block(64);
    freed_block(1200); /* large, and no giant */
    freed_block(1300);
    unsigned waiting = pool.allocated - pool.freed;
    assert_int_equal(waiting, 12);
    void *giant = freed_block(1 << 20);
    assert_int_equal(find(giant), FO_TOMBSTONE);
    assert_ptr_equal(pool.last_freed, (char *)giant - 16);
    pool_check(waiting);
}

FRESH(a_free_stays_known_while_it_waits_and_after)
{
    struct fo_freed f;

    fixture_start("QUARANTINE=8K", "SHARED=0", NULL);
    pool.keeps = true;
    pool_register();
    void *p = fo_malloc(100, "first.c", 11);
    assert_int_equal(find(p), FO_FORGOTTEN);
    fo_free(p, "second.c", 22);
    for (int i = 0; i < 40; i++) {
        bool waits = pool_holds((char *)p - 16);
        assert_int_equal(fo_quarantine_find((uintptr_t)p, &f), waits ? FO_WAITING : FO_TOMBSTONE);
        assert_int_equal(f.allocated, fo_site_pack("first.c", 11));
        assert_int_equal(f.freed, fo_site_pack("second.c", 22));
        assert_int_equal(fo_word_size(f.word), 100);
        assert_int_equal(fo_thread_id_process(f.thread_id), fo_process_self()->index);
        assert_int_equal(fo_thread_id_number(f.thread_id), 0);
        freed_block(100);
        freed_block(1000);
    }
    assert_false(pool_holds((char *)p - 16));
}

FRESH(the_newest_free_of_an_address_counts)
{
    struct fo_freed f;
    void *p = NULL;

    fixture_start("BACKEND=libc", "QUARANTINE=0", NULL);
    for (int i = 1; i < 20; i++) {
        p = fo_malloc(100, "a.c", i);
        fo_free(p, "f.c", i);
        assert_int_equal(fo_quarantine_find((uintptr_t)p, &f), FO_TOMBSTONE);
        assert_int_equal(fo_site_line(f.allocated), i);
        assert_int_equal(fo_site_line(f.freed), i);
    }
}

FRESH(a_block_serves_again_only_after_others_waited_behind_it)
{
    enum { ROUNDS = 20000, REMEMBERED = FO_CLASS_WAIT_LEAST };
    static void *last[REMEMBERED];
    uint64_t seed = 9;
    unsigned again = 0;
    void *first = NULL;

    fixture_start("BACKEND=libc", "QUARANTINE=32K", NULL);
    for (unsigned i = 0; i < 9; i++) /* half of the bytes, in another class */
        freed_block(1000);
    for (unsigned i = 0; i < ROUNDS; i++) {
        void *p = fo_malloc(200 + fixture_random(&seed) % 8, "a.c", 1); /* one class */
        for (unsigned k = 0; k < REMEMBERED; k++)
            assert_ptr_not_equal(p, last[k]);
        first = first == NULL ? p : first;
        again += i > 0 && p == first;
        fo_free(p, "f.c", 2);
        last[i % REMEMBERED] = p;
    }
    assert_true(again > 0);
    fixture_expect("%s", "");
}

/* Each class has a share of the bytes, however full the others are. */
FRESH(a_class_has_its_share_before_its_oldest_block_serves_again)
{
    static const unsigned expected[] = {512, 256, 128, 64};

    fixture_start("BACKEND=libc", "QUARANTINE=1M", NULL);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const void *first = freed_block((size_t)16 << i);
        unsigned behind = 0;
        while (freed_block((size_t)16 << i) != first && behind < 10000)
            behind++;
        assert_int_equal(behind, expected[i]);
    }
    fixture_expect("%s", "");
}

FRESH(what_was_given_back_at_once_never_serves_again)
{
    fixture_start("BACKEND=libc", "QUARANTINE=16K", NULL);
    for (unsigned i = 0; i < 20 * FO_SHARDS; i++) {
        fo_thread.shard = NULL; /* as in a thread that frees for the first time */
        fo_thread.id = 0;
        freed_block(600); /* more than may wait */
    }
    for (unsigned i = 0; i < 17; i++) /* half of what may wait, and no more */
        freed_block(16);
    void *blocks[40];
    for (unsigned i = 0; i < 40; i++) {
        blocks[i] = fo_malloc(600, "a.c", 2);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        fixture_fill(blocks[i], 600, i);
    }
    for (unsigned i = 0; i < 40; i++) {
        assert_true(fixture_is_filled(blocks[i], 600, i));
        fo_free(blocks[i], "f.c", 2);
    }
    fixture_expect("%s", "");
}

FRESH(every_block_comes_back_once_and_only_once)
{
    uint64_t seed = 11;

    fixture_start("QUARANTINE=16K", "TOMBSTONES=1", "SHARED=0", NULL);
    pool_register();
    for (int i = 0; i < 30000; i++) {
        void *p = fo_malloc(1 + fixture_random(&seed) % 1500, "a.c", 1);
        if (i % 3 == 0)
            p = fo_realloc(p, 1 + fixture_random(&seed) % 3000, "a.c", 2);
        fo_free(p, "f.c", 3);
        assert_true(pool.allocated - pool.freed < 16384);
    }
    /* With a limit of 0, the next free of each class drains the class. */
    for (int i = 0; i < FO_SHARDS; i++)
        fo_hot.memory->shards[i].limit = 0;
    fo_options.quarantine = 0;
    for (size_t size = 16; size <= FO_CLASS_MAX + 16; size += 16)
        freed_block(size);
    pool_check(0);
    assert_int_equal(pool.live_bytes, 0);
    fixture_expect("%s", "");
}

/* For a process that ends without releasing it. */
static void acquire(void *lock)
{
    *(uint32_t *)lock = fo_process_id();
}

/* The lock of this thread's shard; it is not held. */
static uint32_t *my_lock(void)
{
    freed_block(8);
    assert_non_null(fo_thread.shard);
    assert_int_equal(fo_thread.shard->lock, 0);
    return &fo_thread.shard->lock;
}

FRESH(a_lock_of_a_dead_process_is_taken_over)
{
    fixture_start("SHARED=1", "CURES=none", NULL);
    pool_register();
    uint32_t *lock = my_lock();
    assert_true(fo_hot.shared);
    fixture_fork(acquire, lock);
    assert_int_not_equal(*lock, 0);
    freed_block(8);
    assert_int_equal(*lock, 0);
    pool_check(2);
}

/* The owner was killed between two steps: it has counted bytes that are not in the quarantine. */
FRESH(what_a_dead_process_miscounted_does_not_stay)
{
    fixture_start("SHARED=1", "CURES=none", "QUARANTINE=16K", NULL);
    pool_register();
    uint32_t *lock = my_lock();
    struct fo_shard *s = fo_thread.shard;
    s->classed += 100000;
    s->other += 100000;
    fixture_fork(acquire, lock);
    for (int i = 0; i < 10; i++)
        freed_block(200);
    freed_block(2000);
    pool_check(12);
}

FRESH(a_lock_of_a_process_that_lives_is_left_alone)
{
    fixture_start("SHARED=1", "CURES=none", NULL);
    pool_register();
    uint32_t *lock = my_lock();
    pid_t child = fork();
    if (child == 0) {
        acquire(lock);
        for (;;)
            pause();
    }
    while (__atomic_load_n(lock, __ATOMIC_ACQUIRE) == 0)
        sched_yield();
    uint32_t owner = *lock;
    void *p = freed_block(8);
    assert_int_equal(*lock, owner);
    assert_int_equal(find(p), FO_WAITING); /* in the next shard */
    pool_check(2);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    freed_block(8);
    assert_int_equal(*lock, 0);
}

FRESH(a_lock_that_a_fork_left_behind_is_taken_over)
{
    fixture_start("SHARED=0", NULL);
    pool_register();
    uint32_t *lock = my_lock();
    *lock = fo_process_id() + (1 << FO_PROCESS_BITS); /* lives, in memory of its own */
    freed_block(8);
    assert_int_equal(*lock, 0);
}

FRESH(a_lock_of_our_own_sends_us_to_the_next_shard)
{
    fixture_start("SHARED=0", NULL);
    pool_register();
    uint32_t *lock = my_lock(), self = fo_process_id();
    *lock = self; /* another thread, or this one under a signal handler */
    void *p = freed_block(8);
    assert_int_equal(*lock, self);
    assert_int_equal(find(p), FO_WAITING);
    pool_check(2);
}

FRESH(with_all_shards_taken_blocks_come_back_at_once)
{
    fixture_start("SHARED=0", NULL);
    pool_register();
    my_lock();
    for (int i = 0; i < FO_SHARDS; i++)
        fo_hot.memory->shards[i].lock = fo_process_id();
    void *p = freed_block(100), *q = freed_block(100000);
    assert_int_equal(find(p), FO_FORGOTTEN);
    assert_int_equal(find(q), FO_FORGOTTEN);
    pool_check(1);
    assert_non_null(fo_realloc(fo_malloc(100, "a.c", 1), 200, "a.c", 2));
    fixture_expect("%s", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_a_class_come_back_in_the_order_of_their_frees),
        cmocka_unit_test(no_more_bytes_wait_than_the_option_says),
        cmocka_unit_test(threads_that_are_gone_do_not_keep_more_bytes_waiting),
        cmocka_unit_test(without_a_quarantine_every_block_comes_back_at_once),
        cmocka_unit_test(a_giant_does_not_evict_the_others),
        cmocka_unit_test(a_free_stays_known_while_it_waits_and_after),
        cmocka_unit_test(the_newest_free_of_an_address_counts),
        cmocka_unit_test(a_block_serves_again_only_after_others_waited_behind_it),
        cmocka_unit_test(a_class_has_its_share_before_its_oldest_block_serves_again),
        cmocka_unit_test(what_was_given_back_at_once_never_serves_again),
        cmocka_unit_test(every_block_comes_back_once_and_only_once),
        cmocka_unit_test(a_large_block_waits_without_its_memory),
        cmocka_unit_test(a_large_block_that_is_filled_keeps_its_memory),
        cmocka_unit_test(a_lock_of_a_dead_process_is_taken_over),
        cmocka_unit_test(what_a_dead_process_miscounted_does_not_stay),
        cmocka_unit_test(a_lock_of_a_process_that_lives_is_left_alone),
        cmocka_unit_test(a_lock_that_a_fork_left_behind_is_taken_over),
        cmocka_unit_test(a_lock_of_our_own_sends_us_to_the_next_shard),
        cmocka_unit_test(with_all_shards_taken_blocks_come_back_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
