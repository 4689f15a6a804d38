/* Is a journal abandoned that was truncated while it is in use, and do bus errors of the program
 * stay with the program? */
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

/* A journal with this mode, which other users may be able to truncate. */
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

FRESH(a_journal_that_is_truncated_meanwhile_is_abandoned)
{
    int fd = start_exposed(0666);

    report(1);
    assert_int_equal(ftruncate(fd, 4096), 0);
    fo_journal->counters.findings++;   /* in the first page, which is left */
    fo_journal->findings[7].count = 1; /* behind the new end */
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

static void exit_from_handler(int number)
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

    signal(SIGBUS, exit_from_handler);
    start_exposed(0666);
    fixture_fork_any(access_behind_the_end, NULL, &status);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_journal_that_is_truncated_meanwhile_is_abandoned),
        cmocka_unit_test(a_journal_of_the_owner_alone_needs_no_handler),
        cmocka_unit_test(other_bus_errors_are_the_programs_own),
        cmocka_unit_test(a_handler_of_the_program_gets_its_bus_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
