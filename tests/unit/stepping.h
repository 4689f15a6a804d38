/* For tests of what a process leaves behind: a child that is led through something instruction by
 * instruction. */
#ifndef FO_TESTS_STEPPING_H
#define FO_TESTS_STEPPING_H

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

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
