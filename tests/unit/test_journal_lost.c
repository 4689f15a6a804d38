/* Is a journal that was truncated while it is in use given up, and are bus errors of the program
 * its own? */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "process/process.h"
#include "report/journal.h"
#include "report/record.h"

static void report(int line)
{
    const struct fo_record r = {
        .object = "SSL_CTX",
        .answer = "skipped",
        .now = {.known = true,
                .site = fo_site_pack("c.c", line),
                .process = fo_process_self()->index},
    };

    fo_report(&r);
}

/* A journal that others can truncate, and do so after it was asked whether it is whole. */
static int start_exposed(mode_t mode)
{
    char path[] = "/tmp/freeonce-unit-XXXXXX", option[64];
    int fd = mkstemp(path);

    assert_true(fd >= 0 && fchmod(fd, mode) == 0);
    snprintf(option, sizeof option, "JOURNAL=%s", path);
    fixture_start(option, NULL);
    unlink(path);
    assert_non_null(fo_journal);
    return fd;
}

FRESH(a_journal_that_is_truncated_meanwhile_is_given_up)
{
    int fd = start_exposed(0666);

    report(1);
    assert_int_equal(ftruncate(fd, 4096), 0);
    fo_journal->counters.findings++;   /* there still */
    fo_journal->findings[7].count = 1; /* there no more */
    assert_false(fo_journal_is_kept());
    report(2);
    report(3);
    assert_int_equal(fixture_count(" was truncated; findings are not kept there any more\n"), 1);
}

static void (*handler_of_sigbus(void))(int)
{
    struct sigaction action;

    assert_int_equal(sigaction(SIGBUS, NULL, &action), 0);
    return action.sa_handler;
}

FRESH(a_journal_of_the_owner_alone_needs_no_handler)
{
    signal(SIGBUS, SIG_DFL); /* cmocka and sanitizers have handlers of their own */
    start_exposed(0600);
    assert_true(handler_of_sigbus() == SIG_DFL);
}

static void access_behind_the_end(void *unused)
{
    int fd = memfd_create("short", 0);
    volatile char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

    (void)unused;
    _exit(*p == 0 ? 0 : 1);
}

static void leave(int number)
{
    _exit(number == SIGBUS ? 42 : 1);
}

FRESH(other_bus_errors_are_the_programs_own)
{
    int status;

    signal(SIGBUS, SIG_DFL);
    start_exposed(0666);
    assert_true(handler_of_sigbus() != SIG_DFL);
    fixture_fork_any(access_behind_the_end, NULL, &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

FRESH(a_handler_of_the_program_gets_its_bus_errors)
{
    int status;

    signal(SIGBUS, leave);
    start_exposed(0666);
    fixture_fork_any(access_behind_the_end, NULL, &status);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_journal_that_is_truncated_meanwhile_is_given_up),
        cmocka_unit_test(a_journal_of_the_owner_alone_needs_no_handler),
        cmocka_unit_test(other_bus_errors_are_the_programs_own),
        cmocka_unit_test(a_handler_of_the_program_gets_its_bus_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
