/* Backend arena: is every wrong free found, and every write over a header; and is the heap whole
 * afterwards? */
#include <string.h>
#include <unistd.h>

#include "block/hooks.h"
#include "fixture.h"
#include "whole_heap.h"

#define start(...) fixture_start("BACKEND=arena", __VA_ARGS__)

static void churn(unsigned frees)
{
    uint64_t seed = 11;

    for (unsigned i = 0; i < frees; i++)
        fo_free(fo_malloc(300 + fixture_random(&seed) % 2000, "churn.c", 1), "churn.c", 2);
}

static void expect_double_free(void *p, size_t size, int line)
{
    int pid = getpid();

    fixture_expect("freeonce: double free of block %p (%zu bytes), skipped\n"
                   "  allocated    a.c:%d                    pid %d (unit)\n"
                   "  freed first  f.c:22                    pid %d (unit)\n"
                   "  freed again  g.c:33                    pid %d (unit)\n",
                   p, size, line, pid, pid, pid);
}

FRESH(a_double_free_after_100000_others_names_all_places)
{
    start(NULL);
    void *small = fo_malloc(40, "a.c", 11), *large = fo_malloc(100000, "a.c", 12);

    fo_free(small, "f.c", 22);
    fo_free(large, "f.c", 22);
    churn(100000);
    fo_free(small, "g.c", 33);
    expect_double_free(small, 40, 11);
    fo_free(large, "g.c", 33);
    expect_double_free(large, 100000, 12);
}

FRESH(a_double_free_of_a_slot_that_is_back_in_its_page_names_all_places)
{
    enum { COUNT = 20000 };
    static void *blocks[COUNT];

    start("QUARANTINE=16K", NULL);
    void *keeps_the_page = fo_malloc(64, "a.c", 1);
    for (int i = 0; i < COUNT; i++)
        blocks[i] = fo_malloc(64, "a.c", 11);
    for (int i = 0; i < COUNT; i++)
        fo_free(blocks[i], "f.c", 22);
    int i = 0;
    while (i < COUNT - 1 && (fo_region_at((uintptr_t)blocks[i]).state != FO_FOUND_FREED ||
                             !fo_slot_is_back((uintptr_t)blocks[i])))
        i++;
    assert_true(fo_slot_is_back((uintptr_t)blocks[i]));
    fo_free(blocks[i], "g.c", 33);
    expect_double_free(blocks[i], 64, 11);
    fo_free(keeps_the_page, "f.c", 1);
}

/* Its check bits fit, as those of one damaged header in 32,768 do. */
static void *with_wrong_size(size_t size, size_t wrong)
{
    uint64_t turned = size > FO_REGION_SMALL ? FO_REGION_LARGE : 0;
    void *p = fo_malloc(size, "a.c", 11);
    struct fo_header *h = fo_header_of((uintptr_t)p);
    uint64_t word = (h->word & ((UINT64_C(1) << FO_SIZE_SHIFT) - 1) & FO_REGION_META) |
                    (uint64_t)wrong << FO_SIZE_SHIFT;

    h->word = (word | fo_region_check(fo_layout.key, (uintptr_t)p, h->site, word)) ^ turned;
    return p;
}

FRESH(a_header_whose_wrong_size_checks_does_no_harm)
{
    start(NULL);
    static const size_t wrong[] = {200, 0, UINT64_C(1) << 33, 8193, 65536};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fo_free(with_wrong_size(100 + 100 * i, wrong[i]), "f.c", 22); /* the first of its class */
        void *p = with_wrong_size(100, wrong[i]);
        assert_null(fo_realloc(p, 50, "r.c", 30 + (int)i));
        fixture_expect(
            "freeonce: realloc of block %p, whose header was overwritten, answered NULL\n"
            "  realloc      r.c:%d                    pid %d (unit)\n",
            p, 30 + (int)i, (int)getpid());
    }
}

FRESH(a_large_block_whose_wrong_size_checks_is_damaged)
{
    start(NULL);
    static const size_t wrong[] = {100, 20001, 1000000};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        void *p = with_wrong_size(20000, wrong[i]);
        fo_free(p, "f.c", 20 + (int)i);
        fixture_expect("freeonce: free of block %p, whose header was overwritten, skipped\n"
                       "  freed now    f.c:%d                    pid %d (unit)\n",
                       p, 20 + (int)i, (int)getpid());
    }
}

FRESH(a_header_whose_wrong_size_checks_is_damaged_when_its_block_is_wiped)
{
    start("WIPE=1", NULL);
    void *p = with_wrong_size(100, 200);
    fo_free(p, "f.c", 22);
    fixture_expect("freeonce: free of block %p, whose header was overwritten, skipped\n"
                   "  freed now    f.c:22                    pid %d (unit)\n",
                   p, (int)getpid());
}

FRESH(a_double_free_is_known_when_the_memory_went_back_to_the_system)
{
    enum { COUNT = 60000 };
    static void *blocks[COUNT];

    start("QUARANTINE=16K", NULL);
    for (int i = 0; i < COUNT; i++)
        blocks[i] = fo_malloc(200, "a.c", 11);
    free_blocks(blocks, COUNT);
    fo_free(blocks[COUNT / 2], "g.c", 33);
    assert_int_equal(fixture_count("freeonce: double free of block"), 1);
    walk();
}

/* The check bits of one damaged header in 32,768 fit by chance. */
static bool fits_by_chance(const void *p)
{
    const struct fo_header *h = fo_header_of((uintptr_t)p);

    return fo_region_word_is_live(fo_layout.key, (uintptr_t)p, h->site, h->word);
}

FRESH(every_changed_bit_of_a_header_is_found)
{
    start(NULL);
    for (int bit = 0; bit < 128; bit++) {
        unsigned char *p = fo_malloc(100, "a.c", 1);
        p[-16 + bit / 8] ^= (unsigned char)(1 << bit % 8);
        if (bit / 8 != 8 && bit / 8 != 9 && fits_by_chance(p)) {
            p[-16 + bit / 8] ^= (unsigned char)(1 << bit % 8);
            fo_free(p, "f.c", 1);
            continue;
        }
        unsigned before = fixture_count("freeonce: ");
        fo_free(p, "bit.c", bit + 1);
        assert_int_equal(fixture_count("freeonce: "), before + 1);
        p[-16 + bit / 8] ^= (unsigned char)(1 << bit % 8);
        fo_free(p, "f.c", 1);
        assert_int_equal(fixture_count("freeonce: "), before + 1);
    }
    walk();
}

FRESH(a_write_over_the_header_of_a_freed_slot_is_found)
{
    enum { COUNT = 200 };
    char *blocks[COUNT];

    start("QUARANTINE=16K", NULL);
    for (int i = 0; i < COUNT; i++)
        blocks[i] = fo_malloc(48, "a.c", 1);
    for (int i = 0; i < COUNT; i++)
        fo_free(blocks[i], "f.c", 2);
    for (int i = 0; i < COUNT; i++)
        blocks[i][-12] ^= 1;
    for (int i = 0; i < 1000; i++)
        fo_free(fo_malloc(48, "a.c", 3), "f.c", 4);
    assert_true(fixture_count("freeonce: write to the header of freed block") > 0);
    assert_true(fixture_count("  freed first  f.c:2 ") > 0);
    assert_int_equal(fixture_count("freed now"), 0);
}

FRESH(a_write_over_the_header_of_a_slot_that_goes_back_is_found)
{
    enum { COUNT = 30000 };
    static char *blocks[COUNT];

    start("QUARANTINE=16K", NULL);
    for (int i = 0; i < COUNT; i++)
        blocks[i] = fo_malloc(48, "a.c", 1);
    for (int i = 0; i < COUNT / 2; i++)
        fo_free(blocks[i], "f.c", 2);
    fo_free(blocks[COUNT / 2], "f.c", 3);
    blocks[COUNT / 2][-3] ^= 4;
    for (int i = COUNT / 2 + 1; i < COUNT; i++)
        fo_free(blocks[i], "f.c", 2);
    fixture_expect("freeonce: write to the header of freed block %p, found when it left the "
                   "quarantine\n"
                   "  freed first  f.c:3                     pid %d (unit)\n",
                   (void *)blocks[COUNT / 2], getpid());
}

/* The heap follows nothing that can be written through stale pointers. */
FRESH(writes_over_freed_slots_do_no_harm)
{
    enum { COUNT = 3000 };
    static void *blocks[COUNT];

    start("QUARANTINE=16K", NULL);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            blocks[i] = fo_malloc(48, "a.c", 1);
        free_blocks(blocks, COUNT);
        for (int i = 0; i < COUNT; i++)
            memset((char *)blocks[i] - 16, 0x41 + round, 64);
        for (int i = 0; i < COUNT; i++) {
            blocks[i] = fo_malloc(48, "a.c", 1);
            assert_true(fo_region_contains((uintptr_t)blocks[i]));
            fixture_fill(blocks[i], 48, (unsigned)i);
        }
        for (int i = 0; i < COUNT; i++)
            assert_true(fixture_is_filled(blocks[i], 48, (unsigned)i));
        free_blocks(blocks, COUNT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_double_free_after_100000_others_names_all_places),
        cmocka_unit_test(a_double_free_of_a_slot_that_is_back_in_its_page_names_all_places),
        cmocka_unit_test(a_header_whose_wrong_size_checks_does_no_harm),
        cmocka_unit_test(a_large_block_whose_wrong_size_checks_is_damaged),
        cmocka_unit_test(a_header_whose_wrong_size_checks_is_damaged_when_its_block_is_wiped),
        cmocka_unit_test(a_double_free_is_known_when_the_memory_went_back_to_the_system),
        cmocka_unit_test(every_changed_bit_of_a_header_is_found),
        cmocka_unit_test(a_write_over_the_header_of_a_freed_slot_is_found),
        cmocka_unit_test(a_write_over_the_header_of_a_slot_that_goes_back_is_found),
        cmocka_unit_test(writes_over_freed_slots_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
