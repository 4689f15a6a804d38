/* Is the heap of backend shm whole after a process was killed while it reclaimed pages? */
#include "kills.h"

/* Three pages of one size and one of another, in magazines and in their pages. */
static void free_two_sizes(void)
{
    hold(0, 48, FEW_TO_A_PAGE);
    hold(48, 60, 600);
    free_held(0, 60);
}

FRESH(killed_while_pages_of_slots_become_runs)
{
    start("QUARANTINE=0", NULL);
    block(16);
    const struct operation o = {free_two_sizes, fo_region_make_room};
    assert_false(kill_after(&o, UINT_MAX)); /* once to its end */
    for (uint32_t page = 1, slots = 0; page < fo_region->pages; page++) {
        slots += fo_has_slots(fo_page_state(fo_page_at(page)));
        assert_in_range(slots, 0, 1); /* that of block(16) */
    }
    kill_at_each_step(&o);
}

/* Blocks of one page each, side by side. */
static void free_neighbours(void)
{
    hold(0, 8, 20000);
    free_held(0, 8);
    fo_large_evict_warm();
}

static void join_neighbours(void)
{
    fo_run_join(4);
}

static unsigned count_free_runs(uint32_t pages)
{
    unsigned count = 0;

    for (uint32_t page = 1; page < fo_region->pages; page = fo_next_run(page))
        count += fo_page_state(fo_page_at(page)) == FO_PAGE_FREE && fo_run_at(page) == pages;
    return count;
}

static void join_all(void)
{
    nothing();
    while (fo_run_join(4))
        ;
}

static void take_one_page(void)
{
    fo_run_release(fo_run_take(1));
}

/* Afterwards all runs have four pages, and each page was used. */
static void fill_with_runs(void)
{
    void *p[200];
    unsigned count = 0;

    while (count < 200 && (p[count] = fo_malloc(250000, "new.c", 1)) != NULL)
        count++;
    while (fo_malloc(20000, "new.c", 1) != NULL)
        ;
    for (unsigned i = 0; i < count; i++)
        fo_free(p[i], "free.c", 1);
}

static void start_with_runs_only(void)
{
    fixture_start("BACKEND=shm", "SHM_SIZE=8M", "QUARANTINE=0", NULL);
    block(16);
    fill_with_runs();
    fixture_forget();
}

static void free_a_page(void)
{
    hold(0, 2, FEW_TO_A_PAGE);
    free_held(0, 2);
    fo_cache_drain();
}

static void dissolve_pages(void)
{
    for (uint32_t page = 1; fo_page_is_used(page); page = fo_next_run(page))
        fo_slots_dissolve(page);
}

FRESH(killed_while_a_page_of_slots_becomes_a_run)
{
    start("QUARANTINE=0", NULL);
    block(16);
    kill_at_each_step(&(struct operation){free_a_page, dissolve_pages});
}

FRESH(killed_while_neighbours_become_one_run)
{
    start_with_runs_only();
    const struct operation o = {free_neighbours, join_neighbours};
    unsigned before = count_free_runs(4);
    assert_false(kill_after(&o, UINT_MAX)); /* once to its end */
    assert_int_equal(count_free_runs(4), before - 1);
    kill_at_each_step(&o);
}

FRESH(killed_while_a_run_becomes_two)
{
    start_with_runs_only();
    const struct operation o = {join_all, take_one_page};
    assert_int_equal(count_free_runs(1), 0);
    assert_false(kill_after(&o, UINT_MAX)); /* once to its end */
    assert_int_equal(count_free_runs(1), 2);
    kill_at_each_step(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_while_pages_of_slots_become_runs),
        cmocka_unit_test(killed_while_a_page_of_slots_becomes_a_run),
        cmocka_unit_test(killed_while_neighbours_become_one_run),
        cmocka_unit_test(killed_while_a_run_becomes_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
