/* Which workers are running, how did the others end, and which is killed next?  Only the parent
 * kills, and only children that it has not waited for: no other process can have their pid. */
#include "heap/freeonce_walk.h"
#include "server.h"

#include <dlfcn.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SILENCE_SECONDS = 60 };

static struct server *server;
static struct page *page;
static pid_t pids[WORKERS_MAX]; /* 0: a free place */
static uint64_t random_state;

static sigset_t awaited(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    return set;
}

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void start(unsigned at)
{
    struct place *place = &page->places[at];

    place_enter(place, PHASE_STARTING);
    pid_t pid = fork();
    if (pid == 0)
        worker_run(server, at);
    if (pid < 0)
        err(2, "fork");
    pids[at] = pid;
    atomic_store(&place->pid, (uint64_t)pid);
}

/* SIGKILL comes from the parent (or the system), and is no crash. */
static void count_end(unsigned at, pid_t pid, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        atomic_fetch_add(&page->killed, 1);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        atomic_fetch_add(&page->left, 1);
    } else {
        atomic_fetch_add(&page->crashed, 1);
        dprintf(STDERR_FILENO, "prefork: worker %u, pid %d, crashed in phase %d: %s %d\n", at,
                (int)pid, (int)atomic_load(&page->places[at].phase),
                WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit status",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

/* Waits for one ended worker: its place, or -1. */
static int reap(void)
{
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);

    for (unsigned i = 0; pid > 0 && i < server->settings.workers; i++) {
        if (pids[i] != pid)
            continue;
        count_end(i, pid, status);
        pids[i] = 0;
        place_enter(&page->places[i], PHASE_NONE);
        return (int)i;
    }
    return -1;
}

static void replace_ended(void)
{
    int at;

    while ((at = reap()) >= 0) {
        if (atomic_load(&page->crashed) > server->settings.crashes)
            continue;
        start((unsigned)at);
        atomic_fetch_add(&page->replaced, 1);
    }
}

static unsigned signal_all(int number)
{
    unsigned alive = 0;

    for (unsigned i = 0; i < server->settings.workers; i++)
        if (pids[i] != 0 && kill(pids[i], number) == 0)
            alive++;
    return alive;
}

static void kill_one(void)
{
    unsigned at = (unsigned)(draw() % server->settings.workers);

    if (pids[at] == 0 || atomic_load(&page->stop_kills) != 0)
        return;
    kill(pids[at], SIGKILL);
    atomic_fetch_add(&page->kills, 1);
}

/* Park all workers, so that none allocates or frees.  False: one did not park in time. */
static bool park_workers(void)
{
    uint64_t deadline = page_clock() + SILENCE_SECONDS * 1000000000ull;
    unsigned i = 0;

    atomic_store(&page->pause, 1);
    signal_all(SIGUSR1);
    while (i < server->settings.workers) {
        if (pids[i] == 0 || atomic_load(&page->places[i].phase) == PHASE_PARKED) {
            i++;
            continue;
        }
        if (page_clock() > deadline) {
            atomic_store(&page->restless, i + 1);
            return false;
        }
        usleep(1000);
        kill(pids[i], SIGUSR1); /* it may not have been in ppoll() at the first signal */
        replace_ended();
    }
    return true;
}

static void walk(void)
{
    struct walked *w = &page->walked;
    struct fo_walk answer = {.what = NULL};
    char text[sizeof w->text] = "";
    freeonce_walk_function *function;

    *(void **)&function = dlsym(RTLD_DEFAULT, "freeonce_walk");
    if (!park_workers()) {
        atomic_store(&w->state, WALK_NOT_SILENT);
    } else if (function == NULL || !function(&answer)) {
        atomic_store(&w->state, WALK_ABSENT);
    } else {
        snprintf(text, sizeof text, "%s", answer.what != NULL ? answer.what : "");
        if (answer.what != NULL)
            memcpy(w->text, text, sizeof text);
        atomic_store(&w->live, answer.live);
        atomic_store(&w->live_bytes, answer.live_bytes);
        atomic_store(&w->waiting, answer.waiting);
        atomic_store(&w->back, answer.back);
        atomic_store(&w->lost, answer.lost);
        atomic_store(&w->wrong, atomic_load(&w->wrong) + answer.wrong);
        atomic_store(&w->where, answer.where);
        atomic_store(&w->state, WALK_DONE);
    }
    atomic_store(&page->pause, 0);
    atomic_fetch_add(&w->count, 1);
}

/* Until SIGTERM or SIGINT. */
static void attend(void)
{
    const struct settings *s = &server->settings;
    sigset_t set = awaited();
    uint64_t walked_at = 0;

    for (;;) {
        bool kills = atomic_load(&page->kills) < s->kills;
        struct timespec pause = {.tv_nsec = 100000000};
        if (kills)
            pause.tv_nsec = (long)(1000 * (draw() % (2ull * s->kill_every + 1)) % 999999999);
        int received = sigtimedwait(&set, NULL, &pause);
        replace_ended();
        if (received == SIGTERM || received == SIGINT)
            return;
        if (received == SIGUSR2)
            walk();
        if (received >= 0 || !kills)
            continue; /* a kill needs the end of the pause, not the end of a worker */
        kill_one();
        uint64_t done = atomic_load(&page->kills);
        if (s->walk_every != 0 && done != walked_at && done % s->walk_every == 0) {
            walked_at = done;
            walk();
        }
    }
}

static void stop(void)
{
    uint64_t deadline = page_clock() + server->settings.stop_seconds * 1000000000ull;
    struct timespec tick = {.tv_nsec = 20000000};
    sigset_t set = awaited();

    while (signal_all(SIGTERM) > 0 && page_clock() < deadline)
        if (reap() < 0)
            sigtimedwait(&set, NULL, &tick);
    for (unsigned i = 0; i < server->settings.workers; i++)
        if (pids[i] != 0)
            dprintf(STDERR_FILENO, "prefork: worker %u, pid %d, does not stop, in phase %d\n", i,
                    (int)pids[i], (int)atomic_load(&page->places[i].phase));
    atomic_store(&page->hung_at_stop, signal_all(SIGKILL));
    while (waitpid(-1, NULL, 0) > 0)
        continue;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

static void print_sums(void)
{
    struct place sum = {0};
    struct rusage usage;

    for (unsigned i = 0; i < server->settings.workers; i++)
        for (size_t at = 3; at < sizeof sum / sizeof(word); at++) /* behind pid, phase, since */
            ((word *)&sum)[at] += ((word *)&page->places[i])[at];
    getrusage(RUSAGE_CHILDREN, &usage);
    printf("prefork: accepted %llu handshakes %llu resumptions %llu failures %llu answers %llu"
           " handed %llu continued %llu kept %llu killed %llu crashed %llu left %llu hung %llu"
           " cpu %.3f\n",
           (unsigned long long)sum.accepted, (unsigned long long)sum.handshakes,
           (unsigned long long)sum.resumptions, (unsigned long long)sum.failures,
           (unsigned long long)sum.answers, (unsigned long long)sum.handed,
           (unsigned long long)sum.continued, (unsigned long long)sum.kept,
           (unsigned long long)page->killed, (unsigned long long)page->crashed,
           (unsigned long long)page->left, (unsigned long long)page->hung_at_stop,
           seconds(usage.ru_utime) + seconds(usage.ru_stime));
    fflush(stdout);
}

int parent_run(struct server *of)
{
    sigset_t set = awaited();

    server = of;
    page = of->page;
    random_state = 0x9e3779b97f4a7c15u * (of->settings.seed + 1ull) | 1;
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (unsigned i = 0; i < of->settings.workers; i++)
        start(i);
    attend();
    stop();
    print_sums();
    return atomic_load(&page->crashed) == 0 && atomic_load(&page->hung_at_stop) == 0 ? 0 : 1;
}
