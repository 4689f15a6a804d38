/* Is a finding printed once and then counted, in all processes, and is none lost? */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "options/options.h"
#include "fixture.h"
#include "base/say.h"
#include "process/process.h"
#include "report/output.h"
#include "report/record.h"

static struct fo_place place(const char *file, int line)
{
    return (struct fo_place){
        .known = true, .site = fo_site_pack(file, line), .process = fo_process_self()->index};
}

static struct fo_record finding(int line)
{
    return (struct fo_record){
        .kind = FO_FINDING_DOUBLE_FREE,
        .object = "block",
        .answer = "skipped",
        .pointer = 0x1000,
        .block = 0x1000,
        .size = 24,
        .allocated = place("a.c", 1),
        .first = place("b.c", 2),
        .now = place("c.c", line),
    };
}

static void report(int line, unsigned times)
{
    const struct fo_record r = finding(line);

    for (unsigned i = 0; i < times; i++)
        fo_report(&r);
}

static unsigned headlines(void)
{
    return fixture_count("freeonce: double free of block 0x1000 (24 bytes), skipped\n");
}

static unsigned counts(void)
{
    return fixture_count("freeonce: seen ");
}

FRESH(a_finding_is_printed_once)
{
    fixture_start(NULL);
    report(1, 9);
    assert_int_equal(headlines(), 1);
    assert_int_equal(counts(), 0);
}

FRESH(powers_of_ten_are_printed_with_the_places)
{
    fixture_start(NULL);
    report(1, 9);
    fixture_forget();
    report(1, 1);
    assert_int_equal(fixture_count("freeonce: seen 10 times in all processes:\n"), 1);
    assert_int_equal(fixture_count("a.c:1"), 1);
    assert_int_equal(fixture_count("b.c:2"), 1);
    assert_int_equal(fixture_count("c.c:1"), 1);
    report(1, 89);
    assert_int_equal(counts(), 1);
    report(1, 1);
    assert_int_equal(fixture_count("freeonce: seen 100 times"), 1);
    report(1, 900);
    assert_int_equal(fixture_count("freeonce: seen 1000 times"), 1);
    assert_int_equal(counts(), 3);
}

FRESH(the_rest_is_counted_at_the_end)
{
    fixture_start(NULL);
    report(1, 57);
    report(2, 1);
    report(3, 10);
    fixture_forget();
    fo_report_counts();
    assert_int_equal(counts(), 1); /* the other counts were printed already */
    assert_int_equal(fixture_count("freeonce: seen 57 times in all processes:\n"), 1);
    fo_report_counts();
    assert_int_equal(counts(), 1);
}

FRESH(nothing_found_nothing_counted)
{
    fixture_start(NULL);
    fo_report_counts();
    fixture_expect("%s", "");
}

static void before_the_start_there_is_nothing_to_count(void **state)
{
    (void)state;
    fo_report_counts();
}

FRESH(what_differs_in_one_place_or_kind_is_another_finding)
{
    fixture_start(NULL);
    struct fo_record r = finding(1);
    fo_report(&r);
    r.now.site = fo_site_pack("c.c", 2);
    fo_report(&r);
    r.first.site = fo_site_pack("b.c", 3);
    fo_report(&r);
    r.allocated.site = fo_site_pack("a.c", 2);
    fo_report(&r);
    r.operation = FO_OPERATION_REALLOC;
    fo_report(&r);
    r.kind = FO_FINDING_INTERIOR_FREED;
    fo_report(&r);
    assert_int_equal(fixture_count("freeonce: "), 6);
    r.pointer += 16; /* another address or process is the same finding */
    r.block += 16;
    r.now.process = 0;
    fo_report(&r);
    assert_int_equal(fixture_count("freeonce: "), 6);
}

enum { TABLE = 1024 };

FRESH(findings_beyond_the_table_are_printed_each_time)
{
    fixture_start(NULL);
    for (int line = 1; line <= TABLE; line++)
        report(line, 2);
    assert_int_equal(headlines(), TABLE);
    report(TABLE + 1, 3);
    assert_int_equal(headlines(), TABLE + 3);
    report(7, 8); /* up to its tenth time */
    assert_int_equal(fixture_count("freeonce: seen 10 times"), 1);
}

/* A program with always new findings must not fill the disk, and none is lost without a count. */
FRESH(a_flood_of_different_findings_is_bounded_and_counted)
{
    enum { FLOOD = 20000 }; /* all of them would take a quarter of an hour to print */
    unsigned long left_out = 0;

    fixture_start(NULL);
    for (int line = 1; line <= TABLE + FLOOD; line++)
        report(line, 1);
    fo_report_counts();
    for (const char *at = fixture_log(); (at = strstr(at, " left out: ")) != NULL; at++) {
        const char *start = at;
        while (start[-1] != '\n')
            start--;
        left_out += strtoul(start + strlen("freeonce: "), NULL, 10);
    }
    assert_true(left_out > 0);
    assert_int_equal(headlines() + left_out, TABLE + FLOOD);
    report(7, 9); /* findings in the table are counted as before */
    assert_int_equal(fixture_count("freeonce: seen 10 times"), 1);
}

static void report_four(void *unused)
{
    (void)unused;
    report(1, 4);
}

FRESH(processes_count_together)
{
    fixture_start(NULL);
    report(1, 1);
    for (int i = 0; i < 5; i++)
        fixture_fork(report_four, NULL);
    assert_int_equal(headlines(), 2); /* and once with the count */
    assert_int_equal(fixture_count("freeonce: seen 10 times"), 1);
    fixture_forget();
    fo_report_counts();
    assert_int_equal(fixture_count("freeonce: seen 21 times in all processes:\n"), 1);
}

/* Then each process has counts of its own. */
FRESH(a_fork_without_memory_for_shared_counts_loses_none)
{
    const struct rlimit none = {0, RLIM_INFINITY};
    struct rlimit before;

    fixture_start(NULL);
    report(1, 1);
    getrlimit(RLIMIT_AS, &before);
    setrlimit(RLIMIT_AS, &none);
    fixture_fork(report_four, NULL);
    setrlimit(RLIMIT_AS, &before);
    assert_int_equal(headlines(), 1);
    report(1, 9);
    assert_int_equal(fixture_count("freeonce: seen 10 times"), 1);
    fixture_fork(report_four, NULL); /* now they are shared, with what was counted before */
    fixture_forget();
    fo_report_counts();
    assert_int_equal(fixture_count("freeonce: seen 14 times in all processes:\n"), 1);
}

static void report_57(void *unused)
{
    (void)unused;
    report(1, 57);
}

/* The text of a finding is not shared: the process that found it has printed it. */
FRESH(the_first_process_counts_what_others_have_seen)
{
    fixture_start(NULL);
    fixture_fork(report_57, NULL);
    assert_int_equal(headlines(), 2);
    fixture_forget();
    fo_report_counts();
    fixture_expect("freeonce: findings of other processes were seen 47 more times\n");
}

static void report_and_exit(void *unused)
{
    (void)unused;
    report(1, 1);
    fo_report_counts(); /* as at exit */
}

/* A server with a process for each connection: the same finding in each must not be many lines. */
FRESH(not_each_child_prints_the_count_at_its_exit)
{
    fixture_start(NULL);
    report(1, 1);
    for (int i = 1; i < 50; i++)
        fixture_fork(report_and_exit, NULL);
    fo_report_counts();
    assert_in_range(fixture_count("freeonce: "), 4, 10);
    assert_int_equal(fixture_count("freeonce: seen 50 times"), 1);
}

/* `fd` becomes standard error, and counts as the one from the start. */
static void start_with_stderr(int fd)
{
    fixture_start(NULL);
    memcpy(fo_options.log, "stderr", sizeof "stderr");
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    fo_output_begin();
    fo_output_open();
}

/* A process that counts a finding first and is killed while it prints it must not silence the
 * others.  Here it is killed by a read of the object's name. */
FRESH(a_reporter_that_is_killed_does_not_silence_the_finding)
{
    char *word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int status;

    fixture_start(NULL);
    struct fo_record r = finding(1);
    memcpy(word, "block", sizeof "block");
    r.object = word;
    fo_report_before_fork();
    pid_t child = fork();
    if (child == 0) {
        mprotect(word, 4096, PROT_NONE);
        signal(SIGSEGV, SIG_DFL);
        fo_report(&r);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(headlines(), 0);
    for (int i = 0; i < 9; i++)
        fo_report(&r);
    assert_true(headlines() > 0);
}

/* The program would not have written to this pipe, so the report must not kill it. */
FRESH(a_report_into_a_pipe_without_a_reader_does_not_kill_the_process)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    signal(SIGPIPE, SIG_DFL);
    start_with_stderr(ends[1]);
    close(ends[0]);
    report(1, 1);
}

static void fill(int pipe_end)
{
    static const char block[4096];

    fcntl(pipe_end, F_SETFL, O_NONBLOCK);
    while (write(pipe_end, block, sizeof block) > 0)
        ;
    fcntl(pipe_end, F_SETFL, 0);
}

static const char *drain(int pipe_end)
{
    static char text[128 * 1024];
    ssize_t n = read(pipe_end, text, sizeof text - 1);

    assert_true(n > 0);
    text[n] = '\0';
    return text;
}

static void report_line(void *line)
{
    report(*(int *)line, 1);
}

/* The next report that can be printed has the number of those that could not, in all processes. */
FRESH(what_does_not_fit_into_a_pipe_is_counted)
{
    int ends[2], line = 3;

    assert_int_equal(pipe(ends), 0);
    start_with_stderr(ends[1]);
    fill(ends[1]);
    report(1, 1);
    report(2, 1);
    fixture_fork(report_line, &line);
    fo_say_words("a message", NULL);
    drain(ends[0]);
    report(4, 1);
    const char *text = drain(ends[0]);
    assert_non_null(
        strstr(text, "freeonce: 3 findings and 1 message could not be printed\nfreeonce: double"));
    assert_non_null(strstr(text, "c.c:4"));
    assert_null(strstr(text, "c.c:3"));
    report(5, 1);
    assert_null(strstr(drain(ends[0]), "could not"));    /* it was reported once */
    assert_int_equal(fcntl(ends[1], F_GETFL), O_WRONLY); /* the program's flags are unchanged */
}

FRESH(what_could_not_be_printed_is_counted_at_the_end)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    start_with_stderr(ends[1]);
    fill(ends[1]);
    report(1, 1);
    fo_report_counts();
    drain(ends[0]);
    fo_report_counts();
    assert_string_equal(drain(ends[0]), "freeonce: 1 finding could not be printed\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_the_start_there_is_nothing_to_count),
        cmocka_unit_test(a_finding_is_printed_once),
        cmocka_unit_test(powers_of_ten_are_printed_with_the_places),
        cmocka_unit_test(the_rest_is_counted_at_the_end),
        cmocka_unit_test(nothing_found_nothing_counted),
        cmocka_unit_test(what_differs_in_one_place_or_kind_is_another_finding),
        cmocka_unit_test(findings_beyond_the_table_are_printed_each_time),
        cmocka_unit_test(a_flood_of_different_findings_is_bounded_and_counted),
        cmocka_unit_test(processes_count_together),
        cmocka_unit_test(a_fork_without_memory_for_shared_counts_loses_none),
        cmocka_unit_test(the_first_process_counts_what_others_have_seen),
        cmocka_unit_test(not_each_child_prints_the_count_at_its_exit),
        cmocka_unit_test(a_reporter_that_is_killed_does_not_silence_the_finding),
        cmocka_unit_test(a_report_into_a_pipe_without_a_reader_does_not_kill_the_process),
        cmocka_unit_test(what_does_not_fit_into_a_pipe_is_counted),
        cmocka_unit_test(what_could_not_be_printed_is_counted_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
