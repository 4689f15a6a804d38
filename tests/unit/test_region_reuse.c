/* Backend arena with one thread: when does a freed slot serve again, how many blocks wait, and how
 * many magazines does a burst take? */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "options/options.h"
#include "process/process.h"
#include "whole_heap.h"

#define start(...) fixture_start("BACKEND=arena", __VA_ARGS__)

static unsigned frees_until_it_serves_again(size_t size)
{
    void *first = fo_malloc(size, "a.c", 1), *p = NULL;
    unsigned frees = 0;

    fo_free(first, "f.c", 1);
    while (p != first && frees < 100000) {
        p = fo_malloc(size, "a.c", 2);
        fo_free(p, "f.c", 2);
        frees++;
    }
    return frees;
}

FRESH(a_slot_serves_again_after_those_that_were_freed_before)
{
    start(NULL);
    for (int i = 0; i < 1000; i++) /* until no slot is fresh */
        frees_until_it_serves_again(24);
    assert_in_range(frees_until_it_serves_again(24), 100, 2000);
    assert_in_range(frees_until_it_serves_again(20000), 2, FO_WARM);
    walk();
}

/* The last ones wait; the memory of those before is still in the processor's cache. */
FRESH(of_large_blocks_the_newest_that_has_waited_serves_first)
{
    enum { READY = 4 };
    void *blocks[READY + FO_WARM_WAIT];

    start(NULL);
    for (int i = 0; i < READY + FO_WARM_WAIT; i++)
        blocks[i] = fo_malloc(20000, "a.c", 1);
    free_blocks(blocks, READY + FO_WARM_WAIT);
    for (int i = READY - 1; i >= 0; i--)
        assert_ptr_equal(fo_malloc(20000, "a.c", 2), blocks[i]);
    for (int i = 0; i < READY; i++)
        fo_free(blocks[i], "f.c", 2);
    walk();
}

/* Of blocks whose memory is too large to be kept, the addresses wait. */
FRESH(a_large_block_is_named_though_others_of_its_size_came_since)
{
    enum { SIZE = 100000, OTHERS = 30 };
    struct fo_freed freed;

    start(NULL);
    uintptr_t stale = (uintptr_t)fo_malloc(SIZE, "victim.c", 1);
    fo_free((void *)stale, "first.c", 2);
    for (int i = 0; i < OTHERS; i++)
        fo_free(fo_malloc(SIZE, "a.c", 3), "f.c", 4);
    struct fo_at at = fo_region_at(stale);
    assert_int_equal(at.state, FO_FOUND_FREED);
    assert_true(fo_region_freed(&at, &freed));
    assert_string_equal(fo_site_file(freed.allocated), "victim.c");
    assert_string_equal(fo_site_file(freed.freed), "first.c");
    assert_in_range(frees_until_it_serves_again(SIZE), 1, 40);
    walk();
}

FRESH(without_a_quarantine_the_addresses_of_a_large_block_serve_at_once)
{
    start("QUARANTINE=0", NULL);
    assert_in_range(frees_until_it_serves_again(100000), 1, 1);
    walk();
}

FRESH(without_a_quarantine_a_slot_serves_again_at_once)
{
    start("QUARANTINE=0", NULL);
    for (int i = 0; i < 1000; i++)
        frees_until_it_serves_again(24);
    assert_in_range(frees_until_it_serves_again(24), 1, 200);
    walk();
}

/* Allocations follow the frees in one magazine; its first slots are enough. */
FRESH(without_a_quarantine_few_slots_take_turns_in_the_order_of_their_frees)
{
    enum { LIVE = 10, FEW = 16, TURNS = 3000 };
    void *live[LIVE];
    const void *freed[TURNS];

    start("QUARANTINE=0", NULL);
    for (int i = 0; i < LIVE; i++)
        live[i] = fo_malloc(24, "a.c", 1);
    for (int i = 0; i < TURNS; i++) {
        freed[i] = live[i % LIVE];
        fo_free(live[i % LIVE], "f.c", 1);
        live[i % LIVE] = fo_malloc(24, "a.c", 1);
    }
    for (int i = 1; i < FEW; i++)
        assert_ptr_not_equal(freed[i], freed[0]);
    for (int i = FEW; i < TURNS; i++)
        assert_ptr_equal(freed[i], freed[i - FEW]);
    free_blocks(live, LIVE);
    walk();
}

/* Not one slot each time, through the slow path. */
FRESH(after_a_free_the_next_fresh_slots_come_more_than_one_at_a_time)
{
    const struct fo_bin *bin;
    unsigned refills = 0;

    start("QUARANTINE=0", NULL);
    for (int i = 0; i < 16; i++)
        fo_malloc(24, "a.c", 1);
    fo_free(fo_malloc(24, "a.c", 1), "f.c", 1);
    bin = &fo_thread.cache->bins[fo_region_class_of(24)];
    for (int i = 0; i < 500; i++) {
        refills += bin->take->payload == 0;
        fo_malloc(24, "a.c", 1);
    }
    assert_in_range(refills, 1, 12);
    walk();
}

static int by_address(const void *a, const void *b)
{
    uintptr_t left = *(const uintptr_t *)a, right = *(const uintptr_t *)b;

    return (left > right) - (left < right);
}

FRESH(after_a_burst_few_blocks_take_turns_and_none_went_to_other_threads)
{
    enum { BURST = 1200, LATER = 5000 };
    static void *burst[BURST];
    static uintptr_t later[LATER];
    unsigned class = fo_region_class_of(24);
    int different = 1;

    start(NULL);
    for (int round = 0; round < 3; round++) { /* the first burst goes back to its pages */
        for (int i = 0; i < BURST; i++)
            burst[i] = fo_malloc(24, "a.c", 1);
        free_blocks(burst, BURST);
    }
    const struct fo_set full = fo_full_magazines(class);
    assert_false(fo_set_is_longer(&full, fo_region->magazines, 0));
    for (int i = 0; i < LATER; i++) {
        later[i] = (uintptr_t)fo_malloc(24, "a.c", 2);
        fo_free((void *)later[i], "f.c", 2);
    }
    qsort(later, LATER, sizeof *later, by_address);
    for (int i = 1; i < LATER; i++)
        different += later[i] != later[i - 1];
    assert_in_range(different, 100, BURST * 2 / 3);
    walk();
}

/* As in a short process at its end: cells for all its blocks would be a tenth of its memory. */
FRESH(a_burst_that_is_not_repeated_takes_few_magazines)
{
    enum { COUNT = 4000 };
    static void *blocks[COUNT];
    unsigned class = fo_region_class_of(24);

    start(NULL);
    for (int i = 0; i < COUNT; i++)
        blocks[i] = fo_malloc(24, "a.c", 1);
    uint32_t before = fo_region->magazines;
    free_blocks(blocks, COUNT);
    uint32_t cells = fo_layout.class[class].cells[1], keep = fo_thread.cache->bins[class].keep;
    assert_in_range(fo_region->magazines - before, 1, 2 * (keep + 4));
    assert_in_range(keep + 4, 1, COUNT / cells / 4);
    walk();
}

/* At the end of a process a magazine is a page that nobody needs again. */
FRESH(openssl_cleanup_frees_with_few_magazines_and_each_block_is_named)
{
    enum { COUNT = 4000 };
    static void *blocks[COUNT];
    struct fo_freed freed;

    start(NULL);
    for (int i = 0; i < COUNT; i++)
        blocks[i] = fo_malloc(24, "a.c", 1);
    uint32_t before = fo_region->magazines;
    fo_thread.cleans_up = true;
    free_blocks(blocks, COUNT);
    fo_thread.cleans_up = false;
    assert_in_range(fo_region->magazines - before, 0, 6);
    for (int i = 0; i < COUNT; i++) {
        struct fo_at at = fo_region_at((uintptr_t)blocks[i]);
        assert_int_equal(at.state, FO_FOUND_FREED);
        assert_true(fo_region_freed(&at, &freed));
        assert_string_equal(fo_site_file(freed.allocated), "a.c");
    }
    assert_int_equal(walk().live, 0);
}

FRESH(what_waits_is_no_more_than_the_option_says)
{
    enum { COUNT = 4000 };
    static void *blocks[COUNT];
    static const char *const options[] = {"BACKEND=arena", "QUARANTINE=4M", NULL};

    fixture_start_with(options);
    for (int round = 0; round < 3; round++)
        for (size_t size = 16; size <= 4096; size *= 2) {
            for (int i = 0; i < COUNT; i++)
                blocks[i] = fo_malloc(size, "a.c", 1);
            free_blocks(blocks, COUNT);
        }
    size_t bytes = 0;
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++)
        bytes += (size_t)(fo_thread.cache->bins[c].queued + fo_thread.cache->bins[c].readied) *
                 fo_layout.class[c].cells[1] * fo_class_slot(c);
    assert_in_range(bytes, 1, fo_options.quarantine);
    walk();
}

/* A burst of frees fills the magazines that the burst of allocations has emptied. */
FRESH(empty_magazines_are_kept_for_the_next_burst)
{
    enum { COUNT = 1000, SIZE = 48 };
    static void *blocks[COUNT];

    start("QUARANTINE=0", NULL);
    fo_free(fo_malloc(SIZE, "a.c", 1), "f.c", 1);
    struct fo_bin *bin = &fo_thread.cache->bins[fo_region_class_of(SIZE)];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            blocks[i] = fo_malloc(SIZE, "a.c", 1);
        if (round == 2)
            assert_in_range(bin->spares, COUNT / 63 - 2, bin->most_spares);
        free_blocks(blocks, COUNT);
    }
    assert_in_range(bin->spares, 0, 2);
    walk();
    struct fo_walk w;
    bin->spares += 2; /* more than a killed owner can have miscounted */
    assert_true(fo_blocks_walk(&w, NULL, NULL) && w.wrong == 1);
    bin->spares -= 2;
}

FRESH(all_bins_together_keep_a_part_of_the_empty_magazines)
{
    enum { COUNT = 1000 };
    static void *blocks[COUNT];
    uint32_t spares = 0;

    fixture_start("BACKEND=shm", "SHM_SIZE=64M", "QUARANTINE=0", NULL);
    for (size_t size = 16; size <= 512; size += 16)
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < COUNT; i++)
                blocks[i] = fo_malloc(size, "a.c", 1);
            if (round == 0)
                free_blocks(blocks, COUNT);
        }
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++)
        spares += fo_thread.cache->bins[c].spares;
    assert_in_range(spares, 1, fo_layout.magazine_count / 4);
    walk();
}

FRESH(without_any_other_magazine_one_of_another_size_serves)
{
    enum { COUNT = 1000 };
    static void *blocks[COUNT];

    start("QUARANTINE=0", NULL);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++)
            blocks[i] = fo_malloc(48, "a.c", 1);
        if (round == 0)
            free_blocks(blocks, COUNT);
    }
    for (unsigned i = 0; i < 2; i++) {
        const struct fo_set spares = fo_spare_magazines(i != 0);
        while (fo_set_take(&spares, fo_region->magazines) != 0)
            ;
    }
    fo_layout.magazine_count = fo_region->magazines;
    void *p = fo_malloc(1000, "b.c", 1);
    assert_true(fo_region_contains((uintptr_t)p));
    fo_free(p, "f.c", 1);
    free_blocks(blocks, COUNT);
    walk();
    for (size_t size = 1500; size <= 3000; size += 500) { /* from magazines with freed blocks */
        p = fo_malloc(size, "b.c", 1);
        assert_true(fo_region_contains((uintptr_t)p));
        fo_free(p, "f.c", 1);
    }
    assert_int_equal(walk().live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_serves_again_after_those_that_were_freed_before),
        cmocka_unit_test(of_large_blocks_the_newest_that_has_waited_serves_first),
        cmocka_unit_test(a_large_block_is_named_though_others_of_its_size_came_since),
        cmocka_unit_test(without_a_quarantine_the_addresses_of_a_large_block_serve_at_once),
        cmocka_unit_test(without_a_quarantine_a_slot_serves_again_at_once),
        cmocka_unit_test(without_a_quarantine_few_slots_take_turns_in_the_order_of_their_frees),
        cmocka_unit_test(after_a_free_the_next_fresh_slots_come_more_than_one_at_a_time),
        cmocka_unit_test(after_a_burst_few_blocks_take_turns_and_none_went_to_other_threads),
        cmocka_unit_test(a_burst_that_is_not_repeated_takes_few_magazines),
        cmocka_unit_test(openssl_cleanup_frees_with_few_magazines_and_each_block_is_named),
        cmocka_unit_test(what_waits_is_no_more_than_the_option_says),
        cmocka_unit_test(empty_magazines_are_kept_for_the_next_burst),
        cmocka_unit_test(all_bins_together_keep_a_part_of_the_empty_magazines),
        cmocka_unit_test(without_any_other_magazine_one_of_another_size_serves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
