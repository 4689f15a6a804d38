/* See process_tree.h.  The command stays in the launcher's process group, so that it has the
 * terminal as without freeonce.  The launcher is the parent of its orphans
 * (PR_SET_CHILD_SUBREAPER). */
#include "cli/run/process_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/message.h"

/* Signals that are not forwarded: those about faults of the launcher itself, and of job control. */
static const int not_forwarded[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGTRAP, SIGABRT, SIGSYS,
                                    SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE, SIGXFSZ};

struct tree {
    pid_t pid;          /* of the command; 0: it has ended */
    int status, signal; /* how it has ended */
    struct fo_tree_killed *killed;
    size_t killed_count, killed_room;
    sigset_t watched, before;
    struct sigaction pipe_before;
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Blocked, so that none is lost between the check of the children and the wait. */
static void watch_signals(struct tree *t)
{
    sigfillset(&t->watched);
    for (size_t i = 0; i < sizeof not_forwarded / sizeof not_forwarded[0]; i++)
        sigdelset(&t->watched, not_forwarded[i]);
    sigprocmask(SIG_BLOCK, &t->watched, &t->before);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, &t->pipe_before);
}

static void unwatch_signals(const struct tree *t)
{
    sigaction(SIGPIPE, &t->pipe_before, NULL);
    sigprocmask(SIG_SETMASK, &t->before, NULL);
}

static void execute(const struct tree *t, char *const *command, char *const *environment,
                    int error_pipe)
{
    int error;

    unwatch_signals(t);
    execvpe(command[0], command, environment);
    error = errno;
    if (write(error_pipe, &error, sizeof error) < 0)
        _exit(FO_EXIT_OS);
    _exit(FO_EXIT_RUN_FAILED);
}

static int report_failure(const char *command, int error)
{
    fo_error("%s cannot be run: %s", command,
             error == ENOENT ? "no such command" : strerror(error));
    return error == ENOENT ? FO_EXIT_NOT_FOUND : FO_EXIT_CANNOT_EXECUTE;
}

/* FO_EXIT_OK: the command runs. */
static int start(struct tree *t, char *const *command, char *const *environment)
{
    int pipes[2], error = 0;

    if (pipe2(pipes, O_CLOEXEC) != 0 || (t->pid = fork()) < 0) {
        fo_error("no process can be started: %s", strerror(errno));
        return FO_EXIT_RUN_FAILED;
    }
    if (t->pid == 0)
        execute(t, command, environment, pipes[1]);
    close(pipes[1]);
    ssize_t n;
    do
        n = read(pipes[0], &error, sizeof error);
    while (n < 0 && errno == EINTR);
    close(pipes[0]);
    if (n <= 0)
        return FO_EXIT_OK;
    waitpid(t->pid, NULL, 0);
    return report_failure(command[0], error);
}

/* The command was stopped, by Ctrl-Z or because it read from the terminal in the background.  The
 * launcher stops, too, so that its shell sees it. */
static void stop_with_command(const struct tree *t)
{
    raise(SIGSTOP);
    kill(t->pid, SIGCONT);
}

static void note_killed(struct tree *t, pid_t pid, int signal)
{
    if (t->killed_count == t->killed_room) {
        size_t room = t->killed_room * 2 + 16;
        struct fo_tree_killed *larger = realloc(t->killed, room * sizeof *larger);
        if (larger == NULL)
            return;
        t->killed = larger;
        t->killed_room = room;
    }
    t->killed[t->killed_count++] = (struct fo_tree_killed){(unsigned)pid, signal};
}

/* Collect the children that have ended or stopped.  False: no child is left. */
static bool reap(struct tree *t)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (WIFSIGNALED(status))
            note_killed(t, pid, WTERMSIG(status));
        if (pid != t->pid)
            continue;
        if (WIFSTOPPED(status)) {
            stop_with_command(t);
            continue;
        }
        t->pid = 0;
        t->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        t->status = t->signal != 0 ? FO_EXIT_SIGNAL + t->signal : WEXITSTATUS(status);
    }
    return pid == 0 || errno != ECHILD;
}

/* Forward a signal that was sent to the launcher.  The terminal's signals (SI_KERNEL) reach the
 * command, too: it is in the same group. */
static void forward_signal(const struct tree *t, const siginfo_t *info)
{
    if (info->si_signo == SIGCHLD || info->si_code == SI_KERNEL || t->pid == 0)
        return;
    kill(t->pid, info->si_signo);
}

/* After the command's end, a signal that would end the launcher ends the wait. */
static bool is_end_signal(int number)
{
    return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
}

/* Wait for a signal until `deadline`; negative: for ever.  0: none came. */
static int next_signal(const struct tree *t, double deadline)
{
    siginfo_t info;
    int number;

    if (deadline < 0) {
        number = sigwaitinfo(&t->watched, &info);
    } else {
        double rest = deadline - now();
        if (rest <= 0)
            return 0;
        struct timespec timeout = {(time_t)rest, (long)((rest - (double)(time_t)rest) * 1e9)};
        number = sigtimedwait(&t->watched, &info, &timeout);
    }
    if (number < 0)
        return errno == EAGAIN ? 0 : SIGCHLD;
    forward_signal(t, &info);
    return number;
}

/* True: descendants are left. */
static bool follow(struct tree *t, double patience)
{
    double deadline = -1, warning_time = -1;

    while (reap(t)) {
        if (t->pid == 0 && deadline < 0 && patience >= 0)
            deadline = now() + patience;
        if (t->pid == 0 && warning_time < 0)
            warning_time = now() + 1;
        bool is_before_warning = warning_time > 0 && (deadline < 0 || warning_time < deadline);
        int number = next_signal(t, is_before_warning ? warning_time : deadline);
        if (t->pid == 0 && is_end_signal(number))
            return true;
        if (number != 0)
            continue;
        if (!is_before_warning)
            return true;
        fo_warning("the command has ended; waiting for what it left running (--wait)");
        warning_time = 0;
    }
    return false;
}

struct fo_tree_end fo_tree_run(char *const *command, char *const *environment, double patience)
{
    struct fo_tree_end end = {.started = false};
    struct tree t = {.pid = 0};
    double began = now();

    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        fo_warning("processes that become daemons are not waited for: %s", strerror(errno));
    watch_signals(&t);
    end.status = start(&t, command, environment);
    if (end.status == FO_EXIT_OK) {
        end.started = true;
        end.left = follow(&t, patience);
        end.status = t.status;
        end.signal = t.signal;
        end.killed = t.killed;
        end.killed_count = t.killed_count;
    }
    end.seconds = now() - began;
    unwatch_signals(&t);
    return end;
}
