/*
 * How many blocks does OpenSSL ask for, and how large are they? Counted at OpenSSL's own hook, so
 * that the figure is the number of times a replacement allocator is entered. Only for a run without
 * the library: with it, these functions would become its host backend.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

enum { LARGEST_COUNTED_SIZE = 1 << 17 }; /* the last bin holds all above: none in a handshake */

static struct bench_allocations counted;
static uint64_t of_size[LARGEST_COUNTED_SIZE + 1];

static void note_size(size_t size)
{
    counted.allocations++;
    of_size[size < LARGEST_COUNTED_SIZE ? size : LARGEST_COUNTED_SIZE]++;
}

static void *counting_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size == 0)
        return NULL;
    note_size(size);
    return malloc(size);
}

static void counting_free(void *block, const char *file, int line)
{
    (void)file;
    (void)line;
    if (block)
        counted.frees++;
    free(block);
}

static void *counting_realloc(void *block, size_t size, const char *file, int line)
{
    if (!block)
        return counting_malloc(size, file, line);
    if (size == 0) {
        counting_free(block, file, line);
        return NULL;
    }
    counted.reallocations++;
    return realloc(block, size);
}

void bench_allocations_watch(void)
{
    if (CRYPTO_set_mem_functions(counting_malloc, counting_realloc, counting_free) != 1)
        bench_fail_openssl("OpenSSL has allocated before the count could begin");
}

void bench_allocations_reset(void)
{
    /* When nothing was counted the bins stay untouched: they would show as resident memory. */
    if (counted.allocations > 0)
        memset(of_size, 0, sizeof of_size);
    counted = (struct bench_allocations){0};
}

struct bench_allocations bench_allocations_read(void)
{
    struct bench_allocations result = counted;
    uint64_t below = 0;

    for (size_t size = 0; size <= LARGEST_COUNTED_SIZE; size++) {
        below += of_size[size];
        if (below * 2 >= result.allocations) {
            result.median_size = size;
            break;
        }
    }
    return result;
}

void bench_allocations_write_sizes(const char *path)
{
    FILE *file = fopen(path, "we");

    if (!file)
        bench_fail(path);
    for (size_t size = 0; size <= LARGEST_COUNTED_SIZE; size++)
        if (of_size[size] > 0)
            fprintf(file, "%zu %llu\n", size, (unsigned long long)of_size[size]);
    if (fclose(file) != 0)
        bench_fail(path);
}
