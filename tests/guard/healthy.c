/* Programs without a fault: nothing may be printed, and the number of mappings must stay small. */
#include "guard.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap/freeonce_walk.h"

enum { THREADS = 4, ROUNDS = 3000, HELD = 64 };

/* Each byte of blocks of many sizes, around the edges of pages. */
static void sizes(void)
{
    for (size_t size = 1; size < 70000; size = size < 5000 ? size + 7 : size * 2 - 3) {
        unsigned char *p = OPENSSL_malloc(size);
        CHECK(p != NULL && ((uintptr_t)p & 15) == 0 && is_guarded(p, size));
        memset(p, 0x5c, size);
        p = OPENSSL_realloc(p, size * 2);
        CHECK(p != NULL && is_guarded(p, size * 2) && p[0] == 0x5c && p[size - 1] == 0x5c);
        memset(p, 1, size * 2);
        OPENSSL_free(p);
    }
}

static void huge(void)
{
    char *p = OPENSSL_malloc(40 << 20); /* larger than any slot */

    CHECK(p != NULL);
    p[0] = p[(40 << 20) - 1] = 1;
    OPENSSL_free(p);
}

static int mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    int lines = 0, c;

    CHECK(maps != NULL);
    while ((c = getc(maps)) != EOF)
        lines += c == '\n';
    fclose(maps);
    return lines;
}

/* Freed blocks must not leave split mappings behind.  With FREEONCE_GUARD_MAX=1000 reuse begins
 * after 4,096 blocks of a page. */
static void many(void)
{
    void *held[HELD] = {NULL};
    int before = mappings();

    for (int i = 0; i < 15000; i++) {
        int at = i * 7 % HELD;
        OPENSSL_free(held[at]);
        held[at] = OPENSSL_malloc((size_t)(i % 300) + 1);
        CHECK(held[at] != NULL && is_guarded(held[at], (size_t)(i % 300) + 1));
        *(char *)held[at] = 1;
    }
    CHECK(mappings() < before + 2 * HELD + 20);
    for (int i = 0; i < HELD; i++)
        OPENSSL_free(held[i]);
    CHECK(mappings() < before + 20);
}

static void keep_errno(void)
{
    errno = 1234;
    OPENSSL_free(OPENSSL_malloc(100));
    CHECK(errno == 1234);
}

static void *hammer(void *seed)
{
    unsigned random = (unsigned)(uintptr_t)seed;
    unsigned char *held[HELD] = {NULL};
    size_t size[HELD] = {0};

    for (int i = 0; i < ROUNDS; i++) {
        int at = rand_r(&random) % HELD;
        size_t wanted = (size_t)(rand_r(&random) % 6000) + 1;
        if (held[at] != NULL) /* no other block overlaps */
            CHECK(held[at][0] == (unsigned char)at && held[at][size[at] - 1] == (unsigned char)at);
        if (rand_r(&random) % 4 == 0) {
            held[at] = OPENSSL_realloc(held[at], wanted);
        } else {
            OPENSSL_free(held[at]);
            held[at] = OPENSSL_malloc(wanted);
        }
        CHECK(held[at] != NULL);
        size[at] = wanted;
        memset(held[at], at, wanted);
    }
    for (int i = 0; i < HELD; i++)
        OPENSSL_free(held[i]);
    return NULL;
}

static void start(pthread_t *threads)
{
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)) == 0);
}

static void join(const pthread_t *threads)
{
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

static void threads(void)
{
    pthread_t ids[THREADS];

    start(ids);
    join(ids);
}

/* Children of a threaded process can work, whatever the other threads did at the fork. */
static void fork_from_threads(void)
{
    pthread_t ids[THREADS];

    start(ids);
    for (int i = 0; i < 15; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            for (int n = 0; n < 300; n++) {
                void *p = OPENSSL_malloc((size_t)n * 16 + 1);
                CHECK(p != NULL);
                OPENSSL_free(p);
            }
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    join(ids);
}

static void first(void)
{
    void *p = OPENSSL_malloc(64);

    fact("guarded", is_guarded(p, 64));
    OPENSSL_free(p);
}

/* --- freeonce_walk() ---------------------------------------------------------------------------
 */

enum { WALKED = 200 };

/* So many blocks and bytes more are live than in `before`. */
static void check_walk(freeonce_walk_function *walk, const struct fo_walk *before, uint64_t blocks,
                       uint64_t bytes)
{
    struct fo_walk now;

    CHECK(walk(&now));
    CHECK(now.wrong == 0 && now.lost == 0);
    CHECK(now.live == before->live + blocks && now.live_bytes == before->live_bytes + bytes);
}

/* Small ones and large ones. */
static size_t walked_size(int i)
{
    return (size_t)(i * i * 7 + 1);
}

static void walk(void)
{
    freeonce_walk_function *function;
    struct fo_walk before;
    void *blocks[WALKED];
    uint64_t bytes = 0;

    *(void **)&function = dlsym(RTLD_DEFAULT, "freeonce_walk");
    CHECK(function != NULL);
    OPENSSL_free(OPENSSL_malloc(1)); /* the first block makes the heap */
    CHECK(function(&before) && before.wrong == 0);
    for (int i = 0; i < WALKED; i++) {
        blocks[i] = OPENSSL_malloc(walked_size(i));
        CHECK(blocks[i] != NULL);
        bytes += walked_size(i);
    }
    check_walk(function, &before, WALKED, bytes);
    for (int i = 0; i < WALKED; i += 2) {
        OPENSSL_free(blocks[i]);
        bytes -= walked_size(i);
    }
    check_walk(function, &before, WALKED / 2, bytes);
    for (int i = 1; i < WALKED; i += 2)
        OPENSSL_free(blocks[i]);
    check_walk(function, &before, 0, 0);
}

const struct guard_case healthy_cases[] = {
    {"first", first},     {"walk", walk},
    {"sizes", sizes},     {"huge", huge},
    {"many", many},       {"errno", keep_errno},
    {"threads", threads}, {"fork-from-threads", fork_from_threads},
    {NULL, NULL},
};
