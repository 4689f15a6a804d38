/* Forks of every kind: the processes that a report names, and frees that must not be reported. */
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault.h"

static void *inherited;

static void allocate(size_t size)
{
    inherited = ALLOC("alloc", size);
    CHECK(inherited != NULL);
    fact("block", "%p", inherited);
}

/* In private memory a child frees its copy, and so does the parent. */
static void child_frees_copy(void)
{
    allocate(40);
    pid_t child = fork_known();
    OPENSSL_free(inherited);
    if (child == 0) {
        check_openssl();
        exit(0);
    }
    wait_for(child);
}

/* A child that exits frees all that it inherited, and so does its parent. */
static void child_frees_thousands(void)
{
    static void *blocks[6000];
    enum { COUNT = sizeof blocks / sizeof blocks[0] };

    for (size_t i = 0; i < COUNT; i++)
        CHECK((blocks[i] = OPENSSL_malloc(1 + i * 37 % 900)) != NULL);
    pid_t child = fork_known();
    for (size_t i = 0; i < COUNT; i++)
        OPENSSL_free(blocks[i]);
    if (child == 0)
        exit(0);
    wait_for(child);
}

static void child_double_free(pid_t child)
{
    if (child == 0) {
        fact("child", "%d", (int)getpid());
        FREE("first", inherited);
        pass_pointer(inherited);
        check_openssl();
        _exit(0);
    }
    wait_for(child);
}

static void double_free_in_child(void)
{
    allocate(40);
    child_double_free(fork_known());
}

static void double_free_in_clone(void)
{
    allocate(40);
    child_double_free((pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
}

static void double_free_in_thread_child(void)
{
    allocate(40);
    on_thread(double_free_in_child);
}

/* The parent freed before it forked; the child frees again. */
static void freed_before_fork(void)
{
    allocate(40);
    FREE("first", inherited);
    pid_t child = fork_known();
    if (child == 0) {
        fact("child", "%d", (int)getpid());
        pass_pointer(inherited);
        _exit(0);
    }
    wait_for(child);
}

static void grandchild(void)
{
    allocate(40);
    pid_t child = fork_known();
    if (child == 0) {
        fact("child", "%d", (int)getpid());
        FREE("first", inherited);
        pid_t its_child = fork_known();
        if (its_child == 0) {
            fact("grandchild", "%d", (int)getpid());
            pass_pointer(inherited);
            _exit(0);
        }
        wait_for(its_child);
        _exit(0);
    }
    wait_for(child);
}

static void after_vfork(void)
{
    allocate(40);
    pid_t child = vfork();
    if (child == 0)
        _exit(0);
    wait_for(child);
    FREE("first", inherited);
    pass_pointer(inherited);
}

/* The child is another program with the library preloaded. */
static void after_spawn(void)
{
    char *const argv[] = {"faults", "healthy", NULL};
    pid_t child;

    allocate(40);
    CHECK(posix_spawn(&child, "/proc/self/exe", NULL, NULL, argv, environ) == 0);
    wait_for(child);
    FREE("first", inherited);
    pass_pointer(inherited);
}

/* The same finding in parent and children counts as one. */
static void count_over_processes(pid_t (*fork_one)(void))
{
    allocate(40);
    FREE("first", inherited);
    for (int i = 0; i < 12; i++) {
        pid_t child = i == 0 ? 0 : fork_one(); /* the first finding is the parent's own */
        if (child == 0)
            pass_pointer(inherited);
        if (child == 0 && i != 0)
            _exit(0);
        if (child != 0)
            wait_for(child);
    }
}

static void counted_over_processes(void)
{
    count_over_processes(fork_known);
}

/* libc forks: the library's fork(2) is not called.  The child keeps this program's standard error.
 */
static pid_t fork_with_terminal(void)
{
    int terminal, errors = dup(STDERR_FILENO);
    pid_t child = forkpty(&terminal, NULL, NULL, NULL);

    CHECK(child >= 0);
    if (child == 0)
        CHECK(dup2(errors, STDERR_FILENO) == STDERR_FILENO);
    close(errors); /* the terminal stays open: else its end would kill the child */
    return child;
}

static void counted_over_terminals(void)
{
    count_over_processes(fork_with_terminal);
}

/* Children of a threaded process work, whatever the other threads did at the fork. */
static bool stop;

static void *hammer(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        void *blocks[50];
        for (int i = 0; i < 50; i++)
            blocks[i] = OPENSSL_malloc(8 + (size_t)i * 11);
        for (int i = 0; i < 50; i++)
            OPENSSL_free(blocks[i]);
    }
    return unused;
}

static void work_in_child(void)
{
    alarm(250); /* a deadlock ends the child, and with it the test */
    for (size_t i = 0; i < 200; i++) {
        char *p = OPENSSL_malloc(8 + i * 5);
        CHECK(p != NULL);
        memset(p, 'c', 8 + i * 5);
        p = OPENSSL_realloc(p, 600);
        CHECK(p != NULL && p[7] == 'c');
        OPENSSL_free(p);
    }
    _exit(0);
}

static void free_something(void)
{
    OPENSSL_free(OPENSSL_malloc(40));
}

static void threaded_forks(void)
{
    pthread_t threads[4];

    check_openssl(); /* the main thread is the first to free */
    /* Threads spread over the 16 shards of the quarantine: after 15 that ended, the next one has
     * the main thread's shard, and may hold its lock at a fork. */
    for (int i = 0; i < 15; i++)
        on_thread(free_something);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, hammer, NULL) == 0);
    for (int i = 0; i < 200; i++) {
        pid_t child = fork_known();
        if (child == 0)
            work_in_child();
        wait_for(child);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* More processes, one after the other, than the table of processes has rows. */
static void many_forks(void)
{
    allocate(40);
    for (int i = 0; i < 1030; i++) {
        pid_t child = fork_known();
        if (child == 0) {
            OPENSSL_free(inherited);
            _exit(0);
        }
        wait_for(child);
    }
    double_free_in_child();
    OPENSSL_free(inherited);
}

const struct fault fork_faults[] = {
    {"child-frees-copy", child_frees_copy},
    {"child-frees-thousands", child_frees_thousands},
    {"double-free-in-child", double_free_in_child},
    {"double-free-in-clone", double_free_in_clone},
    {"double-free-in-child-of-thread", double_free_in_thread_child},
    {"freed-before-fork", freed_before_fork},
    {"freed-in-child-again-in-grandchild", grandchild},
    {"double-free-after-vfork", after_vfork},
    {"double-free-after-spawn", after_spawn},
    {"counted-over-processes", counted_over_processes},
    {"counted-over-terminals", counted_over_terminals},
    {"forks-of-threaded-process", threaded_forks},
    {"forks-beyond-table", many_forks},
    {NULL, NULL},
};
