/* Does the journal have each finding of each process, however many there are, in complete rows? */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/memory.h"
#include "options/options.h"
#include "fixture.h"
#include "process/process.h"
#include "report/journal.h"
#include "report/record.h"

/* With a journal that is unlinked already. */
static void start(void)
{
    char path[] = "/tmp/freeonce-unit-XXXXXX", option[64];
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    snprintf(option, sizeof option, "JOURNAL=%s", path);
    fixture_start(option, NULL);
    unlink(path);
    assert_non_null(fo_journal);
}

static struct fo_place place(const char *file, int line)
{
    return (struct fo_place){
        .known = true, .site = fo_site_pack(file, line), .process = fo_process_self()->index};
}

static struct fo_record finding_in(const char *file, int line)
{
    return (struct fo_record){
        .kind = FO_FINDING_DOUBLE_FREE,
        .object = "SSL_CTX",
        .answer = "skipped",
        .pointer = 0x1000,
        .block = 0x1000,
        .size = 24,
        .allocated = place("a.c", 1),
        .first = place("b.c", 2),
        .now = place(file, line),
    };
}

static void report(const char *file, int line)
{
    const struct fo_record r = finding_in(file, line);
    uint32_t row = 0;

    fo_journal_finding(&r, 1, &row);
}

static const char *text(struct fo_journal_reference reference)
{
    uint32_t row;

    assert_true(fo_journal_refers(reference, FO_JOURNAL_STRINGS, &row));
    return fo_journal->strings[row].text;
}

static bool is_whole(const struct fo_journal_finding *f)
{
    return f->row.state == FO_JOURNAL_WRITTEN &&
           f->row.check ==
               fo_journal_check(&f->first, sizeof *f - offsetof(struct fo_journal_finding, first));
}

/* Rows that are written, each of them complete; *count: the sum of their counts. */
static unsigned rows(uint64_t *count)
{
    unsigned n = 0;

    *count = 0;
    for (int i = 0; i < FO_JOURNAL_FINDINGS; i++) {
        const struct fo_journal_finding *f = &fo_journal->findings[i];
        if (f->row.state != FO_JOURNAL_WRITTEN)
            continue;
        assert_true(is_whole(f));
        *count += f->count;
        n++;
    }
    return n;
}

static struct fo_journal_finding *only_row(void)
{
    for (int i = 0; i < FO_JOURNAL_FINDINGS; i++)
        if (fo_journal->findings[i].row.key != 0)
            return &fo_journal->findings[i];
    fail();
    return NULL;
}

FRESH(a_row_has_what_the_record_has)
{
    start();
    report("c.c", 3);
    const struct fo_journal_finding *f = only_row();
    assert_true(is_whole(f));
    assert_string_equal(text(f->kind), "double-free");
    assert_string_equal(text(f->object), "SSL_CTX");
    assert_string_equal(text(f->answer), "skipped");
    assert_string_equal(text(f->allocated.file), "a.c");
    assert_string_equal(text(f->freed.file), "b.c");
    assert_string_equal(text(f->now.file), "c.c");
    assert_int_equal(f->now.line, 3);
    assert_int_equal(f->now.pid, getpid());
    assert_int_equal(f->size, 24);
    assert_int_equal(f->count, 1);
    const struct fo_journal_process *p = &fo_journal->processes[f->now.process.raw - 1];
    assert_int_equal(p->pid, getpid());
    assert_int_equal(p->row.state, FO_JOURNAL_KEPT);
    assert_string_equal(p->name, "unit");
}

/* In another process the same file name lies at another address. */
FRESH(the_same_words_are_the_same_finding)
{
    static const char first[] = "c.c", second[] = "c.c";
    uint64_t count;

    start();
    report(first, 3);
    report(second, 3);
    assert_int_equal(rows(&count), 1);
    assert_int_equal(count, 2);
    report(second, 4);
    assert_int_equal(rows(&count), 2);
}

FRESH(what_does_not_fit_is_counted)
{
    enum { MORE = 76 };
    uint64_t count;

    start();
    for (int line = 1; line <= FO_JOURNAL_FINDINGS + MORE; line++)
        report("c.c", line);
    assert_int_equal(rows(&count), FO_JOURNAL_FINDINGS);
    assert_int_equal(fo_journal->counters.dropped.findings, MORE);
    assert_int_equal(fo_journal->counters.findings, FO_JOURNAL_FINDINGS + MORE);
    report("c.c", 7); /* this one has a row */
    assert_int_equal(rows(&count), FO_JOURNAL_FINDINGS);
    assert_int_equal(count, FO_JOURNAL_FINDINGS + 1);
}

FRESH(more_names_than_there_is_room_for)
{
    static char names[FO_JOURNAL_STRINGS + 10][16];

    start();
    for (int i = 0; i < FO_JOURNAL_STRINGS + 10; i++) {
        snprintf(names[i], sizeof names[i], "file%d.c", i);
        fo_journal_intern(names[i]);
    }
    assert_true(fo_journal->counters.dropped.strings >= 10);
    assert_int_equal(fo_journal_intern("one more"), 0);
    assert_string_equal(text((struct fo_journal_reference){fo_journal_intern("file5.c")}),
                        "file5.c");
}

FRESH(a_name_that_is_long_is_cut)
{
    char name[300];

    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    start();
    const struct fo_journal_string *s = &fo_journal->strings[fo_journal_intern(name) - 1];
    assert_int_equal(strlen(s->text), sizeof s->text - 1);
}

/* As a server does that forks for each connection. */
static void enter_process(uint32_t index, uint32_t pid)
{
    fo_hot.tree->processes[index] =
        (struct fo_lineage){.pid = {pid}, .parent = {1}, .name = {"worker"}};
    fo_process_self()->serial = pid; /* another process */
    fo_journal_write_process(index);
}

static unsigned rows_of(uint32_t pid)
{
    unsigned n = 0;

    for (int i = 0; i < FO_JOURNAL_PROCESSES; i++)
        n += fo_journal->processes[i].pid == pid;
    return n;
}

FRESH(rows_of_processes_without_findings_are_evicted)
{
    start();
    enter_process(2, 1000000);
    uint32_t kept = fo_journal_keep_process(2);
    assert_int_not_equal(kept, 0);
    enter_process(3, 1000001);
    for (uint32_t i = 0; i < 3 * FO_JOURNAL_PROCESSES; i++)
        enter_process(4, 2000000 + i);
    assert_int_equal(rows_of(1000000), 1);
    assert_int_equal(fo_journal->processes[kept - 1].pid, 1000000);
    assert_int_equal(rows_of(1000001), 0);
    assert_int_equal(rows_of(2000000 + 3 * FO_JOURNAL_PROCESSES - 1), 1);

    /* A process whose row was evicted gets another when a finding names it. */
    kept = fo_journal_keep_process(3);
    assert_int_not_equal(kept, 0);
    assert_int_equal(fo_journal->processes[kept - 1].pid, 1000001);
    assert_int_equal(fo_journal->counters.dropped.processes, 0);
}

/* Where memory is shared, any process can write the table of processes. */
FRESH(a_row_that_names_none_is_not_followed)
{
    static const uint32_t rows[] = {FO_JOURNAL_PROCESSES + 1, 0x10000000, UINT32_MAX};

    start();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enter_process(2, 1000000);
        fo_hot.tree->processes[2].journal.raw = rows[i];
        uint32_t kept = fo_journal_keep_process(2);
        assert_in_range(kept, 1, FO_JOURNAL_PROCESSES);
        assert_int_equal(fo_journal->processes[kept - 1].pid, 1000000);
        fo_hot.tree->processes[2].journal.raw = rows[i];
        fo_hot.tree->processes[2].parent.raw = rows[i];
        fo_journal_record_guard(FO_JOURNAL_GUARDED, "");
        report("c.c", 1);
    }
}

FRESH(processes_without_a_row_are_counted)
{
    start();
    for (uint32_t i = 0; i < FO_JOURNAL_PROCESSES + 100; i++) {
        enter_process(2, 1000000 + i);
        fo_journal_keep_process(2);
    }
    assert_true(fo_journal->counters.dropped.processes > 0);
    report("c.c", 1); /* the finding is kept */
    assert_true(is_whole(only_row()));
}

/* Its writer was killed between two instructions. */
FRESH(an_unfinished_row_does_not_swallow_the_finding)
{
    uint64_t count;

    start();
    report("c.c", 1);
    struct fo_journal_finding *f = only_row();
    f->row.state = FO_JOURNAL_FREE;
    f->count = 0;
    for (int i = 0; i < 6; i++)
        report("c.c", 1);
    assert_int_equal(f->row.state, FO_JOURNAL_FREE);
    assert_int_equal(rows(&count), 1);
    assert_int_equal(count, 2); /* those after the fourth */
}

/* The writer was not killed, and finishes its row late.  The reader merges both rows. */
FRESH(a_writer_that_was_stopped_for_long_loses_nothing)
{
    uint64_t count;

    start();
    report("c.c", 1);
    struct fo_journal_finding *f = only_row();
    f->row.state = FO_JOURNAL_FREE;
    for (int i = 0; i < 6; i++)
        report("c.c", 1);
    f->row.state = FO_JOURNAL_WRITTEN;
    assert_int_equal(rows(&count), 2);
    assert_int_equal(count, 7);
    report("c.c", 1);
    assert_int_equal(rows(&count), 2);
}

enum { THREADS = 4, CHILDREN = 4, LINES = 50 };
enum { ROUNDS = FIXTURE_TSAN || FIXTURE_ASAN ? 2000 : 20000 };

static void *report_many(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++)
        report("c.c", 1 + i % LINES);
    return NULL;
}

static void many_threads(void)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, report_many, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* How many lines of c.c have a finding. */
static unsigned lines(void)
{
    bool seen[LINES + 1] = {false};
    unsigned n = 0;

    for (int i = 0; i < FO_JOURNAL_FINDINGS; i++) {
        const struct fo_journal_finding *f = &fo_journal->findings[i];
        if (f->row.state != FO_JOURNAL_WRITTEN)
            continue;
        assert_in_range(f->now.line, 1, LINES);
        n += !seen[f->now.line];
        seen[f->now.line] = true;
    }
    return n;
}

FRESH(threads_and_processes_at_once_lose_nothing)
{
    uint64_t count;

    start();
    for (int i = 0; i < CHILDREN; i++)
        if (fork() == 0) {
            fo_process_self();
            many_threads();
            _exit(0);
        }
    many_threads();
    while (wait(NULL) > 0)
        ;
    assert_true(rows(&count) >= LINES); /* more where a writer was stopped for long */
    assert_int_equal(lines(), LINES);
    assert_int_equal(count, (CHILDREN + 1) * THREADS * ROUNDS);
    assert_int_equal(fo_journal->counters.findings, count);
}

FRESH(the_options_of_the_first_process_are_kept)
{
    start();
    struct fo_journal_settings *s = &fo_journal->settings;
    char before[sizeof s->text];
    fo_journal_write_settings();
    assert_non_null(strstr(s->text, " QUARANTINE="));
    assert_int_equal(s->row.state, FO_JOURNAL_WRITTEN);
    assert_int_equal(s->row.check, fo_journal_check(s->text, sizeof s->text));
    fo_journal_write_settings();
    assert_int_equal(s->others, 0);
    memcpy(before, s->text, sizeof before);
    fo_options.fill = !fo_options.fill;
    fo_journal_write_settings();
    assert_int_equal(s->others, 1);
    assert_memory_equal(before, s->text, sizeof before);
    s->row.state = FO_JOURNAL_WRITING; /* its writer was killed */
    fo_journal_write_settings();
    assert_int_equal(s->others, 1);
}

FRESH(without_a_journal_nothing_happens)
{
    fixture_start(NULL);
    assert_null(fo_journal);
    report("c.c", 1);
    fo_journal_write_process(1);
    fo_journal_record_guard(FO_JOURNAL_GUARDED, "");
    fo_journal_write_settings();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_has_what_the_record_has),
        cmocka_unit_test(the_same_words_are_the_same_finding),
        cmocka_unit_test(what_does_not_fit_is_counted),
        cmocka_unit_test(more_names_than_there_is_room_for),
        cmocka_unit_test(a_name_that_is_long_is_cut),
        cmocka_unit_test(rows_of_processes_without_findings_are_evicted),
        cmocka_unit_test(a_row_that_names_none_is_not_followed),
        cmocka_unit_test(processes_without_a_row_are_counted),
        cmocka_unit_test(an_unfinished_row_does_not_swallow_the_finding),
        cmocka_unit_test(a_writer_that_was_stopped_for_long_loses_nothing),
        cmocka_unit_test(threads_and_processes_at_once_lose_nothing),
        cmocka_unit_test(the_options_of_the_first_process_are_kept),
        cmocka_unit_test(without_a_journal_nothing_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
