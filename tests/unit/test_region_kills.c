/* Is the heap of backend shm whole after a process was killed at any instruction? */
#include <sys/mman.h>

#include "kills.h"

static void make_first_ones(void)
{
    hold(0, 3, 96);
    hold(3, 4, 20000);
}

FRESH(killed_while_it_takes_from_a_fresh_page)
{
    start(NULL);
    block(16);
    kill_at_each_step(&(struct operation){nothing, make_first_ones});
}

static void nothing_at_all(void)
{
}

static void make_one(void)
{
    fo_malloc(96, "new.c", 1);
}

/* The next process makes it. */
FRESH(killed_while_it_makes_its_cache)
{
    start(NULL);
    block(16);
    kill_at_each_step(&(struct operation){nothing_at_all, make_one});
    assert_in_range(fo_region->caches, 2, 3);
}

/* More of them than must wait: one of these serves again. */
static void free_large_ones(void)
{
    hold(0, 6, 20000);
    free_held(0, 6);
}

static void make_a_large_one(void)
{
    hold(0, 1, 20000);
}

FRESH(killed_while_it_makes_a_large_block)
{
    start("QUARANTINE=0", NULL);
    block(16);
    kill_at_each_step(&(struct operation){nothing, make_a_large_one});
    kill_at_each_step(&(struct operation){free_large_ones, make_a_large_one});
}

static void make_two_large_ones(void)
{
    hold(0, 2, 20000);
}

static void free_two(void)
{
    free_held(0, 2);
}

/* As many wait as may keep their memory: the memory of the oldest is decommitted. */
FRESH(killed_while_it_frees_a_large_block)
{
    start("QUARANTINE=0", NULL);
    for (int i = 0; i < 2; i++) {
        hold(0, 40, 20000);
        free_held(0, 40);
    }
    kill_at_each_step(&(struct operation){make_two_large_ones, free_two});
}

/* The runs that were freed are taken first. */
FRESH(killed_while_it_takes_fresh_pages)
{
    start("QUARANTINE=0", NULL);
    block(16);
    kill_at_each_step(&(struct operation){make_a_large_one, make_a_large_one});
}

static void free_most(void)
{
    hold(0, 60, FEW_TO_A_PAGE);
    free_held(0, 48);
}

static void free_the_rest(void)
{
    free_held(48, 60);
}

FRESH(killed_while_magazines_go_to_all_and_pages_become_free)
{
    start("QUARANTINE=0", NULL);
    block(16);
    kill_at_each_step(&(struct operation){free_most, free_the_rest});
}

static void free_nearly_all(void)
{
    free_most();
    free_held(48, 57);
}

static void free_the_last(void)
{
    free_held(57, 60);
}

FRESH(killed_while_it_frees_what_is_wiped)
{
    start("QUARANTINE=0", "WIPE=1", NULL);
    block(16);
    kill_at_each_step(&(struct operation){free_nearly_all, free_the_last});
}

/* So many pages that some are idle before the last blocks are freed: each page that becomes empty
 * then evicts the oldest idle one, whose memory is decommitted. */
enum { EACH = 8000, PAGES = FO_IDLE + 12, BLOCKS = PAGES * (FO_PAGE_SIZE / EACH), LAST = 40 };

static void *burst[BLOCKS];
static unsigned *without_memory; /* pages, before the last blocks are freed */

static unsigned count_without_memory(void)
{
    unsigned count = 0;

    for (uint32_t page = 1; page < fo_region->pages; page++)
        count += fo_page_at(page)->used == 0 && fo_page_at(page)->ever != 0;
    return count;
}

static void free_burst(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        fo_free(burst[i], "burst.c", 2);
}

static void make_burst(void)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        burst[i] = fo_malloc(EACH, "burst.c", 1);
    free_burst(0, BLOCKS - LAST);
    *without_memory = count_without_memory();
}

static void end_burst(void)
{
    free_burst(BLOCKS - LAST, BLOCKS);
}

FRESH(killed_while_pages_give_their_memory_back)
{
    start("QUARANTINE=0", NULL);
    without_memory = mmap(NULL, sizeof *without_memory, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(without_memory, MAP_FAILED);
    block(16);
    const struct operation o = {make_burst, end_burst};
    assert_false(kill_after(&o, UINT_MAX)); /* once to its end */
    assert_true(count_without_memory() > *without_memory);
    kill_at_each_step(&o);
}

static void take_again(void)
{
    hold(0, 30, FEW_TO_A_PAGE);
}

FRESH(killed_while_it_takes_what_others_freed)
{
    start("QUARANTINE=0", NULL);
    block(16);
    free_most();
    free_the_rest();
    kill_at_each_step(&(struct operation){nothing, take_again});
}

/* For this size a magazine has three cells: allocations and frees use one magazine, then two, then
 * one again. */
enum { THREE_TO_A_MAGAZINE = 600 };

static void make_some(void)
{
    hold(0, 5, THREE_TO_A_MAGAZINE);
}

static void free_and_make_in_turns(void)
{
    for (unsigned i = 0; i < 5; i++) {
        free_held(i, i + 1);
        hold(i, i + 1, THREE_TO_A_MAGAZINE);
    }
    free_held(0, 5);
    make_some();
}

FRESH(killed_while_allocations_follow_frees)
{
    start("QUARANTINE=0", NULL);
    block(16);
    kill_at_each_step(&(struct operation){make_some, free_and_make_in_turns});
}

/* As a thread without a cache of its own: each call borrows one. */
static void own_nothing(void)
{
    nothing();
    hold(0, 4, 96);
    fo_cache_leave();
}

static void borrow(void)
{
    free_held(0, 3);
    hold(0, 1, 600);
    hold(1, 2, 20000);
    free_held(0, 2);
    assert_null(fo_cache_own());
}

FRESH(killed_while_it_borrows_a_cache)
{
    start("QUARANTINE=0", NULL);
    block(16);
    const struct operation o = {own_nothing, borrow};
    assert_false(kill_after(&o, UINT_MAX)); /* once to its end */
    assert_int_equal(fo_region->lent, 1);
    kill_at_each_step(&o);
    assert_in_range(fo_region->lent, 1, 2);
}

static void adopt_orphans(void)
{
    fo_caches_reclaim();
}

static void free_and_die(void *unused)
{
    (void)unused;
    free_most();
    free_the_rest();
    kill(getpid(), SIGKILL);
}

static void leave_an_orphan(void)
{
    nothing();
    fork_and_wait(free_and_die, NULL);
}

FRESH(killed_while_it_adopts_what_a_killed_process_left)
{
    start(NULL);
    block(16);
    kill_at_each_step(&(struct operation){leave_an_orphan, adopt_orphans});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_while_it_takes_from_a_fresh_page),
        cmocka_unit_test(killed_while_it_makes_its_cache),
        cmocka_unit_test(killed_while_it_makes_a_large_block),
        cmocka_unit_test(killed_while_it_frees_a_large_block),
        cmocka_unit_test(killed_while_it_takes_fresh_pages),
        cmocka_unit_test(killed_while_magazines_go_to_all_and_pages_become_free),
        cmocka_unit_test(killed_while_pages_give_their_memory_back),
        cmocka_unit_test(killed_while_it_frees_what_is_wiped),
        cmocka_unit_test(killed_while_it_takes_what_others_freed),
        cmocka_unit_test(killed_while_allocations_follow_frees),
        cmocka_unit_test(killed_while_it_borrows_a_cache),
        cmocka_unit_test(killed_while_it_adopts_what_a_killed_process_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
