/*
 * Which blocks does a program of OpenSSL hold? A real handshake was counted (handshake --sizes),
 * and blocks of those sizes, in those proportions, stand for it where millions of them are needed.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <openssl/crypto.h>

enum { MOST_SIZES = 4096 };

struct counted_size {
    uint32_t size;
    uint64_t up_to; /* how many blocks are of this size or of one before it */
};

static size_t read_sizes(const char *path, struct counted_size *rows)
{
    FILE *file = fopen(path, "re");
    uint64_t blocks = 0;
    size_t n = 0;
    unsigned size = 0;
    unsigned long long count = 0;

    if (!file)
        bench_fail(path);
    while (n < MOST_SIZES && fscanf(file, "%u %llu", &size, &count) == 2) {
        blocks += count;
        rows[n++] = (struct counted_size){.size = size, .up_to = blocks};
    }
    if (!feof(file) || blocks == 0) {
        fprintf(stderr, "bench: %s: not lines of \"size count\"\n", path);
        exit(2);
    }
    fclose(file);
    return n;
}

void bench_mix_load(struct bench_mix *mix, const char *path)
{
    struct counted_size *rows = calloc(MOST_SIZES, sizeof *rows);
    uint64_t state = 1;

    if (!rows)
        bench_fail("sizes");
    size_t n = read_sizes(path, rows);
    for (size_t i = 0; i < BENCH_MIX_SIZES; i++) {
        uint64_t drawn = bench_random(&state) % rows[n - 1].up_to;
        size_t row = 0;

        while (rows[row].up_to <= drawn)
            row++;
        mix->sizes[i] = rows[row].size;
    }
    free(rows);
}

void *bench_block(size_t size)
{
    volatile char *block = OPENSSL_malloc(size);

    if (!block)
        bench_fail_openssl("no memory");
    *block = 1;
    return (void *)block;
}
