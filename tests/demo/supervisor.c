/* Which workers are alive, and how did the others end? Called by sipd.c, in the parent only. */
#include "supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* 0 marks a free place. */
static pid_t *pids;
static int places;

static sigset_t awaited_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    return set;
}

void supervisor_block_signals(void)
{
    sigset_t set = awaited_signals();
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int start_worker(const struct service *service, int place)
{
    pid_t pid = fork();
    if (pid == 0)
        worker_run(service);
    pids[place] = pid > 0 ? pid : 0;
    return pid > 0 ? 0 : -1;
}

int supervisor_start(const struct service *service, int workers)
{
    pids = calloc((size_t)workers, sizeof *pids);
    if (pids == NULL)
        return -1;
    places = workers;
    for (int place = 0; place < places; place++)
        if (start_worker(service, place) != 0)
            return -1;
    return 0;
}

static void say_how_it_ended(pid_t pid, int status)
{
    if (WIFSIGNALED(status))
        dprintf(STDERR_FILENO, "sipd: worker %d died: %s\n", (int)pid, strsignal(WTERMSIG(status)));
    else
        dprintf(STDERR_FILENO, "sipd: worker %d left with status %d\n", (int)pid,
                WEXITSTATUS(status));
}

/* Takes one ended worker off the list. Returns its place, or -1 if none has ended. */
static int reap(int *status)
{
    pid_t pid = waitpid(-1, status, WNOHANG);
    if (pid <= 0)
        return -1;
    if (!WIFEXITED(*status) || WEXITSTATUS(*status) != 0)
        say_how_it_ended(pid, *status);
    for (int place = 0; place < places; place++) {
        if (pids[place] == pid) {
            pids[place] = 0;
            return place;
        }
    }
    return -1;
}

static void replace_crashed(const struct service *service, int max_restarts,
                            struct outcome *outcome)
{
    int status, place;
    while ((place = reap(&status)) >= 0) {
        outcome->crashed++;
        if (outcome->restarted < max_restarts && start_worker(service, place) == 0)
            outcome->restarted++;
    }
}

static int signal_workers(int signal_number)
{
    int alive = 0;
    for (int place = 0; place < places; place++) {
        if (pids[place] != 0) {
            kill(pids[place], signal_number);
            alive++;
        }
    }
    return alive;
}

static void stop_workers(struct outcome *outcome, long stop_seconds)
{
    int alive = signal_workers(SIGTERM);
    time_t deadline = time(NULL) + stop_seconds;
    sigset_t set = awaited_signals();
    while (alive > 0 && time(NULL) < deadline) {
        int status;
        if (reap(&status) >= 0) {
            alive--;
            outcome->crashed_at_stop += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
            continue;
        }
        struct timespec pause = {.tv_nsec = 100000000};
        sigtimedwait(&set, NULL, &pause);
    }
    outcome->hung = signal_workers(SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
}

struct outcome supervisor_run(const struct service *service, int max_restarts, long stop_seconds)
{
    struct outcome outcome = {0};
    sigset_t set = awaited_signals();
    int received;
    do {
        received = sigwaitinfo(&set, NULL);
        replace_crashed(service, max_restarts, &outcome);
    } while (received != SIGTERM && received != SIGINT);
    stop_workers(&outcome, stop_seconds);
    return outcome;
}
