/* Backend arena with one thread: are blocks disjoint, and what happens without addresses?  When
 * freed slots serve again is in test_region_reuse.c, wrong frees are in test_region_faults.c,
 * threads and forks in test_region_storm.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backend/backend.h"
#include "block/hooks.h"
#include "options/options.h"
#include "fixture.h"
#include "process/process.h"
#include "whole_heap.h"

#define start(...) fixture_start("BACKEND=arena", __VA_ARGS__)

static void a_size_gets_the_smallest_class_that_holds_it(void **state)
{
    (void)state;
    for (size_t size = 1; size <= FO_REGION_SMALL; size++) {
        unsigned class = fo_region_class_of(size);
        assert_in_range(class, 0, FO_REGION_CLASSES - 1);
        assert_in_range(size, class == 0 ? 1 : fo_class_payload(class - 1) + 1,
                        fo_class_payload(class));
        assert_int_equal(fo_class_slot(class) % 16, 0);
        size_t most = size <= 256 ? 15 : size / 8;
        assert_in_range(fo_class_payload(class) - size, 0, most);
        if (class < FO_REGION_CLASSES - 1 && size > 4096)
            assert_int_equal(fo_class_slot(class) % 512, 0);
    }
}

FRESH(blocks_are_apart_and_keep_what_is_in_them)
{
    enum { COUNT = 2000 };
    static void *blocks[COUNT];
    static size_t sizes[COUNT];
    uint64_t seed = 3, live = 0, bytes = 0;

    start(NULL);
    for (unsigned i = 0; i < 40 * COUNT; i++) {
        unsigned k = (unsigned)(fixture_random(&seed) % COUNT);
        if (blocks[k] != NULL)
            assert_true(fixture_is_filled(blocks[k], sizes[k], k));
        unsigned bits = 1 + (unsigned)(fixture_random(&seed) % 15);
        sizes[k] = 1 + (size_t)(fixture_random(&seed) & ((UINT64_C(1) << bits) - 1));
        if (i % 3 == 0) {
            blocks[k] = fo_realloc(blocks[k], sizes[k], "move.c", 1);
        } else {
            fo_free(blocks[k], "free.c", 1);
            blocks[k] = fo_malloc(sizes[k], "new.c", 1);
        }
        assert_int_equal((uintptr_t)blocks[k] % 16, 0);
        assert_true(fo_region_contains((uintptr_t)blocks[k]));
        fixture_fill(blocks[k], sizes[k], k);
    }
    for (unsigned k = 0; k < COUNT; k++) {
        live += blocks[k] != NULL;
        bytes += blocks[k] != NULL ? sizes[k] : 0;
    }
    struct fo_walk w = walk();
    assert_int_equal(w.live, live);
    assert_int_equal(w.live_bytes, bytes);
    assert_int_equal(w.lost, 0);
    free_blocks(blocks, COUNT);
    assert_int_equal(walk().live, 0);
    fixture_expect("%s", "");
}

FRESH(live_blocks_are_counted_by_source_line)
{
    struct fo_walk_site sites[8];
    void *blocks[10];

    start(NULL);
    for (int i = 0; i < 10; i++)
        blocks[i] = fo_malloc(i < 7 ? 100 : 10000, i < 7 ? "small.c" : "large.c", 5);
    assert_int_equal(fo_region_sites(sites, 8), 2);
    assert_string_equal(fo_site_file(sites[0].site), "large.c");
    assert_int_equal(sites[0].blocks, 3);
    assert_int_equal(sites[0].bytes, 30000);
    assert_int_equal(sites[1].blocks, 7);
    free_blocks(blocks, 10);
}

/* --- little room -------------------------------------------------------------------------------
 */

static void limit_addresses(size_t bytes)
{
    struct rlimit limit = {bytes, bytes};

    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
}

FRESH(what_finds_no_room_comes_from_libc)
{
    enum { COUNT = 3000 };
    static void *blocks[COUNT];
    unsigned outside = 0;

    if (FIXTURE_ASAN || FIXTURE_TSAN) /* their shadow needs terabytes */
        return;
    limit_addresses(200 << 20);
    start(NULL);
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = fo_malloc(20000, "a.c", 1);
        assert_non_null(blocks[i]);
        fixture_fill(blocks[i], 20000, (unsigned)i);
        outside += !fo_region_contains((uintptr_t)blocks[i]);
    }
    assert_in_range(outside, 1, COUNT - 1);
    for (int i = 0; i < COUNT; i++)
        assert_true(fixture_is_filled(blocks[i], 20000, (unsigned)i));
    free_blocks(blocks, COUNT);
    assert_int_equal(walk().live, 0);
    fixture_expect("%s", "");
}

/* Limit what can still be mapped to so many bytes. */
static void leave_addresses(size_t bytes)
{
    FILE *f = fopen("/proc/self/statm", "re");
    size_t pages = 0;

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu", &pages), 1);
    fclose(f);
    limit_addresses(pages * 4096 + bytes);
}

FRESH(without_room_for_a_region_libc_serves_and_that_is_reported_once)
{
    if (FIXTURE_ASAN || FIXTURE_TSAN)
        return;
    start(NULL);
    leave_addresses(3 << 19); /* enough for a leaf of the registry, and not for a heap */
    void *p = fo_malloc(100, "a.c", 1);
    assert_non_null(p);
    assert_null(fo_region);
    fo_free(p, "f.c", 1);
    fo_free(fo_malloc(100, "a.c", 1), "f.c", 1);
    assert_int_equal(fixture_count("no addresses for backend arena"), 1);
    assert_int_equal(fixture_count("freeonce: "), 1);
}

/* There is room for the heap, but not for its records (about 35 MiB). */
FRESH(without_room_for_backend_shm_another_one_serves)
{
    if (FIXTURE_ASAN || FIXTURE_TSAN)
        return;
    limit_addresses(85 << 20);
    fixture_start("BACKEND=shm", NULL);
    void *p = fo_malloc(100, "a.c", 1);
    assert_non_null(p);
    fo_free(p, "f.c", 1);
    assert_true(fo_region == NULL || !fo_layout.shared);
    assert_int_equal(fixture_count("no addresses for backend shm"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_size_gets_the_smallest_class_that_holds_it),
        cmocka_unit_test(blocks_are_apart_and_keep_what_is_in_them),
        cmocka_unit_test(live_blocks_are_counted_by_source_line),
        fixture_test_of_hooks(what_finds_no_room_comes_from_libc),
        fixture_test_of_hooks(without_room_for_a_region_libc_serves_and_that_is_reported_once),
        fixture_test_of_hooks(without_room_for_backend_shm_another_one_serves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
