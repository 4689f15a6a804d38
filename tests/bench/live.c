/*
 * What do many live blocks cost: how much memory each, and does an operation become slower when
 * there are more of them? Blocks of OpenSSL's sizes are made, then one after the other, drawn at
 * random, is freed and replaced. What of that is the memory's doing and not the allocator's is
 * shown by the same walk without it: the block drawn is only looked at and written to.
 */
#include "bench.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

static const char usage[] = "usage: live --sizes FILE [--blocks N] [--operations N]\n"
                            "  --sizes FILE    which sizes: written by handshake --sizes\n"
                            "  --blocks N      live blocks (default 1000)\n"
                            "  --operations N  so many are replaced (default 500000)\n";

struct request {
    const char *sizes;
    unsigned blocks;
    unsigned operations;
};

static struct bench_mix mix;

static _Noreturn void refuse(void)
{
    fputs(usage, stderr);
    exit(2);
}

static struct request parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"sizes", required_argument, NULL, 's'},
        {"blocks", required_argument, NULL, 'b'},
        {"operations", required_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    struct request request = {.blocks = 1000, .operations = 500000};
    int option = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            request.sizes = optarg;
        else if (option == 'b')
            request.blocks = bench_number(optarg, 1, "--blocks");
        else if (option == 'o')
            request.operations = bench_number(optarg, 1, "--operations");
        else
            refuse();
    }
    if (optind != argc || !request.sizes)
        refuse();
    return request;
}

/* Written in full, as OpenSSL does: else the pages of large blocks would not count. Prints how many
 * bytes were asked for, and how many the process has grown by, a block. */
static void fill(void **blocks, unsigned n)
{
    uint64_t asked = 0;
    size_t before = bench_resident_kib();

    for (unsigned i = 0; i < n; i++) {
        size_t size = mix.sizes[i % BENCH_MIX_SIZES];

        blocks[i] = bench_block(size);
        memset(blocks[i], 1, size);
        asked += size;
    }
    printf("asked_bytes_per_block=%.2f resident_bytes_per_block=%.2f ", (double)asked / n,
           (double)(bench_resident_kib() - before) * 1024 / n);
}

static void replace(void **blocks, unsigned n, unsigned operations, uint64_t state)
{
    for (unsigned i = 0; i < operations; i++) {
        uint64_t drawn = bench_random(&state);
        void **slot = &blocks[(drawn >> 32) % n];

        OPENSSL_free(*slot);
        *slot = bench_block(mix.sizes[drawn % BENCH_MIX_SIZES]);
    }
}

static void touch(void **blocks, unsigned n, unsigned operations, uint64_t state)
{
    for (unsigned i = 0; i < operations; i++) {
        volatile char *block = blocks[(bench_random(&state) >> 32) % n];

        *block = (char)(*block + 1);
    }
}

int main(int argc, char **argv)
{
    struct request request = parse(argc, argv);
    void **blocks = malloc(request.blocks * sizeof *blocks);

    bench_mix_load(&mix, request.sizes);
    if (!blocks)
        bench_fail("blocks");
    memset(blocks, 1, request.blocks * sizeof *blocks); /* its pages are not the blocks' */
    fill(blocks, request.blocks);
    replace(blocks, request.blocks, request.operations / 4, 1);
    double start = bench_cpu_seconds();
    replace(blocks, request.blocks, request.operations, 2);
    printf("cpu_ns_per_operation=%.2f ", (bench_cpu_seconds() - start) * 1e9 / request.operations);
    start = bench_cpu_seconds();
    touch(blocks, request.blocks, request.operations, 2);
    printf("cpu_ns_per_touch=%.2f\n", (bench_cpu_seconds() - start) * 1e9 / request.operations);
    for (unsigned i = 0; i < request.blocks; i++)
        OPENSSL_free(blocks[i]);
    free(blocks);
    return 0;
}
