/* Is a number that was added to a set found, wherever another process was stopped or killed in it?
 * And of two processes that change the word of a page, does one succeed? */
#include <string.h>
#include <sys/mman.h>

#include "heap/region.h"
#include "fixture.h"
#include "stepping.h"

enum { NUMBERS = 10000, FIRST = 70, SECOND = 71 }; /* of one word */
enum { WORDS = 4, CHUNKS = NUMBERS / 64 / WORDS + 1 };

static struct common {
    uint64_t above[8], chunks[CHUNKS][2 + WORDS]; /* the first two words are not the set's */
    uint32_t taken;
    struct fo_page page;
    bool changed;
} * common;

static uintptr_t chunks[CHUNKS];
static struct fo_set set;

static void prepare(void)
{
    common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(common, MAP_FAILED);
    assert_in_range(fo_set_above(NUMBERS), 1, sizeof common->above / sizeof *common->above);
    for (unsigned i = 0; i < CHUNKS; i++)
        chunks[i] = (uintptr_t)common->chunks[i];
    set = (struct fo_set){common->above, chunks, 2 * sizeof(uint64_t), WORDS, 1, 1};
    stepping_on_one_processor();
}

static void nothing(void)
{
}

static void take(void)
{
    common->taken = fo_set_take(&set, NUMBERS);
}

static void add(void)
{
    fo_set_add(&set, FIRST);
}

static void finish_child(pid_t child)
{
    stepping_detach(child);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void empty(void)
{
    memset(common, 0, sizeof *common);
}

/* A bit of a word above is set, but the word below it is empty. */
static void leave_a_trace(void)
{
    empty();
    fo_set_add(&set, FIRST);
    common->chunks[FIRST / 64 / WORDS][2 + FIRST / 64 % WORDS] = 0;
}

FRESH(what_is_added_while_another_finds_nothing_is_found)
{
    bool stands = true;

    prepare();
    for (unsigned steps = 1; stands; steps++) {
        leave_a_trace();
        pid_t taker = stepping_start(nothing, take);
        stands = stepping_lead(taker, steps);
        fo_set_add(&set, SECOND);
        if (stands)
            finish_child(taker);
        assert_true(common->taken == SECOND || fo_set_take(&set, NUMBERS) == SECOND);
    }
}

/* After the kill the number may be hidden.  The recovery adds it again, and it is found. */
static void killed_then_added(void (*before)(void), void (*run)(void))
{
    bool stands = true;

    for (unsigned steps = 1; stands; steps++) {
        before();
        pid_t child = stepping_start(nothing, run);
        stands = stepping_lead(child, steps);
        if (stands)
            stepping_kill(child);
        fo_set_add(&set, FIRST);
        assert_true(fo_set_has(&set, FIRST));
        assert_int_equal(fo_set_take(&set, NUMBERS), FIRST);
        assert_int_equal(fo_set_take(&set, NUMBERS), 0);
    }
}

FRESH(what_is_added_again_after_a_kill_is_found)
{
    prepare();
    killed_then_added(leave_a_trace, take);
    killed_then_added(empty, add);
}

FRESH(the_lowest_is_taken_first_and_each_once)
{
    prepare();
    for (uint32_t n = NUMBERS - 1; n != 0; n--)
        fo_set_add(&set, n);
    assert_true(fo_set_is_longer(&set, NUMBERS, NUMBERS - 2));
    assert_false(fo_set_is_longer(&set, NUMBERS, NUMBERS - 1));
    for (uint32_t n = 1; n < NUMBERS; n++)
        assert_int_equal(fo_set_take(&set, NUMBERS), n);
    assert_int_equal(fo_set_take(&set, NUMBERS), 0);
    assert_false(fo_set_has(&set, 1));
}

static void change(void)
{
    common->changed = fo_page_change(&common->page, FO_PAGE_PARTIAL, FO_PAGE_FULL);
}

FRESH(of_two_processes_that_change_a_page_one_succeeds)
{
    bool stands = true;

    prepare();
    for (unsigned steps = 1; stands; steps++) {
        common->page.what = fo_what(1, FO_PAGE_PARTIAL);
        pid_t child = stepping_start(nothing, change);
        stands = stepping_lead(child, steps);
        bool changed_here = fo_page_change(&common->page, FO_PAGE_PARTIAL, FO_PAGE_BLOCK);
        if (stands)
            finish_child(child);
        assert_int_not_equal(changed_here, common->changed);
        assert_int_equal(common->page.what,
                         fo_what(1, changed_here ? FO_PAGE_BLOCK : FO_PAGE_FULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_while_another_finds_nothing_is_found),
        cmocka_unit_test(what_is_added_again_after_a_kill_is_found),
        cmocka_unit_test(the_lowest_is_taken_first_and_each_once),
        cmocka_unit_test(of_two_processes_that_change_a_page_one_succeeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
