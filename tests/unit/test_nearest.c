/* Which word did the user mean?  Only near words may be suggested. */
#include <string.h>

#include "base/nearest.h"
#include "fixture.h"

static void the_distance_counts_edits(void **state)
{
    (void)state;
    assert_int_equal(fo_edit_distance("", ""), 0);
    assert_int_equal(fo_edit_distance("log", "log"), 0);
    assert_int_equal(fo_edit_distance("", "log"), 3);
    assert_int_equal(fo_edit_distance("log", ""), 3);
    assert_int_equal(fo_edit_distance("log", "lag"), 1);
    assert_int_equal(fo_edit_distance("log", "logs"), 1);
    assert_int_equal(fo_edit_distance("log", "og"), 1);
    assert_int_equal(fo_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(fo_edit_distance("abc", "xyz"), 3);
}

static void the_distance_is_the_same_both_ways(void **state)
{
    static const char *const words[] = {"", "a", "quarantine", "quarentine", "tombstones", "LOG"};
    enum { COUNT = sizeof words / sizeof words[0] };

    (void)state;
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < COUNT; k++)
            assert_int_equal(fo_edit_distance(words[i], words[k]),
                             fo_edit_distance(words[k], words[i]));
}

static void case_does_not_count(void **state)
{
    (void)state;
    assert_int_equal(fo_edit_distance("Quarantine", "qUARANTINE"), 0);
    assert_int_equal(fo_edit_distance("[", "{"), 1); /* letters only */
}

static void long_words_are_compared_by_their_first_31_characters(void **state)
{
    char a[200], b[200];

    (void)state;
    memset(a, 'a', sizeof a);
    memset(b, 'a', sizeof b);
    a[sizeof a - 1] = b[50] = '\0';
    assert_int_equal(fo_edit_distance(a, b), 0);
    b[40] = 'x';
    assert_int_equal(fo_edit_distance(a, b), 0);
    b[30] = 'x';
    assert_int_equal(fo_edit_distance(a, b), 1);
}

static void expect(const char *word, const char *choices, const char *nearest)
{
    char out[32] = "untouched";
    bool found = fo_nearest_choice(word, choices, out, sizeof out);

    assert_int_equal(found, nearest != NULL);
    assert_string_equal(out, nearest != NULL ? nearest : "untouched");
}

static void the_nearest_choice_wins(void **state)
{
    (void)state;
    expect("hosts", "auto|host|libc", "host");
    expect("LIBC", "auto|host|libc", "libc");
    expect("atuo", "auto|host|libc", "auto");
    expect("QUARENTINE", "LOG|QUARANTINE|TOMBSTONES|", "QUARANTINE");
    expect("TOMBSTONE", "LOG|QUARANTINE|TOMBSTONES|", "TOMBSTONES");
    expect("LGO", "LOG|QUARANTINE|TOMBSTONES|", "LOG");
    expect("reprot", "run|systemd|report|options", "report");
    expect("aborted", "skip|abort|exit:N", "abort");
}

static void the_first_of_equals_wins(void **state)
{
    (void)state;
    expect("bat", "cat|hat|bar", "cat");
}

static void what_is_far_from_all_is_not_named(void **state)
{
    (void)state;
    expect("jemalloc", "auto|host|libc", NULL);
    expect("xyz", "", NULL);
    expect("", "auto|host|libc", NULL);
    expect("2", "0|1", NULL);
    expect("max", "all|none", NULL);
    expect("exit:256", "skip|abort|exit:N", NULL);
    expect("true", "run|systemd|report|options", NULL);
    expect("completely different", "LOG|QUARANTINE|TOMBSTONES|", NULL);
}

/* Only 31 characters are compared; long words must not be near to everything because of that. */
static void a_long_word_is_not_near_to_everything(void **state)
{
    char word[120];

    (void)state;
    memset(word, 'x', sizeof word);
    word[sizeof word - 1] = '\0';
    expect(word, "stderr|syslog|/path/to/file", NULL);
}

static void a_choice_that_does_not_fit_is_passed_over(void **state)
{
    char out[5] = "-";

    (void)state;
    assert_true(fo_nearest_choice("state", "states|stat", out, sizeof out));
    assert_string_equal(out, "stat");
    assert_false(fo_nearest_choice("states", "states", out, sizeof out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_distance_counts_edits),
        cmocka_unit_test(the_distance_is_the_same_both_ways),
        cmocka_unit_test(case_does_not_count),
        cmocka_unit_test(long_words_are_compared_by_their_first_31_characters),
        cmocka_unit_test(the_nearest_choice_wins),
        cmocka_unit_test(the_first_of_equals_wins),
        cmocka_unit_test(what_is_far_from_all_is_not_named),
        cmocka_unit_test(a_long_word_is_not_near_to_everything),
        cmocka_unit_test(a_choice_that_does_not_fit_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
