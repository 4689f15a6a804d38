/*
 * What does a block cost when many threads allocate at the same time, and when another thread frees
 * it? In each round every thread makes a batch of OpenSSL's sizes, and then each frees its own
 * batch or its neighbour's. Only the CPU time of that work counts, not the waiting in between.
 * A single thread is one beside main as well: nobody takes glibc's short cuts for lonely threads,
 * so the growth with their number is not the price of the first one.
 */
#include "bench.h"

#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <openssl/crypto.h>

enum { BATCH = 2000, MOST_THREADS = 64, WARM_UP_ROUNDS = 5 };

static const char usage[] = "usage: threads --sizes FILE [--threads N] [--other] [--rounds N]\n"
                            "  --sizes FILE  which sizes: written by handshake --sizes\n"
                            "  --threads N   1 to 64 (default 1)\n"
                            "  --other       each thread frees what another has made\n"
                            "  --rounds N    rounds of 2000 blocks for each thread (default 200)\n";

struct request {
    const char *sizes;
    unsigned threads;
    unsigned rounds;
    bool other;
};

struct worker {
    unsigned number;
    pthread_t thread;
    double cpu_seconds;
    unsigned moves; /* rounds that began on another processor than the one before */
    void *batch[BATCH];
};

static struct request request = {.threads = 1, .rounds = 200};
static struct bench_mix mix;
static struct worker workers[MOST_THREADS];
static pthread_barrier_t everybody;

static _Noreturn void refuse(void)
{
    fputs(usage, stderr);
    exit(2);
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"sizes", required_argument, NULL, 's'},
        {"threads", required_argument, NULL, 't'},
        {"rounds", required_argument, NULL, 'r'},
        {"other", no_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    int option = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            request.sizes = optarg;
        else if (option == 't')
            request.threads = bench_number(optarg, 1, "--threads");
        else if (option == 'r')
            request.rounds = bench_number(optarg, 1, "--rounds");
        else if (option == 'o')
            request.other = true;
        else
            refuse();
    }
    if (optind != argc || !request.sizes || request.threads > MOST_THREADS)
        refuse();
}

static double make_batch(struct worker *self, unsigned round)
{
    unsigned first = (self->number * 7919 + round * BATCH) % BENCH_MIX_SIZES;
    double start = bench_thread_cpu_seconds();

    for (unsigned i = 0; i < BATCH; i++)
        self->batch[i] = bench_block(mix.sizes[(first + i) % BENCH_MIX_SIZES]);
    return bench_thread_cpu_seconds() - start;
}

static double free_batch(struct worker *owner)
{
    double start = bench_thread_cpu_seconds();

    for (unsigned i = 0; i < BATCH; i++)
        OPENSSL_free(owner->batch[i]);
    return bench_thread_cpu_seconds() - start;
}

static void *work(void *argument)
{
    struct worker *self = argument;
    int processor = sched_getcpu();
    struct worker *owner = request.other ? &workers[(self->number + 1) % request.threads] : self;

    if (__libc_single_threaded)
        bench_fail("this thread passes for the only one");
    for (unsigned round = 0; round < WARM_UP_ROUNDS + request.rounds; round++) {
        int now = sched_getcpu();

        self->moves += now != processor;
        processor = now;
        double spent = make_batch(self, round);

        pthread_barrier_wait(&everybody);
        spent += free_batch(owner);
        pthread_barrier_wait(&everybody);
        if (round >= WARM_UP_ROUNDS)
            self->cpu_seconds += spent;
    }
    return NULL;
}

static double run_workers(void)
{
    double cpu_seconds = 0;
    unsigned moves = 0;

    for (unsigned i = 0; i < request.threads; i++) {
        workers[i].number = i;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            bench_fail("pthread_create");
    }
    for (unsigned i = 0; i < request.threads; i++) {
        pthread_join(workers[i].thread, NULL);
        cpu_seconds += workers[i].cpu_seconds;
        moves += workers[i].moves;
    }
    printf("moves_in_1000_rounds=%.1f ",
           1000.0 * moves / request.threads / (WARM_UP_ROUNDS + request.rounds));
    return cpu_seconds;
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    bench_mix_load(&mix, request.sizes);
    if (pthread_barrier_init(&everybody, NULL, request.threads) != 0)
        bench_fail("pthread_barrier_init");
    double pairs = (double)request.threads * request.rounds * (double)BATCH;
    printf("cpu_ns_per_pair=%.2f\n", run_workers() * 1e9 / pairs);
    pthread_barrier_destroy(&everybody);
    return 0;
}
