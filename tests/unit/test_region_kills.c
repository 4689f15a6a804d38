/* Is the heap of backend shm whole, whenever somebody is killed?  A child is led through an
 * operation instruction by instruction, and killed at each: at most the block in its hands may be
 * lost. */
#include <limits.h>
#include <sys/mman.h>

#include "shared_heap.h"
#include "stepping.h"

struct operation {
    void (*prepare)(void);
    void (*run)(void);
    unsigned stride; /* instructions from one kill to the next: the way there is led each time */
};

/* False: the operation was over before. */
static bool kill_after(const struct operation *o, unsigned steps)
{
    pid_t child = stepping_start(o->prepare, o->run);

    if (!stepping_lead(child, steps))
        return false;
    stepping_kill(child);
    return true;
}

/* No block is in it, and it does not wait for the next one, either: its memory is wasted. */
static bool is_forgotten(uint32_t page)
{
    const struct fo_page *pg = &fo_region->page[page];
    const uint64_t *back = &fo_region->bitmaps[(size_t)page * FO_BITMAP_WORDS];
    uint32_t count = 0;

    for (unsigned i = 0; i < FO_BITMAP_WORDS; i++)
        count += (uint32_t)__builtin_popcountll(back[i]);
    return fo_page_state(pg) == FO_PAGE_PARTIAL && pg->used != 0 && count == pg->used &&
           (pg->idle == 0 || fo_region->idle[pg->idle - 1] != page);
}

static void check_idle_pages(unsigned steps)
{
    for (uint32_t page = 1; page < fo_region->pages; page++) {
        if (is_forgotten(page))
            print_error("%u instructions, then killed: page %u is forgotten\n", steps, page);
        assert_false(is_forgotten(page));
    }
}

static void kill_at_each_instruction(const struct operation *o)
{
    unsigned stride = o->stride * (SMALL ? 60 : 1);
    uint64_t lost = walk().lost;
    unsigned steps = 1;

    stepping_on_one_processor();
    while (kill_after(o, steps)) {
        fo_caches_reclaim();
        struct fo_walk now = walk();
        if (now.lost > lost + 1)
            print_error("%u instructions, then killed: %u blocks lost\n", steps,
                        (unsigned)(now.lost - lost));
        if (now.pages_lost + now.magazines_lost != 0)
            print_error("%u instructions, then killed: %u pages lost, %u magazines\n", steps,
                        (unsigned)now.pages_lost, (unsigned)now.magazines_lost);
        assert_in_range(now.lost, lost, lost + 1);
        assert_int_equal(now.pages_lost + now.magazines_lost, 0);
        check_idle_pages(steps);
        lost = now.lost;
        steps += stride;
    }
    fixture_expect("%s", "");
}

static void *held[60];

static void hold(unsigned from, unsigned to, size_t size)
{
    for (unsigned i = from; i < to; i++)
        held[i] = fo_malloc(size, "new.c", 1); /* untouched: each byte may count as a step */
}

static void let_go(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        fo_free(held[i], "free.c", 1);
}

static void nothing(void)
{
    fo_free(block(16), "free.c", 1);
}

static void make_first_ones(void)
{
    hold(0, 3, 96);
    hold(3, 4, 20000);
}

FRESH(killed_while_it_takes_from_a_fresh_page)
{
    start(NULL);
    block(16);
    kill_at_each_instruction(&(struct operation){nothing, make_first_ones, 11});
}

static void nothing_at_all(void)
{
}

static void make_one(void)
{
    fo_malloc(96, "new.c", 1);
}

/* Whoever comes next makes it. */
FRESH(killed_while_it_makes_its_cache)
{
    start(NULL);
    block(16);
    kill_at_each_instruction(&(struct operation){nothing_at_all, make_one, 3});
    assert_in_range(fo_region->caches, 2, 3);
}

/* More of them than must stay warm: one of these serves again. */
static void free_large_ones(void)
{
    hold(0, 6, 20000);
    let_go(0, 6);
}

static void make_a_large_one(void)
{
    hold(0, 1, 20000);
}

FRESH(killed_while_it_makes_a_large_block)
{
    start("QUARANTINE=0", NULL);
    block(16);
    kill_at_each_instruction(&(struct operation){nothing, make_a_large_one, SMALL ? 3 : 1});
    kill_at_each_instruction(&(struct operation){free_large_ones, make_a_large_one, SMALL ? 3 : 1});
}

static void make_two_large_ones(void)
{
    hold(0, 2, 20000);
}

static void free_two(void)
{
    let_go(0, 2);
}

/* As many wait as may keep their memory: the oldest goes back to the system. */
FRESH(killed_while_it_frees_a_large_block)
{
    start("QUARANTINE=0", NULL);
    for (int i = 0; i < 2; i++) {
        hold(0, 40, 20000);
        let_go(0, 40);
    }
    kill_at_each_instruction(&(struct operation){make_two_large_ones, free_two, SMALL ? 3 : 1});
}

/* Whatever was freed is taken before. */
FRESH(killed_while_it_takes_fresh_pages)
{
    start("QUARANTINE=0", NULL);
    block(16);
    kill_at_each_instruction(
        &(struct operation){make_a_large_one, make_a_large_one, SMALL ? 3 : 1});
}

/* Of this size, a magazine has two cells, a page sixteen slots, and all threads together ten
 * magazines. */
enum { FEW_TO_A_PAGE = 4000 };

static void free_most(void)
{
    hold(0, 60, FEW_TO_A_PAGE);
    let_go(0, 48);
}

static void free_the_rest(void)
{
    let_go(48, 60);
}

FRESH(killed_while_magazines_go_to_all_and_pages_become_free)
{
    start("QUARANTINE=0", NULL);
    block(16);
    kill_at_each_instruction(&(struct operation){free_most, free_the_rest, 67});
}

static void free_nearly_all(void)
{
    free_most();
    let_go(48, 57);
}

static void free_the_last(void)
{
    let_go(57, 60);
}

FRESH(killed_while_it_frees_what_is_wiped)
{
    start("QUARANTINE=0", "WIPE=1", NULL);
    block(16);
    kill_at_each_instruction(&(struct operation){free_nearly_all, free_the_last, 97});
}

/* So many pages that some are idle before the last blocks are freed: each page that these leave
 * makes the oldest idle one give its memory back. */
enum { EACH = 8000, PAGES = FO_IDLE + 12, BLOCKS = PAGES * (FO_PAGE_SIZE / EACH), LAST = 40 };

static void *burst[BLOCKS];
static unsigned *without_memory; /* pages, before the last blocks are freed */

static unsigned count_without_memory(void)
{
    unsigned count = 0;

    for (uint32_t page = 1; page < fo_region->pages; page++)
        count += fo_region->page[page].used == 0 && fo_region->page[page].ever != 0;
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
    const struct operation o = {make_burst, end_burst, 101};
    assert_false(kill_after(&o, UINT_MAX)); /* whole, once: does it do that? */
    assert_true(count_without_memory() > *without_memory);
    kill_at_each_instruction(&o);
}

static void take_again(void)
{
    hold(0, 30, FEW_TO_A_PAGE);
}

FRESH(killed_while_it_takes_what_others_shared)
{
    start("QUARANTINE=0", NULL);
    block(16);
    free_most();
    free_the_rest();
    kill_at_each_instruction(&(struct operation){nothing, take_again, 67});
}

/* Of this size, a magazine has three cells: takes and frees meet in one, part, and meet again. */
enum { THREE_TO_A_MAGAZINE = 600 };

static void make_some(void)
{
    hold(0, 5, THREE_TO_A_MAGAZINE);
}

static void free_and_make_in_turns(void)
{
    for (unsigned i = 0; i < 5; i++) {
        let_go(i, i + 1);
        hold(i, i + 1, THREE_TO_A_MAGAZINE);
    }
    let_go(0, 5);
    make_some();
}

FRESH(killed_while_allocations_follow_frees)
{
    start("QUARANTINE=0", NULL);
    block(16);
    kill_at_each_instruction(&(struct operation){make_some, free_and_make_in_turns, 5});
}

static void take_over_the_dead(void)
{
    fo_caches_reclaim();
}

static void free_and_vanish(void *unused)
{
    (void)unused;
    free_most();
    free_the_rest();
    kill(getpid(), SIGKILL);
}

static void leave_a_dead_one(void)
{
    nothing();
    fork_and_forget(free_and_vanish, NULL);
}

FRESH(killed_while_it_takes_over_from_somebody_who_was_killed)
{
    start(NULL);
    block(16);
    kill_at_each_instruction(&(struct operation){leave_a_dead_one, take_over_the_dead, 1009});
}

/* Three pages of one size and one of another, in magazines and behind them. */
static void free_two_sizes(void)
{
    hold(0, 48, FEW_TO_A_PAGE);
    hold(48, 60, 600);
    let_go(0, 60);
}

FRESH(killed_while_pages_of_slots_become_runs)
{
    start("QUARANTINE=0", NULL);
    block(16);
    const struct operation o = {free_two_sizes, fo_region_make_room, 211};
    assert_false(kill_after(&o, UINT_MAX)); /* whole, once: does it do that? */
    for (uint32_t page = 1, slots = 0; page < fo_region->pages; page++) {
        slots += fo_has_slots(fo_page_state(&fo_region->page[page]));
        assert_in_range(slots, 0, 1); /* that of block(16) */
    }
    kill_at_each_instruction(&o);
}

/* Of one page each, and side by side. */
static void free_neighbours(void)
{
    hold(0, 8, 20000);
    let_go(0, 8);
    fo_large_cool();
}

static void join_neighbours(void)
{
    fo_run_join(4);
}

static unsigned count_free_runs(uint32_t pages)
{
    unsigned count = 0;

    for (uint32_t page = 1; page < fo_region->pages; page = fo_next_run(page))
        count += fo_page_state(&fo_region->page[page]) == FO_PAGE_FREE &&
                 fo_page_run(&fo_region->page[page]) == pages;
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
    fo_run_give(fo_run_take(1));
}

/* There are only runs of four pages in the end, and no pages that were never used. */
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
    let_go(0, 2);
    fo_cache_spill();
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
    kill_at_each_instruction(&(struct operation){free_a_page, dissolve_pages, 1});
}

FRESH(killed_while_neighbours_become_one_run)
{
    start_with_runs_only();
    const struct operation o = {free_neighbours, join_neighbours, 3};
    unsigned before = count_free_runs(4);
    assert_false(kill_after(&o, UINT_MAX)); /* whole, once: does it do that? */
    assert_int_equal(count_free_runs(4), before - 1);
    kill_at_each_instruction(&o);
}

FRESH(killed_while_a_run_becomes_two)
{
    start_with_runs_only();
    const struct operation o = {join_all, take_one_page, 3};
    assert_int_equal(count_free_runs(1), 0);
    assert_false(kill_after(&o, UINT_MAX)); /* whole, once: does it do that? */
    assert_int_equal(count_free_runs(1), 2);
    kill_at_each_instruction(&o);
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
        cmocka_unit_test(killed_while_it_takes_what_others_shared),
        cmocka_unit_test(killed_while_allocations_follow_frees),
        cmocka_unit_test(killed_while_it_takes_over_from_somebody_who_was_killed),
        cmocka_unit_test(killed_while_pages_of_slots_become_runs),
        cmocka_unit_test(killed_while_a_page_of_slots_becomes_a_run),
        cmocka_unit_test(killed_while_neighbours_become_one_run),
        cmocka_unit_test(killed_while_a_run_becomes_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
