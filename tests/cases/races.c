/* Two threads, or two processes that share OpenSSL's memory, free the same blocks at the same
 * moment.  Of each two frees exactly one succeeds and the other is reported, so that there are as
 * many findings as blocks. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "pool.h"

enum { ROUNDS = 2000 };

/* Both sides meet before each round. */
static struct meeting {
    int arrived[2];
    void *blocks[ROUNDS];
} * meeting;

static void prepare(void)
{
    meeting =
        mmap(NULL, sizeof *meeting, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(meeting != MAP_FAILED);
    fact_site("alloc", __FILE__, __LINE__ + 2);
    for (int i = 0; i < ROUNDS; i++)
        meeting->blocks[i] = OPENSSL_malloc(40);
    fact("rounds", "%d", ROUNDS);
}

static void meet(int side, int round)
{
    __atomic_store_n(&meeting->arrived[side], round, __ATOMIC_RELEASE);
    for (int spins = 0; __atomic_load_n(&meeting->arrived[!side], __ATOMIC_ACQUIRE) < round;
         spins++)
        if (spins % 64 == 63)
            sched_yield();
}

static void free_all(int side)
{
    for (int i = 0; i < ROUNDS; i++) {
        meet(side, i + 1);
        OPENSSL_free(meeting->blocks[i]);
    }
}

static void *second_side(void *unused)
{
    free_all(1);
    return unused;
}

static void threads(void)
{
    pthread_t thread;

    prepare();
    CHECK(pthread_create(&thread, NULL, second_side, NULL) == 0);
    free_all(0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void processes(void)
{
    prepare();
    unsigned long before = pool_log->frees;
    pid_t child = fork();
    CHECK(child >= 0);
    fact(child == 0 ? "child" : "parent", "%d", (int)getpid());
    free_all(child == 0);
    if (child == 0)
        _exit(0);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    /* The pool aborts if a block is freed twice; here, it got no more frees than there are blocks.
     */
    CHECK(pool_log->frees - before <= ROUNDS);
}

/* Threads exchange blocks and free those of other threads: nothing to report. */
static unsigned passed = 50000; /* by each thread */

static void *pass_on(void *unused)
{
    static void *board[64];

    for (unsigned i = 0; i < passed; i++) {
        void *mine = OPENSSL_malloc(16 + i % 200);
        CHECK(mine != NULL);
        OPENSSL_free(__atomic_exchange_n(&board[i * 7 % 64], mine, __ATOMIC_ACQ_REL));
    }
    return unused;
}

static void healthy_threads(void)
{
    pthread_t threads_of[4];

    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads_of[i], NULL, pass_on, NULL) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads_of[i], NULL) == 0);
}

/* For backends with system calls for each block. */
static void healthy_threads_short(void)
{
    passed = 2000;
    healthy_threads();
}

const struct fault race_faults[] = {
    {"race-of-threads", threads},
    {"race-of-processes", processes},
    {"healthy-threads", healthy_threads},
    {"healthy-threads-short", healthy_threads_short},
    {NULL, NULL},
};
