/* Backend shm after it was full: freed memory serves blocks of any size again. */
#include <stdio.h>

#include "shared_heap.h"

#include "heap/region.h"

static void **chain; /* of all blocks, linked by their first words */

/* Allocate until the heap is full, but at most `most` blocks. */
static unsigned fill(size_t size, unsigned most)
{
    unsigned count = 0;

    for (void *p; count < most && (p = fo_malloc(size, "new.c", 1)) != NULL; count++) {
        *(void **)memset(p, 7, size) = chain;
        chain = p;
    }
    return count;
}

static void free_chain(void)
{
    for (void **p = chain, **next; p != NULL; p = next) {
        next = *p;
        fo_free(p, "free.c", 1);
    }
    chain = NULL;
}

static const size_t mixed[] = {48, 200, 700, 1500, 4000, 8000};

enum { MIXED = sizeof mixed / sizeof *mixed, ALL = 1 << 30 };

/* Each size fills a part of the heap; then all together fill the rest. */
static void fill_with_mixed(void)
{
    for (unsigned i = 0; i < MIXED; i++)
        fill(mixed[i], (unsigned)((1 << 20) / mixed[i]));
    for (unsigned i = 0; i < MIXED; i++)
        fill(mixed[i], ALL);
}

static void check_that_nothing_is_lost(void)
{
    struct fo_walk w = walk();

    assert_int_equal(w.live + w.lost + w.pages_lost + w.magazines_lost, 0);
}

/* How many blocks of this size fit into a new heap. */
static unsigned in_a_fresh_heap(size_t size)
{
    unsigned count;

    fixture_start("BACKEND=shm", "SHM_SIZE=8M", NULL);
    count = fill(size, ALL);
    free_chain();
    return count;
}

enum { RECORD_SIZE = 16584, TURNS = 4 };

static void small_ones_then(size_t size, unsigned least, unsigned most)
{
    fill_with_mixed();
    free_chain();
    unsigned count = fill(size, ALL);
    free_chain();
    if (count < least || count > most)
        print_error("%u blocks of %zu bytes, expected %u to %u\n", count, size, least, most);
    assert_in_range(count, least, most);
    check_that_nothing_is_lost();
}

FRESH(pages_of_small_blocks_serve_record_buffers_again)
{
    unsigned fresh = in_a_fresh_heap(RECORD_SIZE);

    for (int i = 0; i < TURNS; i++)
        small_ones_then(RECORD_SIZE, fresh - 1, fresh);
}

/* Blocks of two pages and more: neighbouring runs are joined, and halved for smaller blocks. */
FRESH(pages_of_small_blocks_serve_blocks_of_many_pages_again)
{
    static const struct {
        size_t size;
        unsigned pages;
    } large[] = {{100000, 2}, {300000, 5}, {1000000, 16}};
    unsigned fresh = in_a_fresh_heap(large[0].size);
    unsigned pages = fo_layout.page_count - 1;
    assert_int_equal(fresh, pages / large[0].pages);
    unsigned slots = fo_layout.class[fo_region_class_of(4000)].slots;

    for (int i = 0; i < 3 * TURNS; i++) {
        unsigned most = pages / large[i % 3].pages;
        small_ones_then(large[i % 3].size, most - 1, most);
        small_ones_then(4000, (pages - 2) * slots, pages * slots);
    }
}

FRESH(pages_of_small_blocks_serve_other_sizes_again)
{
    unsigned fresh[MIXED];

    fixture_start("BACKEND=shm", "SHM_SIZE=8M", NULL);
    for (unsigned i = 0; i < MIXED; i++) {
        fresh[i] = fill(mixed[i], ALL);
        free_chain();
        if (i > 0) /* the first is that of a fresh heap: pages of the same size */
            assert_in_range(fresh[i] * mixed[i], fresh[0] * mixed[0], ALL);
    }
    for (int turn = 0; turn < TURNS; turn++)
        for (unsigned i = 0; i < MIXED; i++)
            small_ones_then(mixed[i], fresh[i] - fresh[i] / 50, fresh[i] + fresh[i] / 50);
}

FRESH(a_joined_run_is_left_whole_while_there_are_others)
{
    in_a_fresh_heap(RECORD_SIZE);
    fo_large_evict_warm();
    assert_true(fo_run_join(2));
    uint32_t one = fo_run_take(1), two = fo_run_take(2);
    assert_int_equal(fo_run_at(one), 1);
    assert_int_equal(fo_run_at(two), 2);
    fo_run_release(one);
    fo_run_release(two);
    check_that_nothing_is_lost();
}

static void *one_of_each[MIXED];
static unsigned class_of_each[MIXED];

static void note_one_of_each(void)
{
    for (void **p = chain; p != NULL; p = *p)
        for (unsigned i = 0; i < MIXED; i++)
            if (fo_word_size(fo_header_of((uintptr_t)p)->word) == mixed[i]) {
                one_of_each[i] = p;
                class_of_each[i] = fo_class_at((uintptr_t)p);
            }
}

static enum fo_page_state state_at(const void *p)
{
    return fo_page_state(fo_page_at(fo_page_number((uintptr_t)p)));
}

static const char *report_of(const void *p)
{
    static char text[100];

    snprintf(text, sizeof text, "double free of block %p, first free no longer known", p);
    return text;
}

/* Of a block in a page that has no slots any more, only the fact is known that it was freed. */
FRESH(a_stale_free_in_a_page_that_has_no_slots_any_more_is_a_double_free)
{
    in_a_fresh_heap(RECORD_SIZE); /* its blocks are not known any more, either */
    fill_with_mixed();
    note_one_of_each();
    free_chain();
    fo_region_make_room();
    fixture_forget();
    for (unsigned i = 0; i < MIXED; i++) {
        assert_int_equal(state_at(one_of_each[i]), FO_PAGE_FREE);
        fo_free(one_of_each[i], "stale.c", (int)i + 1);
        assert_int_equal(fixture_count(report_of(one_of_each[i])), 1);
    }
    check_that_nothing_is_lost();
}

/* A slot of such a page that never had a block is not known at all. */
FRESH(a_free_in_a_page_that_has_no_slots_any_more_of_one_that_had_no_block_is_foreign)
{
    enum { SIZE = 1500, HANDED_OUT = 3, MORE = 3 };
    char *p[HANDED_OUT];

    fixture_start("BACKEND=shm", "SHM_SIZE=8M", NULL);
    for (int i = 0; i < HANDED_OUT; i++)
        p[i] = fo_malloc(SIZE, "new.c", 1);
    ptrdiff_t slot = p[1] - p[0];
    assert_ptr_equal(p[2], p[1] + slot);
    for (int i = 0; i < HANDED_OUT; i++)
        fo_free(p[i], "free.c", 1);
    fo_region_make_room();
    assert_int_equal(state_at(p[0]), FO_PAGE_FREE);
    for (unsigned i = 0; i < HANDED_OUT + MORE; i++)
        fo_free(p[0] + (ptrdiff_t)i * slot, "stale.c", (int)i + 1);
    assert_int_equal(fixture_count("first free no longer known"), HANDED_OUT);
    assert_int_equal(fixture_count("never allocated (unused memory of its heap)"), MORE);
}

/* The pointer is inside a live block now, or inside a block that was freed later. */
FRESH(a_stale_free_in_a_page_that_serves_another_size_harms_nothing)
{
    fixture_start("BACKEND=shm", "SHM_SIZE=8M", NULL);
    fill_with_mixed();
    note_one_of_each();
    free_chain();
    unsigned count = fill(RECORD_SIZE, ALL);
    fixture_forget();
    for (unsigned i = 0; i < MIXED; i++) {
        char *p = (char *)one_of_each[i] + fo_class_slot(class_of_each[i]);
        assert_int_equal(state_at(p), FO_PAGE_BLOCK);
        fo_free(p, "stale.c", (int)i + 1);
        assert_int_equal(fixture_count("stale.c"), i + 1);
    }
    assert_int_equal(walk().live, count);
    free_chain();
    check_that_nothing_is_lost();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_small_blocks_serve_record_buffers_again),
        cmocka_unit_test(pages_of_small_blocks_serve_blocks_of_many_pages_again),
        cmocka_unit_test(pages_of_small_blocks_serve_other_sizes_again),
        cmocka_unit_test(a_joined_run_is_left_whole_while_there_are_others),
        cmocka_unit_test(a_stale_free_in_a_page_that_has_no_slots_any_more_is_a_double_free),
        cmocka_unit_test(
            a_free_in_a_page_that_has_no_slots_any_more_of_one_that_had_no_block_is_foreign),
        cmocka_unit_test(a_stale_free_in_a_page_that_serves_another_size_harms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
