/*
 * What does OPENSSL_malloc cost together with its OPENSSL_free, when the block is freed at once?
 * The best case of every allocator, size by size. Time when run alone; under callgrind,
 * instructions: each size has a function of its own, measured_16 and so on, whose inclusive cost
 * tells.
 */
#include "bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <openssl/crypto.h>

#define SIZES(row) row(16) row(64) row(256) row(1024) row(4096)

/* A quarantine must be full before the steady state is reached: the largest is 4 MiB. */
enum { WARM_UP_BYTES = 9 << 19 };

static const char usage[] = "usage: pairs [--count N]\n"
                            "  --count N  pairs of each size that are measured (default 20000)\n";

static inline void pairs(size_t size, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        OPENSSL_free(bench_block(size));
}

#define DEFINE(size)                                                                               \
    static __attribute__((noinline)) void measured_##size(unsigned count)                          \
    {                                                                                              \
        pairs(size, count);                                                                        \
    }
SIZES(DEFINE)

#define ROW(size) {size, measured_##size},
static const struct row {
    size_t size;
    void (*run)(unsigned count);
} rows[] = {SIZES(ROW)};

static _Noreturn void refuse(void)
{
    fputs(usage, stderr);
    exit(2);
}

static unsigned parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"count", required_argument, NULL, 'n'},
        {NULL, 0, NULL, 0},
    };
    unsigned count = 20000;
    int option = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'n')
            refuse();
        count = bench_number(optarg, 1, "--count");
    }
    if (optind != argc)
        refuse();
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = parse(argc, argv);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pairs(rows[i].size, (unsigned)(WARM_UP_BYTES / rows[i].size));
        double start = bench_cpu_seconds();
        rows[i].run(count);
        printf("size_%zu=%.2f%c", rows[i].size, (bench_cpu_seconds() - start) * 1e9 / count,
               i + 1 < sizeof rows / sizeof rows[0] ? ' ' : '\n');
    }
    return 0;
}
