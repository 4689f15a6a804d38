/* Are FREEONCE_ variables read as options.def defines them, and is everything else reported? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "options/options.h"
#include "fixture.h"
#include "report/output.h"

/* The complaints about these options. */
static const char *complaints(const char *option, unsigned expected)
{
    static char text[4096];
    int fd = memfd_create("stderr", MFD_CLOEXEC), kept = dup(STDERR_FILENO);

    fixture_options(option, NULL);
    fo_output_open();
    dup2(fd, STDERR_FILENO);
    fo_output_begin(); /* the descriptor counts as the one from the start */
    unsigned n = fo_options_complain();
    dup2(kept, STDERR_FILENO);
    fo_output_begin();
    close(kept);
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    assert_true(length >= 0);
    text[length] = '\0';
    assert_int_equal(n, expected);
    return text;
}

static void expect_refused(const char *option, const char *complaint)
{
    char wanted[512];

    snprintf(wanted, sizeof wanted, "freeonce: %s\n", complaint);
    assert_string_equal(complaints(option, 1), wanted);
}

static void expect_accepted(const char *option)
{
    assert_string_equal(complaints(option, 0), "");
}

static void variables_are_removed(void **state)
{
    char *envp[] = {"FREEONCE_LOG=/a",      "A=1", "FREEONCE_", "FREEONCE=1", "FREEONCE_X=",
                    "_FREEONCE_RUN=0:a:/b", NULL};
    char *none[] = {NULL};

    (void)state;
    fo_options_remove(envp);
    assert_string_equal(envp[0], "A=1");
    assert_string_equal(envp[1], "FREEONCE=1");
    assert_null(envp[2]);
    fo_options_remove(none);
    assert_null(none[0]);
}

static void every_default_is_a_valid_value(void **state)
{
    char unset[1024], set[1024];

    (void)state;
    fo_options_read(NULL);
    assert_int_equal(fo_options_complain(), 0);
    fo_options_list(unset, sizeof unset);
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...)                                \
    expect_accepted(#NAME "=" fallback);                                                           \
    fo_options_list(set, sizeof set);                                                              \
    assert_string_equal(set, unset);
#include "options/options.def"
#undef FO_OPTION
}

static void nothing_set_means_the_defaults(void **state)
{
    static char *nothing[] = {NULL};

    (void)state;
    for (int i = 0; i < 2; i++) {
        fixture_options("QUARANTINE=7", "LOG=/x", "REQUIRE=1", NULL);
        fo_options_read(i == 0 ? NULL : nothing);
        assert_string_equal(fo_options.backend, "auto");
        assert_string_equal(fo_options.log, "stderr");
        assert_false(fo_options.require);
        assert_false(fo_options.verbose);
        assert_int_equal(fo_options.on_error.what, FO_ON_ERROR_SKIP);
        assert_int_equal(fo_options.foreign, FO_FOREIGN_REPORT);
        assert_true(fo_options.quarantine > 7);
        assert_int_equal(fo_options.shared, FO_SHARED_AUTO);
        assert_int_equal(fo_options.cures, FO_CURES_ALL);
    }
}

static void flags_are_0_or_1(void **state)
{
    (void)state;
    expect_accepted("VERBOSE=1");
    assert_true(fo_options.verbose);
    expect_accepted("VERBOSE=0");
    assert_false(fo_options.verbose);
    expect_refused("VERBOSE=2", "FREEONCE_VERBOSE=2 is none of 0|1, ignored");
    expect_refused("STACKS=33", "FREEONCE_STACKS=33: a number from 0 to 32 is needed, ignored");
    expect_refused("QUARANTINE=x", "FREEONCE_QUARANTINE=x: bytes are needed, as 16M, ignored");
    expect_refused("TOMBSTONES=-1", "FREEONCE_TOMBSTONES=-1: a number is needed, ignored");
    complaints("VERBOSE=11", 1);
    complaints("VERBOSE=", 1);
    complaints("VERBOSE=yes", 1);
    assert_false(fo_options.verbose);
}

static void expect_size(const char *option, size_t size)
{
    expect_accepted(option);
    assert_int_equal(fo_options.quarantine, size);
}

static void sizes_take_units(void **state)
{
    (void)state;
    expect_size("QUARANTINE=0", 0);
    expect_size("QUARANTINE=1", 1);
    expect_size("QUARANTINE=4096", 4096);
    expect_size("QUARANTINE=1K", 1 << 10);
    expect_size("QUARANTINE=3k", 3 << 10);
    expect_size("QUARANTINE=16M", 16 << 20);
    expect_size("QUARANTINE=2G", UINT64_C(2) << 30);
    expect_size("QUARANTINE=1023G", UINT64_C(1023) << 30);
}

/* "bytes" describes a value, and is none. */
static void a_description_is_no_suggestion(void **state)
{
    (void)state;
    assert_null(strstr(complaints("QUARANTINE=lots", 1), "did you mean"));
    assert_null(strstr(complaints("STACKS=0 to 33", 1), "did you mean"));
}

static void sizes_out_of_range_are_refused(void **state)
{
    static const char *const wrong[] = {"SHM_SIZE=0", "SHM_SIZE=8191K", "SHM_SIZE=65G"};

    (void)state;
    expect_accepted("SHM_SIZE=8M");
    assert_int_equal(fo_options.shm_size, 8 << 20);
    expect_accepted("SHM_SIZE=64G");
    assert_int_equal(fo_options.shm_size, UINT64_C(64) << 30);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_non_null(
            strstr(complaints(wrong[i], 1), ": bytes from 8M to 64G are needed, as 16M, ignored"));
        assert_int_equal(fo_options.shm_size, UINT64_C(16) << 30);
    }
}

static void other_sizes_are_refused(void **state)
{
    static const char *const wrong[] = {
        "QUARANTINE=",
        "QUARANTINE=K",
        "QUARANTINE=-1",
        "QUARANTINE=1T",
        "QUARANTINE=1KB",
        "QUARANTINE=1 K",
        "QUARANTINE=0x10",
        "QUARANTINE=1.5M",
        "QUARANTINE= 1",
        "QUARANTINE=1024G",
        "QUARANTINE=1099511627776",
        "QUARANTINE=99999999999999999999999999",
        /* these become 0 if 64 bits overflow */
        "QUARANTINE=17179869184G",
        "QUARANTINE=17592186044416M",
        "QUARANTINE=16777216 ",
        "QUARANTINE=0 ",
    };

    (void)state;
    fo_options_read(NULL);
    size_t fallback = fo_options.quarantine;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        complaints(wrong[i], 1);
        assert_int_equal(fo_options.quarantine, fallback);
    }
}

static void choices_are_read_by_name(void **state)
{
    (void)state;
    expect_accepted("FOREIGN=free");
    assert_int_equal(fo_options.foreign, FO_FOREIGN_FREE);
    expect_accepted("SHARED=auto");
    assert_int_equal(fo_options.shared, FO_SHARED_AUTO);
    expect_accepted("SHARED=0");
    assert_int_equal(fo_options.shared, FO_SHARED_NO);
    expect_accepted("SHARED=1");
    assert_int_equal(fo_options.shared, FO_SHARED_YES);
    expect_refused("FOREIGN=fre",
                   "FREEONCE_FOREIGN=fre is none of report|free, ignored; did you mean "
                   "FREEONCE_FOREIGN=free?");
    complaints("FOREIGN=report|free", 1);
    complaints("FOREIGN=", 1);
    complaints("FOREIGN=FREE", 1);
    assert_int_equal(fo_options.foreign, FO_FOREIGN_REPORT);
}

static void cures_are_a_list(void **state)
{
    (void)state;
    expect_accepted("CURES=none");
    assert_int_equal(fo_options.cures, 0);
    expect_accepted("CURES=0");
    assert_int_equal(fo_options.cures, 0);
    expect_accepted("CURES=all");
    assert_int_equal(fo_options.cures, FO_CURES_ALL);
    expect_accepted("CURES=locks");
    assert_int_equal(fo_options.cures, FO_CURE_LOCKS);
    expect_accepted("CURES=identity,state");
    assert_int_equal(fo_options.cures, FO_CURE_IDENTITY | FO_CURE_STATE);
    expect_accepted("CURES=state,exit,locks,identity");
    assert_int_equal(fo_options.cures, FO_CURES_ALL);
    complaints("CURES=state,lock", 1);
    complaints("CURES=state,,exit", 1);
    complaints("CURES=all,state", 1);
    assert_int_equal(fo_options.cures, FO_CURES_ALL);
}

static void actions_take_a_status(void **state)
{
    (void)state;
    expect_accepted("ON_ERROR=abort");
    assert_int_equal(fo_options.on_error.what, FO_ON_ERROR_ABORT);
    expect_accepted("ON_ERROR=exit:0");
    assert_int_equal(fo_options.on_error.what, FO_ON_ERROR_EXIT);
    assert_int_equal(fo_options.on_error.status, 0);
    expect_accepted("ON_ERROR=exit:255");
    assert_int_equal(fo_options.on_error.status, 255);
    complaints("ON_ERROR=exit:256", 1);
    complaints("ON_ERROR=exit:", 1);
    complaints("ON_ERROR=exit", 1);
    complaints("ON_ERROR=exit:-1", 1);
    expect_refused("ON_ERROR=aborted",
                   "FREEONCE_ON_ERROR=aborted is none of skip|abort|exit:N, ignored; did you mean "
                   "FREEONCE_ON_ERROR=abort?");
    assert_int_equal(fo_options.on_error.what, FO_ON_ERROR_SKIP);
}

static void unknown_names_get_the_nearest_one(void **state)
{
    (void)state;
    expect_refused("QUARENTINE=1", "there is no option FREEONCE_QUARENTINE, ignored; did you mean "
                                   "FREEONCE_QUARANTINE?");
    expect_refused("log=x", "there is no option FREEONCE_log, ignored; did you mean FREEONCE_LOG?");
    expect_refused("COMPLETELY_DIFFERENT=1",
                   "there is no option FREEONCE_COMPLETELY_DIFFERENT, ignored");
    complaints("=1", 1);
}

static void other_variables_are_ignored(void **state)
{
    static char *others[] = {"FREEONCE=1", "FREEONC_LOG=x", "freeonce_log=x",
                             "PATH=/bin",  "FREEONCE_LOG",  "XFREEONCE_LOG=x",
                             NULL};

    (void)state;
    fo_options_read(others);
    assert_int_equal(fo_options_complain(), 0);
    assert_string_equal(fo_options.log, "stderr");
}

static void the_command_s_variable_is_no_complaint(void **state)
{
    (void)state;
    expect_accepted("LIBRARY=/opt/libfreeonce.so");
    expect_refused("LIBRAR=1", "there is no option FREEONCE_LIBRAR, ignored");
}

static void text_is_never_a_format(void **state)
{
    (void)state;
    expect_accepted("LOG=/%s%n%d");
    assert_string_equal(fo_options.log, "/%s%n%d");
    assert_non_null(strstr(complaints("%s%n=%s", 1), "no option FREEONCE_%s%n, ignored"));
    assert_non_null(strstr(complaints("REQUIRE=%n%s", 1), "FREEONCE_REQUIRE=%n%s is none of"));
}

static void a_log_is_a_word_or_a_path(void **state)
{
    (void)state;
    expect_accepted("LOG=syslog");
    expect_accepted("LOG=journal");
    expect_accepted("LOG=./no/file");
    assert_string_equal(fo_options.log, "./no/file");
    expect_refused(
        "LOG=sylog",
        "FREEONCE_LOG=sylog is none of stderr|syslog|syslog5424|journald|journal|/path/to/file, "
        "ignored; did you mean FREEONCE_LOG=syslog?");
    assert_string_equal(fo_options.log, "stderr");
    expect_refused("LOG=report.log",
                   "FREEONCE_LOG=report.log is none of "
                   "stderr|syslog|syslog5424|journald|journal|/path/to/file, ignored");
    expect_refused("LOG=", "FREEONCE_LOG= is none of "
                           "stderr|syslog|syslog5424|journald|journal|/path/to/file, ignored");
}

static void overlong_text_is_refused(void **state)
{
    char option[512] = "LOG=/";

    (void)state;
    memset(option + 5, 'x', 254);
    expect_accepted(option);
    assert_int_equal(strlen(fo_options.log), 255);
    option[4 + 255] = 'x';
    const char *warning = complaints(option, 1);
    assert_string_equal(fo_options.log, "stderr");
    assert_null(strstr(warning, "did you mean")); /* nothing is near to it */

    memset(option, 'N', 400); /* the name */
    memcpy(option + 400, "=1", 3);
    complaints(option, 1);
}

static void values_are_copied(void **state)
{
    char log[] = "FREEONCE_LOG=/var/log/a", wrong[] = "FREEONCE_VERBOSE=maybe";
    char *envp[] = {log, wrong, NULL};

    (void)state;
    fo_options_read(envp);
    memset(log, '#', sizeof log); /* as a server that sets its title does */
    memset(wrong, '#', sizeof wrong);
    assert_string_equal(fo_options.log, "/var/log/a");
    fixture_start("LOG=/dev/null", NULL);
    fo_options_read(envp);
    assert_int_equal(fo_options_complain(), 0);
}

static void a_variable_given_twice_counts_as_the_last(void **state)
{
    static char *envp[] = {"FREEONCE_LOG=/a", "FREEONCE_LOG=/b", NULL};

    (void)state;
    fo_options_read(envp);
    assert_string_equal(fo_options.log, "/b");
}

static void many_problems_do_no_harm(void **state)
{
    static char text[100][32];
    static char *envp[101];

    (void)state;
    for (int i = 0; i < 100; i++) {
        snprintf(text[i], sizeof text[i], "FREEONCE_%d=%d", i, i);
        envp[i] = text[i];
    }
    fo_options_read(envp);
    assert_string_equal(fo_options.backend, "auto");
    fixture_options("VERBOSE=1", NULL);
    assert_int_equal(fo_options_complain(), 0); /* the problems of the first reading are gone */
}

static void the_list_names_every_option_with_its_value(void **state)
{
    static const char *const set[] = {"ON_ERROR=exit:3", "CURES=exit,locks", "LOG=/l",
                                      "SHARED=1",        "FOREIGN=free",     NULL};
    char out[1024];

    (void)state;
    fixture_options_with(set);
    fo_options_list(out, sizeof out);
    for (int i = 0; set[i] != NULL; i++)
        assert_non_null(strstr(out, set[i]));
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...)                                \
    assert_non_null(strstr(out, " " #NAME "="));
#include "options/options.def"
#undef FO_OPTION
    fixture_options("ON_ERROR=abort", "CURES=none", "QUARANTINE=1M", NULL);
    fo_options_list(out, sizeof out);
    assert_non_null(strstr(out, " ON_ERROR=abort "));
    assert_non_null(strstr(out, " CURES=none"));
    assert_non_null(strstr(out, " QUARANTINE=1M "));
    assert_non_null(strstr(out, " SHM_SIZE=16G ")); /* as it is written */
    assert_non_null(strstr(out, " TOMBSTONES=2048 "));
    fixture_options("QUARANTINE=1048577", "SHM_SIZE=1536M", NULL);
    fo_options_list(out, sizeof out);
    assert_non_null(strstr(out, " QUARANTINE=1048577 "));
    assert_non_null(strstr(out, " SHM_SIZE=1536M "));
    fixture_options("QUARANTINE=0", "STACKS=0", NULL);
    fo_options_list(out, sizeof out);
    assert_non_null(strstr(out, " QUARANTINE=0 "));
}

static void a_list_that_does_not_fit_is_cut_and_ends(void **state)
{
    char out[64];

    (void)state;
    fo_options_read(NULL);
    for (size_t size = 1; size < 40; size++) {
        memset(out, '#', sizeof out);
        fo_options_list(out, size);
        assert_int_equal(strlen(out), size - 1);
        assert_int_equal(out[size], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_are_removed),
        cmocka_unit_test(every_default_is_a_valid_value),
        cmocka_unit_test(nothing_set_means_the_defaults),
        cmocka_unit_test(flags_are_0_or_1),
        cmocka_unit_test(sizes_take_units),
        cmocka_unit_test(a_description_is_no_suggestion),
        cmocka_unit_test(sizes_out_of_range_are_refused),
        cmocka_unit_test(other_sizes_are_refused),
        cmocka_unit_test(choices_are_read_by_name),
        cmocka_unit_test(cures_are_a_list),
        cmocka_unit_test(actions_take_a_status),
        cmocka_unit_test(unknown_names_get_the_nearest_one),
        cmocka_unit_test(other_variables_are_ignored),
        cmocka_unit_test(the_command_s_variable_is_no_complaint),
        cmocka_unit_test(text_is_never_a_format),
        cmocka_unit_test(a_log_is_a_word_or_a_path),
        cmocka_unit_test(overlong_text_is_refused),
        cmocka_unit_test(values_are_copied),
        cmocka_unit_test(a_variable_given_twice_counts_as_the_last),
        cmocka_unit_test(many_problems_do_no_harm),
        cmocka_unit_test(the_list_names_every_option_with_its_value),
        cmocka_unit_test(a_list_that_does_not_fit_is_cut_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
