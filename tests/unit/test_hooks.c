/* The three functions that OpenSSL calls: do they keep its contract, for every size and without
 * memory? */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/block.h"
#include "block/hooks.h"
#include "block/memory.h"
#include "options/options.h"
#include "pool.h"

FRESH(size_0_is_answered_with_null)
{
    fixture_start(NULL);
    pool_register();
    assert_null(fo_malloc(0, "a.c", 1));
    assert_null(fo_realloc(NULL, 0, "a.c", 1));
    fo_free(fo_malloc(8, "a.c", 1), "a.c", 2);
    unsigned before = pool.allocated;
    assert_null(fo_malloc(0, "a.c", 1));
    assert_int_equal(pool.allocated, before);
    fixture_expect("%s", "");
}

FRESH(null_may_be_freed_and_reallocated)
{
    fixture_start(NULL);
    fo_free(NULL, "a.c", 1);
    char *p = fo_realloc(NULL, 10, "a.c", 1);
    assert_non_null(p);
    memset(p, 1, 10);
    fo_free(NULL, NULL, 0);
    fo_free(p, NULL, 0);
    fixture_expect("%s", "");
}

FRESH(realloc_to_0_frees)
{
    fixture_start("QUARANTINE=0", NULL);
    pool_register();
    void *p = fo_malloc(10, "a.c", 1);
    assert_non_null(p);
    unsigned freed = pool.freed;
    assert_null(fo_realloc(p, 0, "b.c", 7));
    assert_int_equal(pool.freed, freed + 1);
    assert_string_equal(pool.free_file, "b.c");
    assert_int_equal(pool.free_line, 7);
    fixture_expect("%s", "");
}

FRESH(a_file_may_be_null)
{
    fixture_start(NULL);
    char *p = fo_malloc(904, NULL, 0);
    p = fo_realloc(p, 2000, NULL, 0);
    assert_non_null(p);
    fo_free(p, NULL, 0);
    fixture_expect("%s", "");
}

FRESH(payloads_are_aligned_to_16_and_do_not_overlap)
{
    enum { COUNT = 3000 };
    static unsigned char *blocks[COUNT];

    fixture_start(NULL);
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = fo_malloc(i + 1, "a.c", 1);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        fixture_fill(blocks[i], i + 1, i);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(fixture_is_filled(blocks[i], i + 1, i));
        fo_free(blocks[i], "a.c", 2);
    }
    fixture_expect("%s", "");
}

FRESH(payloads_are_aligned_in_a_pool_that_aligns_to_8)
{
    enum { COUNT = 500 };
    static unsigned char *blocks[COUNT];

    fixture_start("QUARANTINE=1K", "SHARED=0", NULL);
    pool.misaligned = 2;
    pool_register();
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = fo_malloc(i + 1, "a.c", 1);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        fixture_fill(blocks[i], i + 1, i);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(fixture_is_filled(blocks[i], i + 1, i));
        blocks[i] = fo_realloc(blocks[i], i + 40, "a.c", 2);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        assert_true(fixture_is_filled(blocks[i], i + 1, i));
        fo_free(blocks[i], "a.c", 3);
    }
    assert_int_equal(pool.wrong, 0);
    fixture_expect("%s", "");
}

FRESH(a_size_that_is_too_large_fails_with_enomem)
{
    static const size_t sizes[] = {FO_SIZE_MAX + 1, SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2,
                                   UINT64_C(1) << 34};

    fixture_start(NULL);
    pool_register();
    char *p = fo_malloc(10, "a.c", 1);
    memcpy(p, "123456789", 10);
    unsigned before = pool.allocated;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        errno = 0;
        assert_null(fo_malloc(sizes[i], "a.c", 2));
        assert_int_equal(errno, ENOMEM);
        errno = 0;
        assert_null(fo_realloc(p, sizes[i], "a.c", 3));
        assert_int_equal(errno, ENOMEM);
        assert_string_equal(p, "123456789");
    }
    assert_int_equal(pool.allocated, before); /* the pool was not called */
    fo_free(p, "a.c", 4);
    fixture_expect("%s", "");
}

/* Random sizes of each magnitude; most are small. */
static size_t random_size(uint64_t *seed)
{
    unsigned bits = (unsigned)(fixture_random(seed) % 18);

    return 1 + (size_t)(fixture_random(seed) & ((UINT64_C(1) << bits) - 1));
}

static void churn(unsigned rounds)
{
    enum { SLOTS = 200 };
    static struct {
        unsigned char *p;
        size_t size;
        unsigned number;
    } slots[SLOTS];
    uint64_t seed = 3;

    for (unsigned i = 0; i < rounds; i++) {
        unsigned k = (unsigned)(fixture_random(&seed) % SLOTS);
        size_t size = random_size(&seed), kept = slots[k].size < size ? slots[k].size : size;
        unsigned what = (unsigned)(fixture_random(&seed) % 3);

        assert_true(fixture_is_filled(slots[k].p, slots[k].size, slots[k].number));
        if (what == 0 && slots[k].p != NULL) {
            unsigned char *moved = fo_realloc(slots[k].p, size, "r.c", 1);
            assert_non_null(moved);
            assert_true(fixture_is_filled(moved, kept, slots[k].number));
            slots[k].p = moved;
        } else {
            fo_free(slots[k].p, "f.c", 1);
            slots[k].p = fo_malloc(size, "m.c", 1);
            assert_non_null(slots[k].p);
        }
        slots[k].size = size;
        slots[k].number = i;
        fixture_fill(slots[k].p, size, i);
    }
    for (unsigned k = 0; k < SLOTS; k++) {
        assert_true(fixture_is_filled(slots[k].p, slots[k].size, slots[k].number));
        fo_free(slots[k].p, "f.c", 2);
        slots[k].p = NULL;
        slots[k].size = 0;
    }
}

FRESH(contents_survive_every_growth_and_shrinkage)
{
    fixture_start(NULL);
    churn(30000);
    fixture_expect("%s", "");
}

FRESH(contents_survive_without_a_quarantine)
{
    fixture_start("QUARANTINE=0", "TOMBSTONES=0", NULL);
    churn(10000);
    fixture_expect("%s", "");
}

FRESH(contents_survive_in_a_pool_that_gets_everything_back)
{
    fixture_start("QUARANTINE=0", "SHARED=0", NULL);
    pool_register();
    churn(10000);
    pool_check(0);
    assert_int_equal(pool.live_bytes, 0);
    fixture_expect("%s", "");
}

/* A block must not be used again for a size that does not fit into it.  This is so for the first
 * block, too, which is allocated while the backend is chosen. */
FRESH(a_block_that_serves_again_is_large_enough)
{
    enum { COUNT = 200 };
    static unsigned char *blocks[COUNT];

    fixture_start("QUARANTINE=16K", NULL);
    fo_free(fo_malloc(1, "a.c", 1), "a.c", 1); /* the first block */
    for (size_t step = 0; step < 64; step++) {
        size_t size = 1 + step % 2 * 15;
        for (unsigned i = 0; i < COUNT; i++) {
            blocks[i] = fo_malloc(size, "a.c", 2);
            fixture_fill(blocks[i], size, i); /* malloc's own checks, or ASan, find an overflow */
        }
        for (unsigned i = 0; i < COUNT; i++) {
            assert_true(fixture_is_filled(blocks[i], size, i));
            fo_free(blocks[i], "a.c", 3);
        }
    }
    fixture_expect("%s", "");
}

FRESH(a_pool_gets_the_sites_of_openssl)
{
    static const char allocated[] = "crypto/a.c", freed[] = "crypto/f.c";

    fixture_start("QUARANTINE=0", "SHARED=0", NULL);
    pool_register();
    void *p = fo_malloc(100, allocated, 11);
    assert_ptr_equal(pool.alloc_file, allocated);
    assert_int_equal(pool.alloc_line, 11);
    p = fo_realloc(p, 200, freed, 12);
    assert_ptr_equal(pool.alloc_file, freed);
    assert_ptr_equal(pool.free_file, freed);
    fo_free(p, freed, 22);
    assert_int_equal(pool.free_line, 22);
    assert_ptr_equal(pool.last_freed, (char *)p - sizeof(struct fo_header));
    pool_check(0);
}

/* A small scenario in which the n-th allocation fails. */
static void scenario(void)
{
    char *a = fo_malloc(100, "s.c", 1), *b = fo_malloc(2000, "s.c", 2), *moved;

    if (a != NULL)
        memset(a, 'a', 100);
    if (b != NULL)
        memset(b, 'b', 2000);
    if (a != NULL && (moved = fo_realloc(a, 5000, "s.c", 3)) != NULL)
        a = moved;
    if (b != NULL && (moved = fo_realloc(b, 20, "s.c", 4)) != NULL)
        b = moved;
    char *c = fo_realloc(NULL, 30, "s.c", 5);
    for (int i = 0; a != NULL && i < 100; i++)
        assert_int_equal(a[i], 'a');
    for (int i = 0; b != NULL && i < 20; i++)
        assert_int_equal(b[i], 'b');
    fo_free(a, "s.c", 6); /* live, moved or not */
    fo_free(b, "s.c", 7);
    fo_free(c, "s.c", 8);
}

static unsigned fail_at;

static void fail_once_body(void)
{
    fixture_start("QUARANTINE=0", "SHARED=0", NULL);
    pool_register();
    pool.fail_at = fail_at;
    scenario();
    assert_int_equal(pool.failed, fail_at <= 5);
    pool_check(0);
    assert_int_equal(pool.live_bytes, 0);
    fixture_expect("%s", "");
}

static void nothing_is_lost_when_any_one_allocation_fails(void **state)
{
    (void)state;
    for (fail_at = 1; fail_at <= 6; fail_at++)
        fixture_in_child(fail_once_body);
}

static void misaligned_fail_body(void)
{
    fixture_start("QUARANTINE=0", "SHARED=0", NULL);
    pool.misaligned = 1;
    pool_register();
    pool.fail_at = fail_at;
    scenario();
    pool_check(0);
    fixture_expect("%s", "");
}

static void nothing_is_lost_when_a_pool_of_8_bytes_fails(void **state)
{
    (void)state;
    for (fail_at = 1; fail_at <= 7; fail_at++)
        fixture_in_child(misaligned_fail_body);
}

FRESH(a_pool_that_is_not_ready_yet_is_called_again)
{
    fixture_start("QUARANTINE=0", NULL);
    pool_register();
    pool.fail_always = true;
    assert_null(fo_malloc(10, "a.c", 1));
    assert_null(fo_malloc(10, "a.c", 1));
    pool.fail_always = false;
    void *p = fo_malloc(10, "a.c", 1);
    assert_non_null(p);
    fo_free(p, "a.c", 2);
    pool_check(0);
    fixture_expect("%s", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_0_is_answered_with_null),
        cmocka_unit_test(null_may_be_freed_and_reallocated),
        cmocka_unit_test(realloc_to_0_frees),
        cmocka_unit_test(a_file_may_be_null),
        cmocka_unit_test(payloads_are_aligned_to_16_and_do_not_overlap),
        cmocka_unit_test(payloads_are_aligned_in_a_pool_that_aligns_to_8),
        cmocka_unit_test(a_size_that_is_too_large_fails_with_enomem),
        cmocka_unit_test(contents_survive_every_growth_and_shrinkage),
        cmocka_unit_test(contents_survive_without_a_quarantine),
        cmocka_unit_test(contents_survive_in_a_pool_that_gets_everything_back),
        cmocka_unit_test(a_block_that_serves_again_is_large_enough),
        cmocka_unit_test(a_pool_gets_the_sites_of_openssl),
        cmocka_unit_test(nothing_is_lost_when_any_one_allocation_fails),
        cmocka_unit_test(nothing_is_lost_when_a_pool_of_8_bytes_fails),
        cmocka_unit_test(a_pool_that_is_not_ready_yet_is_called_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
