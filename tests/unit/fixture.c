/* See fixture.h. */
#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/probe.h"
#include "options/options.h"
#include "process/process.h"
#include "report/journal.h"
#include "report/record.h"

enum { OPTIONS_MAX = 16, LOG_MAX = 1 << 20 };

static int log_fd = -1;
static off_t log_start;
static uintptr_t stack_end;

/* At the same time as the library's own constructor: setenv(3) moves environ later. */
__attribute__((constructor)) static void begin(int argc, char **argv, char **envp)
{
    (void)argc;
    (void)argv;
    stack_end = (uintptr_t)envp;
}

void fixture_skip(void **state)
{
    (void)state;
    skip();
}

bool fixture_is_excused(const char *test)
{
    const char *excused = getenv("EXCUSED");
    size_t length = strlen(test);

    for (const char *at = excused; at != NULL && (at = strstr(at, test)) != NULL; at += length)
        if ((at == excused || at[-1] == ' ') && (at[length] == '\0' || at[length] == ' '))
            return true;
    return false;
}

void fixture_in_child(void (*body)(void))
{
    int status;

    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        /* After a failure cmocka would jump into the runner, and run the parent's other tests. */
        setenv("CMOCKA_TEST_ABORT", "1", 1);
        body();
        fflush(NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void read_options(const char *const *options, const char *last)
{
    char text[OPTIONS_MAX][512];
    char *envp[OPTIONS_MAX + 1];
    int n = 0;

    for (; *options != NULL || last != NULL; n++) {
        assert_true(n < OPTIONS_MAX);
        const char *one = *options != NULL ? *options++ : last;
        last = one == last ? NULL : last;
        snprintf(text[n], sizeof text[n], "FREEONCE_%s", one);
        envp[n] = text[n];
    }
    envp[n] = NULL;
    fo_options_read(envp);
}

void fixture_options_with(const char *const *options)
{
    read_options(options, NULL);
}

void fixture_start_with(const char *const *options)
{
    char log[64];

    log_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(log_fd >= 0);
    log_start = 0;
    snprintf(log, sizeof log, "LOG=/proc/self/fd/%d", log_fd);
    read_options(options, log);
    fo_process_name("/usr/bin/unit");
    fo_stack_end = stack_end;
    fo_journal_open();
    assert_true(fixture_begin());
}

const char *fixture_log(void)
{
    static char text[LOG_MAX];
    ssize_t n = pread(log_fd, text, sizeof text - 1, log_start);

    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

void fixture_forget(void)
{
    log_start += (off_t)strlen(fixture_log());
}

unsigned fixture_count(const char *text)
{
    unsigned n = 0;

    for (const char *at = fixture_log(); (at = strstr(at, text)) != NULL; at += strlen(text))
        n++;
    return n;
}

/* The log without the last line of each report: unit.advice and the cases test it. */
static const char *log_without_advice(void)
{
    static const char label[] = "\n  what to do ";
    static char text[LOG_MAX];
    char *at = text;

    strcpy(text, fixture_log());
    while ((at = strstr(at, label)) != NULL) {
        char *end = strchr(at + 1, '\n');
        assert_non_null(end);
        memmove(at, end, strlen(end) + 1);
    }
    return text;
}

void fixture_expect(const char *format, ...)
{
    static char expected[LOG_MAX];
    va_list values;

    va_start(values, format);
    vsnprintf(expected, sizeof expected, format, values);
    va_end(values);
    assert_string_equal(log_without_advice(), expected);
    fixture_forget();
}

int fixture_fork_any(void (*body)(void *), void *argument, int *status)
{
    if (fo_hot.tree != NULL)
        fo_report_before_fork(); /* as the library's fork() does */
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        body(argument);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, status, 0), pid);
    return pid;
}

static bool is_wiped_on_fork(void)
{
    enum { PAGE = 4096 };
    char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int status;

    assert_ptr_not_equal(page, MAP_FAILED);
    madvise(page, PAGE, MADV_WIPEONFORK);
    *page = 1;
    pid_t child = fork();
    if (child == 0)
        _exit(*page);
    assert_int_equal(waitpid(child, &status, 0), child);
    munmap(page, PAGE);
    return status == 0;
}

pid_t fixture_clone(void)
{
    if (!is_wiped_on_fork()) {
        print_message("SKIP: madvise(MADV_WIPEONFORK) does nothing here, as in an emulator\n");
        return -1;
    }
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    assert_true(child >= 0);
    return child;
}

int fixture_fork(void (*body)(void *), void *argument)
{
    int status;
    int pid = fixture_fork_any(body, argument, &status);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return pid;
}

/* splitmix64, by Sebastiano Vigna. */
uint64_t fixture_random(uint64_t *seed)
{
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static unsigned char byte_at(size_t i, unsigned number)
{
    return (unsigned char)(i * 31 + (size_t)number * 7 + (i >> 8) + 1);
}

void fixture_fill(void *block, size_t size, unsigned number)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)block)[i] = byte_at(i, number);
}

bool fixture_is_filled(const void *block, size_t size, unsigned number)
{
    for (size_t i = 0; i < size; i++)
        if (((const unsigned char *)block)[i] != byte_at(i, number))
            return false;
    return true;
}
