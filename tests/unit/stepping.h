/* For tests of what a process leaves behind: a child that is led through something instruction by
 * instruction. */
#ifndef FO_TESTS_STEPPING_H
#define FO_TESTS_STEPPING_H

#include <sched.h>
#include <signal.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

static unsigned long stepping_count; /* instructions that children were led through so far */

/* How many instructions a test may lead its children through: its work is limited, not its time, so
 * that a slow machine tries the same.  The environment variable STEPS overrides the default; 0: no
 * limit. */
static inline unsigned long stepping_limit(void)
{
    const char *wanted = getenv("STEPS");
    unsigned long limit = wanted != NULL                 ? strtoul(wanted, NULL, 10)
                          : FIXTURE_TSAN || FIXTURE_ASAN ? 25000
                                                         : 250000;

    return limit != 0 ? limit : ULONG_MAX;
}

/* Where in the way of a child it is stopped or killed depends on this alone. */
static inline unsigned stepping_seed(void)
{
    const char *wanted = getenv("SEED");

    return wanted != NULL ? (unsigned)strtoul(wanted, NULL, 10) : 1;
}

/* It has prepared, and stands in front of `run`. */
static inline pid_t stepping_start(void (*prepare)(void), void (*run)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prepare();
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status));
    return child;
}

/* False: it came to its end before. */
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

/* The rest of the way alone; its end is for waitpid(). */
static inline void stepping_let_go(pid_t child)
{
    assert_int_equal(ptrace(PTRACE_DETACH, child, NULL, NULL), 0);
}

static inline void stepping_kill(pid_t child)
{
    int status;

    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
}

/* The two take turns: on one processor that is a lot faster. */
static inline void stepping_on_one_processor(void)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((unsigned)sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
}

#endif
