/* For tests of what a killed process leaves behind: a child executes a function instruction by
 * instruction. */
#ifndef FO_TESTS_STEPPING_H
#define FO_TESTS_STEPPING_H

#include <sched.h>
#include <signal.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

static unsigned long stepping_count; /* instructions that children executed so far */

/* How many instructions the children of a test may execute: its work is limited, not its time, so
 * that a slow machine tests the same.  The environment variable STEPS overrides the default; 0: no
 * limit. */
static inline unsigned long stepping_limit(void)
{
    const char *wanted = getenv("STEPS");
    unsigned long limit = wanted != NULL                 ? strtoul(wanted, NULL, 10)
                          : FIXTURE_TSAN || FIXTURE_ASAN ? 25000
                                                         : 250000;

    return limit != 0 ? limit : ULONG_MAX;
}

/* The instructions at which children are stopped or killed depend on this alone. */
static inline unsigned stepping_seed(void)
{
    const char *wanted = getenv("SEED");

    return wanted != NULL ? (unsigned)strtoul(wanted, NULL, 10) : 1;
}

enum { STEPPING_CANNOT = 77 };

/* The child has executed `prepare`, and is stopped in front of `run`.  Where there is no ptrace(2),
 * as in qemu-user, a line says so, and the test ends here (FRESH: it is a process of its own). */
static inline pid_t stepping_start(void (*prepare)(void), void (*run)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prepare();
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(STEPPING_CANNOT);
        raise(SIGSTOP);
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == STEPPING_CANNOT) {
        print_message("SKIP: a child cannot be executed by instructions here: no ptrace(2)\n");
        fflush(NULL);
        _exit(0);
    }
    assert_true(WIFSTOPPED(status));
    return child;
}

/* Execute so many instructions; false: the child ended before. */
static inline bool stepping_lead(pid_t child, unsigned steps)
{
    int status = 0;
    bool stands = true;

    for (unsigned i = 0; i < steps && stands; i++) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        stands = WIFSTOPPED(status);
        stepping_count++;
    }
    return stands;
}

/* The child runs on by itself; the caller waits for its end with waitpid(). */
static inline void stepping_detach(pid_t child)
{
    assert_int_equal(ptrace(PTRACE_DETACH, child, NULL, NULL), 0);
}

static inline void stepping_kill(pid_t child)
{
    int status;

    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
}

/* Parent and child take turns: on one processor that is a lot faster. */
static inline void stepping_on_one_processor(void)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((unsigned)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
}

#endif
