/* Is every fork noticed, and does each process know its row and its parent? */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/hooks.h"
#include "block/memory.h"
#include "fixture.h"
#include "process/process.h"
#include "process/rows.h"
#include "report/record.h"
#include "shared/shared.h"

static void start(void)
{
    fixture_start(NULL);
    fo_free(fo_malloc(8, "a.c", 1), "a.c", 1); /* the backend is chosen */
}

static const struct fo_lineage *row_of(uint32_t index)
{
    return &fo_hot.tree->processes[index];
}

/* What must be true in each process. */
static void check_self(uint32_t parent)
{
    const struct fo_process *me = fo_process_self();

    assert_int_equal(me->pid, getpid());
    assert_in_range(me->index, 1, FO_PROCESSES - 1);
    assert_int_equal(fo_row_pid(me->index), getpid());
    assert_int_equal(fo_row_parent(me->index), parent);
    assert_string_equal(row_of(me->index)->name.raw, "unit");
    assert_int_equal(fo_word_process(me->meta), me->index);
    assert_int_equal(fo_thread_id_process(fo_thread_id()), me->index);
}

FRESH(the_first_process_has_no_parent)
{
    start();
    check_self(0);
    assert_int_equal(fo_thread_id_number(fo_thread_id()), 0);
    assert_int_equal(fo_row_pid(0), 0);
}

FRESH(the_name_is_the_last_part_of_argv0)
{
    static const char *const names[][2] = {{"/usr/sbin/nginx", "nginx"},
                                           {"nginx: worker", "nginx: worker"},
                                           {"a-name-of-more-than-15", "a-name-of-more-"},
                                           {"", ""},
                                           {NULL, "?"}};

    start();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fo_process_name(names[i][0]);
        pid_t child = fork();
        if (child == 0) {
            assert_string_equal(row_of(fo_process_self()->index)->name.raw, names[i][1]);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
    }
}

static void check_child(void *parent)
{
    check_self(*(uint32_t *)parent);
    assert_int_equal(fo_thread_id_number(fo_thread_id()), 0);
}

static void check_grandchild(void *parent)
{
    check_child(parent);
    uint32_t self = fo_process_self()->index;
    fixture_fork(check_child, &self);
}

FRESH(a_forked_child_knows_its_parent)
{
    start();
    uint32_t self = fo_process_self()->index;
    fixture_fork(check_grandchild, &self);
    check_self(0); /* nothing changed here */
}

/* As with an emulator that answers 0 to MADV_WIPEONFORK. */
FRESH(a_forked_child_is_noticed_though_the_kernel_wipes_nothing)
{
    start();
    uint32_t self = fo_process_self()->index;
    assert_int_equal(madvise(fo_hot.process, (size_t)sysconf(_SC_PAGESIZE), MADV_KEEPONFORK), 0);
    fixture_fork(check_child, &self);
    check_self(0);
}

FRESH(a_child_of_a_raw_clone_is_noticed)
{
    int status;

    start();
    uint32_t self = fo_process_self()->index;
    pid_t child = fixture_clone();
    if (child == -1)
        return;
    if (child == 0) {
        check_child(&self);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    check_self(0);
}

FRESH(a_free_notices_the_fork_by_itself)
{
    int status;

    start();
    void *p = fo_malloc(100, "a.c", 1);
    pid_t child = fixture_clone();
    if (child == -1)
        return;
    if (child == 0) {
        fo_free(p, "b.c", 2);
        fo_free(p, "c.c", 3);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    char who[64];
    snprintf(who, sizeof who, "pid %d (unit), forked from %d\n", child, (int)getpid());
    assert_int_equal(fixture_count(who), 2); /* freed first, freed again */
    fixture_forget();
    fo_free(p, "d.c", 4); /* the copy of the parent is live */
    fixture_expect("%s", "");
}

FRESH(a_child_may_free_what_it_inherited)
{
    enum { COUNT = 2000 };
    static void *blocks[COUNT];
    int status;

    start();
    for (unsigned i = 0; i < COUNT; i++)
        blocks[i] = fo_malloc(1 + i, "a.c", 1);
    for (int c = 0; c < 3; c++) {
        pid_t child = fork();
        if (child == 0) {
            for (unsigned i = 0; i < COUNT; i++)
                fo_free(blocks[i], "b.c", 2);
            _exit(0);
        }
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
    }
    for (unsigned i = 0; i < COUNT; i++)
        fo_free(blocks[i], "c.c", 3);
    fixture_expect("%s", "");
}

enum { GENERATIONS = 60 };

/* Each process forks the next one.  Each finds the rows of all its ancestors. */
static int fork_next(unsigned generation, uint32_t pids[GENERATIONS + 1], uint32_t rows[])
{
    const struct fo_process *me = fo_process_self();

    pids[generation] = me->pid;
    rows[generation] = me->index;
    check_self(generation == 0 ? 0 : rows[generation - 1]);
    for (unsigned i = 0; i <= generation; i++)
        assert_int_equal(fo_row_pid(rows[i]), pids[i]);
    if (generation == GENERATIONS)
        return 0;
    pid_t child = fork();
    int status;
    if (child == 0)
        _exit(fork_next(generation + 1, pids, rows));
    waitpid(child, &status, 0);
    return status != 0;
}

FRESH(a_full_table_takes_rows_again_but_none_of_an_ancestor)
{
    uint32_t pids[GENERATIONS + 1], rows[GENERATIONS + 1];

    start();
    /* After so many forks that the ancestors' rows would be reused while they are needed. */
    fo_hot.tree->processes_used.raw = 2 * (FO_PROCESSES - 1) - 5;
    assert_int_equal(fork_next(0, pids, rows), 0);
}

static void expect_unknown(void *unused)
{
    (void)unused;
    assert_int_equal(fo_process_self()->index, 0);
    assert_int_equal(fo_process_self()->pid, getpid());
    void *p = fo_malloc(10, "a.c", 1);
    fo_free(p, "b.c", 2);
    fo_free(p, "c.c", 3);
    assert_int_equal(fixture_count("pid ?"), 3);
}

FRESH(a_full_table_in_shared_memory_makes_later_processes_unknown)
{
    start();
    fo_hot.shared = true; /* as far as the table is concerned */
    struct fo_lineage before[FO_PROCESSES];
    fo_hot.tree->processes_used.raw = FO_PROCESSES;
    memcpy(before, fo_hot.tree->processes, sizeof before);
    fixture_fork(expect_unknown, NULL);
    assert_memory_equal(before, fo_hot.tree->processes, sizeof before);
}

/* Where memory is shared, any process of the tree can write the table. */
FRESH(rows_with_any_content_are_bounded)
{
    char line[2000];
    struct fo_text t = {line, sizeof line - 1, 0};
    struct fo_record r = {.object = "block", .answer = "skipped"};

    fixture_start(NULL);
    memset(fo_hot.tree->processes, 0xff, sizeof fo_hot.tree->processes);
    for (uint32_t i = 0; i < 3 * FO_PROCESSES; i++) {
        assert_int_equal(fo_row_parent(i), 0);
        assert_int_equal(fo_row_pid(i), UINT32_MAX);
    }
    memcpy(fo_hot.tree->processes[5].name.raw, "x\033[2J\n0123456789", 16);
    fo_hot.tree->processes[5].parent.raw = 6;
    r.now = (struct fo_place){.known = true, .process = 5};
    fo_record_text(&t, &r);
    line[t.used] = '\0';
    assert_non_null(strstr(line, "(x?[2J?0123456789), forked from 4294967295 at 0xffff"));
    fo_report(&r);
    fo_report_counts();
}

/* With the calls of load/fork.c. */
static pid_t fork_from_full_table(void)
{
    fo_hot.tree->processes_used.raw = FO_PROCESSES;
    fo_rows_before_fork(fo_hot.tree, fo_process_self()->index);
    pid_t child = fork();
    if (child != 0)
        fo_rows_after_fork(fo_hot.tree, child);
    return child;
}

static void expect_row(uint32_t row)
{
    int status;
    pid_t child = fork_from_full_table();

    if (child == 0) {
        assert_int_equal(fo_process_self()->index, row);
        assert_true(row == 0 || fo_row_pid(row) == (uint32_t)getpid());
        _exit(0);
    }
    assert_true(row == 0 || fo_row_pid(row) == (uint32_t)child); /* whether it runs yet or not */
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

/* A child in the next row forks another one and exits; returns the pipe that ends that one. */
static int leave_a_grandchild(void)
{
    int end[2], there[2];
    char byte;

    assert_int_equal(pipe(end) + pipe(there), 0);
    pid_t child = fork();
    if (child == 0) {
        fo_process_self();
        if (fork() == 0) {
            fo_process_self();
            close(end[1]);
            if (write(there[1], "!", 1) == 1 && read(end[0], &byte, 1) == 0)
                _exit(0);
        }
        _exit(0);
    }
    assert_int_equal(read(there[0], &byte, 1), 1);
    waitpid(child, NULL, 0);
    return end[1];
}

FRESH(a_full_table_in_shared_memory_takes_rows_of_the_dead_again)
{
    start();
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_true(fo_shared_prepare());
    fo_hot.shared = true; /* as far as the table is concerned */
    uint32_t self = fo_process_self()->index;
    int end = leave_a_grandchild(); /* rows self + 1 and + 2 */
    expect_row(0);                  /* one lives, the other is the parent of a live one */
    close(end);
    assert_true(wait(NULL) > 0);
    expect_row(self + 2);
    expect_row(self + 1);
}

static void *check_thread(void *tid)
{
    uint64_t thread_id = fo_thread_id();

    *(uint32_t *)tid = (uint32_t)syscall(SYS_gettid);
    assert_int_equal(fo_thread_id_number(thread_id), *(uint32_t *)tid);
    assert_int_equal(fo_thread_id_process(thread_id), fo_process_self()->index);
    assert_int_equal(fo_thread_id(), thread_id);
    void *p = fo_malloc(10, "a.c", 1);
    fo_free(p, "b.c", 2);
    fo_free(p, "c.c", 3);
    return NULL;
}

FRESH(a_thread_is_known_by_its_kernel_id)
{
    pthread_t thread;
    uint32_t tid;
    char line[64];

    start();
    assert_int_equal(pthread_create(&thread, NULL, check_thread, &tid), 0);
    pthread_join(thread, NULL);
    snprintf(line, sizeof line, "pid %d (unit) thread %u\n", (int)getpid(), tid);
    assert_int_equal(fixture_count(line), 2); /* allocations are not recorded by thread */
    assert_int_equal(fo_thread_id_number(fo_thread_id()), 0);
}

static void *fork_from_thread(void *parent)
{
    fo_thread_id();
    fixture_fork(check_child, parent); /* the forking thread is the child's main thread */
    return NULL;
}

FRESH(a_child_that_a_thread_forked_has_one_main_thread)
{
    pthread_t thread;

    start();
    uint32_t self = fo_process_self()->index;
    assert_int_equal(pthread_create(&thread, NULL, fork_from_thread, &self), 0);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_process_has_no_parent),
        cmocka_unit_test(the_name_is_the_last_part_of_argv0),
        cmocka_unit_test(a_forked_child_knows_its_parent),
        cmocka_unit_test(a_forked_child_is_noticed_though_the_kernel_wipes_nothing),
        cmocka_unit_test(a_child_of_a_raw_clone_is_noticed),
        cmocka_unit_test(a_free_notices_the_fork_by_itself),
        cmocka_unit_test(a_child_may_free_what_it_inherited),
        cmocka_unit_test(a_full_table_takes_rows_again_but_none_of_an_ancestor),
        cmocka_unit_test(rows_with_any_content_are_bounded),
        cmocka_unit_test(a_full_table_in_shared_memory_makes_later_processes_unknown),
        cmocka_unit_test(a_full_table_in_shared_memory_takes_rows_of_the_dead_again),
        cmocka_unit_test(a_thread_is_known_by_its_kernel_id),
        cmocka_unit_test(a_child_that_a_thread_forked_has_one_main_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
