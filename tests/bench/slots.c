/*
 * How many bytes does a block take, of those that OpenSSL asks for? For every size that a handshake
 * asks for, as often as it does: what the allocator sets aside, its own header included. No page
 * that is half empty counts, so the figure is the same in every run. Of blocks that have pages of
 * their own, the pages behind the last one written to are address space, not memory.
 */
#include "bench.h"

#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <openssl/crypto.h>

enum { NEIGHBOURS = 64 };

static const char usage[] =
    "usage: slots --sizes FILE [--header N] [--behind N] [--neighbours]\n"
    "  --sizes FILE  which sizes: written by handshake --sizes\n"
    "  --header N    bytes in front of what OpenSSL gets, within what malloc gave (default 0)\n"
    "  --behind N    bytes of a block that malloc_usable_size does not count (default 0; glibc 8)\n"
    "  --neighbours  the blocks are not malloc's: take the least distance of two of equal size\n";

struct request {
    const char *sizes;
    unsigned header;
    unsigned behind;
    bool neighbours;
};

static _Noreturn void refuse(void)
{
    fputs(usage, stderr);
    exit(2);
}

static struct request parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"sizes", required_argument, NULL, 's'},
        {"header", required_argument, NULL, 'h'},
        {"behind", required_argument, NULL, 'b'},
        {"neighbours", no_argument, NULL, 'n'},
        {NULL, 0, NULL, 0},
    };
    struct request request = {0};
    int option = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            request.sizes = optarg;
        else if (option == 'h')
            request.header = bench_number(optarg, 0, "--header");
        else if (option == 'b')
            request.behind = bench_number(optarg, 0, "--behind");
        else if (option == 'n')
            request.neighbours = true;
        else
            refuse();
    }
    if (optind != argc || !request.sizes)
        refuse();
    return request;
}

static int by_address(const void *left, const void *right)
{
    uintptr_t a = *(const uintptr_t *)left;
    uintptr_t b = *(const uintptr_t *)right;

    return (a > b) - (a < b);
}

static size_t distance_of_neighbours(size_t size)
{
    uintptr_t blocks[NEIGHBOURS];
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < NEIGHBOURS; i++)
        blocks[i] = (uintptr_t)bench_block(size);
    qsort(blocks, NEIGHBOURS, sizeof *blocks, by_address);
    for (size_t i = 1; i < NEIGHBOURS; i++) {
        if (blocks[i] - blocks[i - 1] < least)
            least = blocks[i] - blocks[i - 1];
    }
    for (size_t i = 0; i < NEIGHBOURS; i++)
        OPENSSL_free((void *)blocks[i]);
    return least;
}

static size_t without_untouched_pages(size_t distance, size_t written)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t touched = (written + page - 1) / page * page;

    return distance % page == 0 && touched < distance ? touched : distance;
}

static size_t taken_by(size_t size, const struct request *request)
{
    if (request->neighbours)
        return without_untouched_pages(distance_of_neighbours(size), size + request->header);
    char *block = bench_block(size);
    size_t taken = malloc_usable_size(block - request->header) + request->behind;

    OPENSSL_free(block);
    return taken;
}

int main(int argc, char **argv)
{
    struct request request = parse(argc, argv);
    FILE *file = fopen(request.sizes, "re");
    unsigned size = 0;
    unsigned long long count = 0;
    double blocks = 0;
    double asked = 0;
    double taken = 0;

    if (!file)
        bench_fail(request.sizes);
    while (fscanf(file, "%u %llu", &size, &count) == 2) {
        size_t bytes = taken_by(size, &request);

        if (bytes < size)
            bench_fail("a block is smaller than what was asked for");
        blocks += (double)count;
        asked += (double)size * (double)count;
        taken += (double)bytes * (double)count;
    }
    if (!feof(file) || blocks == 0)
        bench_fail("not lines of \"size count\"");
    fclose(file);
    printf("asked_bytes_per_block=%.2f taken_bytes_per_block=%.2f\n", asked / blocks,
           taken / blocks);
    return 0;
}
