/* Do two processes ever produce equal random numbers?  Workers are forked after OpenSSL's
 * generators were used, and fork again halfway.  They fill a shared table with outputs of
 * RAND_bytes() and RAND_priv_bytes(); then no 8 bytes of it, at any offset, may occur twice.  This
 * finds equal outputs, outputs with an equal beginning, and shifted ones; by chance it fails in one
 * run of 60,000.
 *
 * usage: random [workers [outputs [MiB of a shared pool for OpenSSL's memory [plant]]]]; `plant`
 * copies a part of one output into another, which must be found. */
#include <err.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo/pool.h"

enum { OUTPUT = 24, WINDOW = 8, WORKERS_MAX = 64 };

static struct shared {
    atomic_uint waiting, go; /* all workers begin at once */
} * shared;
static unsigned char *table; /* outputs; each process fills a part */

static void *map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        err(2, "mmap");
    return p;
}

static void fill(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        int (*make)(unsigned char *, int) = i % 2 == 0 ? RAND_bytes : RAND_priv_bytes;
        if (make(table + i * OUTPUT, OUTPUT) != 1)
            errx(1, "process %d: OpenSSL makes no random number", (int)getpid());
    }
}

static void wait_for(pid_t child)
{
    int status;

    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        errx(1, "a process ended with status %#x", child < 0 ? 0 : (unsigned)status);
}

/* The first half alone; then parent and child each have a quarter. */
static void work(size_t from, size_t to)
{
    size_t half = from + (to - from) / 2, quarter = half + (to - half) / 2;

    atomic_fetch_add(&shared->waiting, 1);
    while (atomic_load(&shared->go) == 0)
        usleep(100);
    fill(from, half);
    pid_t child = fork();
    if (child == 0) {
        fill(half, quarter);
        _exit(0);
    }
    fill(quarter, to);
    wait_for(child);
}

static void run_workers(unsigned workers, size_t outputs)
{
    pid_t pids[WORKERS_MAX];
    unsigned char used[64];

    RAND_bytes(used, sizeof used); /* makes the generators, which the children inherit */
    RAND_priv_bytes(used, sizeof used);
    for (unsigned i = 0; i < workers; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            work(outputs * i / workers, outputs * (i + 1) / workers);
            _exit(0);
        }
    }
    while (atomic_load(&shared->waiting) < workers)
        usleep(100);
    atomic_store(&shared->go, 1);
    for (unsigned i = 0; i < workers; i++)
        wait_for(pids[i]);
}

/* Radix sort by bytes. */
static void sort(uint64_t *values, uint64_t *other, size_t n)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        size_t starts[257] = {0};
        for (size_t i = 0; i < n; i++)
            starts[(values[i] >> shift & 255) + 1]++;
        for (unsigned b = 0; b < 256; b++)
            starts[b + 1] += starts[b];
        for (size_t i = 0; i < n; i++)
            other[starts[values[i] >> shift & 255]++] = values[i];
        uint64_t *swap = values;
        values = other;
        other = swap;
    }
}

static size_t count_equal(size_t outputs)
{
    size_t n = outputs * (OUTPUT - WINDOW + 1), at = 0, equal = 0;
    uint64_t *windows = calloc(n, sizeof *windows), *other = calloc(n, sizeof *other);

    if (windows == NULL || other == NULL)
        err(2, "memory to compare");
    for (size_t i = 0; i < outputs; i++)
        for (size_t offset = 0; offset + WINDOW <= OUTPUT; offset++)
            memcpy(&windows[at++], table + i * OUTPUT + offset, WINDOW);
    sort(windows, other, n);
    for (size_t i = 1; i < n; i++)
        equal += windows[i] == windows[i - 1];
    free(windows);
    free(other);
    return equal;
}

int main(int argc, char **argv)
{
    unsigned workers = argc > 1 ? (unsigned)atoi(argv[1]) : 8;
    size_t outputs = argc > 2 ? (size_t)atol(argv[2]) : 1000000;
    size_t pool = argc > 3 ? (size_t)atol(argv[3]) : 0;

    if (workers < 1 || workers > WORKERS_MAX || outputs < workers)
        errx(64, "usage: random [workers [outputs [MiB [plant]]]]");
    if (pool != 0 && (pool_map(pool << 20) != 0 ||
                      CRYPTO_set_mem_functions(pool_malloc, pool_realloc, pool_free) != 1))
        errx(2, "the pool is refused");
    shared = map(sizeof *shared);
    table = map(outputs * OUTPUT);
    run_workers(workers, outputs);
    if (argc > 4 && strcmp(argv[4], "plant") == 0)
        memcpy(table + OUTPUT * (outputs - 1) + 5, table, WINDOW);
    size_t equal = count_equal(outputs);
    printf("random: workers %u outputs %zu equal %zu\n", workers, outputs, equal);
    return equal == 0 ? 0 : 1;
}
