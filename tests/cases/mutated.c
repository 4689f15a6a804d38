/* Hundreds of thousands of wrong pointers, passed to free and to realloc: is each refused, and are
 * all live blocks whole afterwards?
 *
 *   mutated [--host] COUNT SEED
 *
 * Pointers are near live blocks, near freed ones, at slots and pages, on the stack, in code,
 * outside the address space, in memory that cannot be read, behind the end of a file, and in memory
 * that another thread unmaps meanwhile.  The program knows its live blocks, and passes none of
 * them. It prints how many it passed: mutated.py compares that with the findings. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "../../src/heap/freeonce_walk.h"
#include "fault.h"
#include "pool.h"

enum { LIVE = 3000, PAST = 512, LARGE = 200000, PAGE = 4096, BUCKETS = 1 << 13 };

static uint64_t seed;
static unsigned char *live[LIVE];
static uint32_t sizes[LIVE];
static uintptr_t past[PAST]; /* freed once each */
static uint32_t past_sizes[PAST];
static unsigned long handed_in;

static uint64_t drawn(uint64_t below)
{
    seed = (seed ^ seed >> 12) * UINT64_C(0x9e3779b97f4a7c15) + 1;
    return (seed >> 16) % below;
}

static _Noreturn void stop(const char *what, const void *p)
{
    fprintf(stderr, "mutated: %s at %p, after %lu wrong pointers\n", what, p, handed_in);
    exit(1);
}

/* For pool.c. */
_Noreturn void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    exit(1);
}

/* --- live blocks ---------------------------------------------------------------------------------
 */

static uint16_t chains[BUCKETS], next[LIVE]; /* numbers from 1 */

static unsigned bucket_of(const void *p)
{
    return (unsigned)((uintptr_t)p >> 4) % BUCKETS;
}

static bool is_live(const void *p)
{
    for (unsigned n = chains[bucket_of(p)]; n != 0; n = next[n - 1])
        if (live[n - 1] == p)
            return true;
    return false;
}

static void add_to_live(unsigned i)
{
    next[i] = chains[bucket_of(live[i])];
    chains[bucket_of(live[i])] = (uint16_t)(i + 1);
}

static void remove_from_live(unsigned i)
{
    uint16_t *at = &chains[bucket_of(live[i])];

    while (*at != i + 1)
        at = &next[*at - 1];
    *at = next[i];
}

static unsigned char pattern_of(unsigned i, size_t byte)
{
    return (unsigned char)(i * 37 + byte * 11 + 1);
}

static void make(unsigned i)
{
    sizes[i] = (uint32_t)(1 + drawn(drawn(200) == 0 ? LARGE : drawn(8) == 0 ? 5000 : 200));
    live[i] = OPENSSL_malloc(sizes[i]);
    if (live[i] == NULL)
        stop("no memory", NULL);
    if (is_live(live[i]))
        stop("two live blocks", live[i]);
    for (size_t k = 0; k < sizes[i]; k++)
        live[i][k] = pattern_of(i, k);
    add_to_live(i);
}

static void check(unsigned i)
{
    for (size_t k = 0; k < sizes[i]; k++)
        if (live[i][k] != pattern_of(i, k))
            stop("a live block was written to", live[i] + k);
}

static void replace(unsigned i)
{
    unsigned k = (unsigned)drawn(PAST);

    check(i);
    remove_from_live(i);
    past[k] = (uintptr_t)live[i];
    past_sizes[k] = sizes[i];
    OPENSSL_free(live[i]);
    make(i);
}

/* --- wrong pointers ------------------------------------------------------------------------------
 */

static unsigned char *closed, *short_file, *_Atomic vanishing;
static _Atomic bool over;

static void *map_and_unmap(void *unused)
{
    while (!over) {
        void *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            continue;
        memset(p, 0x55, PAGE);
        vanishing = p;
        munmap(p, 16 * PAGE);
    }
    return unused;
}

static void map_strange_memory(void)
{
    closed = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    FILE *file = tmpfile();
    if (closed == MAP_FAILED || file == NULL || fputs("short", file) < 0 || fflush(file) != 0)
        stop("no strange memory", NULL);
    short_file = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    if (short_file == MAP_FAILED)
        stop("no file", NULL);
}

static long delta(void)
{
    static const long near[] = {1,   2,   4,   7,    8,    12,   15,   16,    17,    24,
                                32,  48,  64,  80,   96,   112,  128,  160,   208,   240,
                                256, 272, 512, 1024, 2048, 4096, 8192, 16384, 65536, 1 << 20};
    long by = near[drawn(sizeof near / sizeof *near)];

    return drawn(2) == 0 ? by : -by;
}

static uintptr_t near_live(void)
{
    unsigned i = (unsigned)drawn(LIVE);

    switch (drawn(4)) {
    case 0:
        return (uintptr_t)live[i] + sizes[i];
    case 1:
        return (uintptr_t)live[i] + drawn(sizes[i]);
    case 2:
        return ((uintptr_t)live[i] + drawn(sizes[i])) & ~(uintptr_t)15;
    default:
        return (uintptr_t)live[i] + (uintptr_t)delta();
    }
}

static uintptr_t near_freed(void)
{
    unsigned k = (unsigned)drawn(PAST);

    if (past[k] == 0)
        return 8;
    switch (drawn(3)) {
    case 0:
        return past[k];
    case 1:
        return past[k] + drawn(past_sizes[k] + UINT64_C(1));
    default:
        return past[k] + (uintptr_t)delta();
    }
}

static uintptr_t at_an_edge(void)
{
    uintptr_t page = (uintptr_t)live[drawn(LIVE)] & ~(uintptr_t)(PAGE - 1);

    return page + drawn(64) * PAGE - 32 * PAGE + drawn(3) * 16;
}

/* A pointer that differs from a block's in one bit; it may point into the header. */
static uintptr_t one_bit_off(void)
{
    return (uintptr_t)live[drawn(LIVE)] ^ UINT64_C(1) << drawn(64);
}

static uintptr_t anywhere(void)
{
    unsigned char here[64];

    switch (drawn(12)) {
    case 0:
        return (uintptr_t)here + drawn(sizeof here);
    case 1:
        return (uintptr_t)anywhere + drawn(256);
    case 2:
        return (uintptr_t) "a string" + drawn(8);
    case 3:
        return (uintptr_t)closed + drawn(UINT64_C(4) * PAGE);
    case 4:
        return (uintptr_t)short_file + drawn(UINT64_C(4) * PAGE);
    case 5:
        return (uintptr_t)vanishing + drawn(UINT64_C(16) * PAGE);
    case 6:
        return 1 + drawn(PAGE);
    case 7:
        return UINT64_C(0xffff800000000000) + drawn(UINT64_C(1) << 40);
    case 8:
        return UINT64_C(1) << 47 | drawn(UINT64_C(1) << 62);
    case 9:
        return drawn(2) == 0 ? UINT64_C(0x5555555555555555) : UINT64_C(0xa5a5a5a5a5a5a5a5);
    case 10:
        return drawn(UINT64_C(1) << 47);
    default:
        return UINTPTR_MAX - drawn(64);
    }
}

static void *wrong_pointer(void)
{
    void *p;

    do {
        uint64_t kind = drawn(10);
        uintptr_t at = kind < 3   ? near_live()
                       : kind < 6 ? near_freed()
                       : kind < 7 ? at_an_edge()
                       : kind < 8 ? one_bit_off()
                                  : anywhere();
        p = (void *)at;
    } while (p == NULL || is_live(p));
    return p;
}

/* Without a file: OpenSSL 3.6 adds an error for a failed realloc of a file, and so has live blocks
 * of its own. */
static void hand_over(void *p)
{
    handed_in++;
    if (drawn(4) != 0)
        CRYPTO_free(p, "mutated", 1);
    else if (CRYPTO_realloc(p, 1 + drawn(500), NULL, 0) != NULL)
        stop("realloc took a wrong pointer", p);
}

/* --- the heap ------------------------------------------------------------------------------------
 */

static void check_heap(void)
{
    freeonce_walk_function *walk;
    struct fo_walk found;

    *(void **)&walk = dlsym(RTLD_DEFAULT, "freeonce_walk");
    if (walk == NULL || !walk(&found))
        return;
    if (found.wrong != 0)
        stop(found.what, (void *)found.where);
    printf("walked %lu\n", (unsigned long)found.live);
}

int main(int argc, char **argv)
{
    bool hosted = argc == 4 && strcmp(argv[1], "--host") == 0;
    pthread_t thread;

    if (argc != 3 && !hosted)
        stop("usage: mutated [--host] COUNT SEED", NULL);
    if (hosted)
        pool_register("private");
    unsigned long count = strtoul(argv[argc - 2], NULL, 10);
    seed = strtoul(argv[argc - 1], NULL, 10);
    map_strange_memory();
    for (unsigned i = 0; i < LIVE; i++)
        make(i);
    if (pthread_create(&thread, NULL, map_and_unmap, NULL) != 0)
        stop("no thread", NULL);
    while (handed_in < count) {
        hand_over(wrong_pointer());
        if (handed_in % 2 == 0)
            replace((unsigned)drawn(LIVE));
        if (handed_in % 4096 == 0)
            for (unsigned i = 0; i < LIVE; i++)
                check(i);
    }
    over = true;
    pthread_join(thread, NULL);
    check_heap();
    for (unsigned i = 0; i < LIVE; i++) {
        check(i);
        remove_from_live(i);
        OPENSSL_free(live[i]);
    }
    check_heap();
    printf("handed-in %lu\n", handed_in);
    return 0;
}
