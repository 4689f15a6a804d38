/* mix: OpenSSL's blocks handed to libc's functions, one case a run; and healthy programs, which
 * must stay silent.  Run by run.py, which knows what each must report. */
#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do                                                                                             \
        if (!(condition)) {                                                                        \
            dprintf(STDERR_FILENO, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                 \
            _exit(1);                                                                              \
        }                                                                                          \
    while (0)

/* OpenSSL's allocator, with the line told under a name. */
#define ALLOC(site, size) (fact(site, __LINE__), OPENSSL_malloc(size))
#define FREE(site, p)     (fact(site, __LINE__), OPENSSL_free(p))

static void fact(const char *name, int line)
{
    dprintf(STDOUT_FILENO, "%s %d\n", name, line);
}

/* The same pointer, in a way that the compiler cannot see through. */
static void *launder(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

static volatile size_t half_of_all = SIZE_MAX / 2;

static char *block(void)
{
    char *p = ALLOC("alloc", 64);

    CHECK(p != NULL);
    memset(p, 'b', 64);
    return p;
}

static void check_bytes(const char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        CHECK(p[i] == 'b');
}

/* --- mistakes ----------------------------------------------------------------------------------
 */

static void free_live(void)
{
    free(launder(block()));
}

static void free_then_openssl(void)
{
    char *p = block();

    free(launder(p));
    FREE("now", launder(p));
}

static void free_freed(void)
{
    char *p = block();

    FREE("first", p);
    free(launder(p));
}

static void free_inside(void)
{
    char *p = block();

    free(launder(p + 16));
    check_bytes(p, 64);
    OPENSSL_free(p);
}

static void free_inside_large(void)
{
    char *p = ALLOC("alloc", 5000);

    free(launder(p + 1024)); /* as far as is looked */
    OPENSSL_free(p);
}

static void free_inside_freed(void)
{
    char *p = block();

    FREE("first", p);
    free(launder(p + 24));
}

static void free_damaged(void)
{
    char *p = block();

    memset(launder(p - 8), 'd', 8);
    free(launder(p));
}

static void reallocate(size_t size)
{
    char *p = block();
    char *moved = realloc(launder(p), size);

    CHECK(moved != NULL && moved != p);
    check_bytes(moved, size < 64 ? size : 64);
    memset(moved, 'm', size);
    OPENSSL_free(moved); /* silent: it is OpenSSL's still */
}

static void realloc_grow(void)
{
    reallocate(10000);
}

static void realloc_shrink(void)
{
    reallocate(8);
}

static void realloc_zero(void)
{
    CHECK(realloc(launder(block()), 0) == NULL);
}

static void realloc_freed(void)
{
    char *p = block();

    FREE("first", p);
    CHECK(realloc(launder(p), 100) == NULL);
}

static void realloc_inside(void)
{
    char *p = block();

    CHECK(realloc(launder(p + 32), 100) == NULL);
    check_bytes(p, 64);
    OPENSSL_free(p);
}

static void realloc_array(void)
{
    char *p = block();
    char *moved = reallocarray(launder(p), 10, 20);

    CHECK(moved != NULL);
    check_bytes(moved, 64);
    OPENSSL_free(moved);
}

static void realloc_array_too_large(void)
{
    char *p = block();

    CHECK(reallocarray(launder(p), half_of_all, 3) == NULL && errno == ENOMEM);
    check_bytes(p, 64);
    OPENSSL_free(p);
}

static void usable_live(void)
{
    char *p = block();

    CHECK(malloc_usable_size(launder(p)) == 64);
    OPENSSL_free(p);
}

static void usable_freed(void)
{
    char *p = block();

    FREE("first", p);
    CHECK(malloc_usable_size(launder(p)) == 0);
}

static void usable_inside(void)
{
    char *p = block();

    CHECK(malloc_usable_size(launder(p + 8)) == 0);
    OPENSSL_free(p);
}

/* A child frees what its parent allocated. */
static void free_in_child(void)
{
    char *p = block();
    int status;

    if (fork() == 0) {
        free(launder(p));
        _exit(0);
    }
    CHECK(wait(&status) > 0 && status == 0);
    FREE("now", p); /* in shared memory it is the child's free that was right */
}

/* --- healthy -----------------------------------------------------------------------------------
 */

enum { HELD = 256 };

struct mine {
    unsigned char *p;
    size_t size;
    bool openssl;
};

static void drop(struct mine *m, unsigned char mark)
{
    if (m->p != NULL)
        CHECK(m->p[0] == mark && m->p[m->size - 1] == mark);
    if (m->openssl)
        OPENSSL_free(m->p);
    else
        free(m->p);
}

static void take(struct mine *m, size_t size, unsigned kind)
{
    m->openssl = kind == 0;
    m->size = size;
    m->p = kind == 0   ? OPENSSL_malloc(size)
           : kind == 1 ? malloc(size)
           : kind == 2 ? calloc(1, size)
                       : reallocarray(NULL, size, 1);
    CHECK(m->p != NULL && (kind == 0 || malloc_usable_size(m->p) >= size));
}

static void grow(struct mine *m, size_t size)
{
    m->p = m->openssl ? OPENSSL_realloc(m->p, size) : realloc(m->p, size);
    CHECK(m->p != NULL);
    m->size = size;
}

/* Both allocators' blocks side by side, in each other's former places. */
static void *churn(void *seed)
{
    unsigned random = (unsigned)(uintptr_t)seed;
    struct mine held[HELD] = {{NULL, 0, false}};

    for (int i = 0; i < 50000; i++) {
        unsigned at = (unsigned)rand_r(&random) % HELD;
        size_t size = (size_t)(rand_r(&random) % (i % 100 == 0 ? 200000 : 400)) + 1;
        if (held[at].p != NULL && rand_r(&random) % 4 == 0) {
            grow(&held[at], size);
        } else {
            drop(&held[at], (unsigned char)at);
            take(&held[at], size, (unsigned)rand_r(&random) % 4);
        }
        memset(held[at].p, (int)at, held[at].size);
    }
    for (unsigned at = 0; at < HELD; at++)
        drop(&held[at], (unsigned char)at);
    return NULL;
}

static void healthy(void)
{
    churn((void *)1);
    free(NULL);
    CHECK(malloc_usable_size(NULL) == 0);
    CHECK(reallocarray(NULL, half_of_all, 3) == NULL && errno == ENOMEM);
    void *p = aligned_alloc(65536, 65536);
    free(p);
    p = realloc(NULL, 10);
    free(p);
}

static void threads(void)
{
    pthread_t ids[4];

    for (uintptr_t i = 0; i < 4; i++)
        CHECK(pthread_create(&ids[i], NULL, churn, (void *)(i + 1)) == 0);
    for (int i = 0; i < 20; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            for (int n = 1; n < 1000; n++)
                free(malloc((size_t)n));
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(ids[i], NULL) == 0);
}

/* A wrong free in a signal handler, while the program is in the middle of OpenSSL's malloc. */
static volatile sig_atomic_t ticks;
static char *in_handler;

static void tick(int number)
{
    (void)number;
    if (ticks++ == 0)
        free(in_handler);
    __asm__ volatile(""); /* no tail call: the caller is this one */
}

static void handler(void)
{
    struct itimerval often = {{0, 500}, {0, 500}};

    in_handler = block();
    signal(SIGALRM, tick);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    while (ticks < 5)
        OPENSSL_free(OPENSSL_malloc(100));
}

/* --- a program's own functions -----------------------------------------------------------------
 */

static unsigned long given; /* which keeps host_free from being a mere jump to libc's */

static void *host_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void *host_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(p, size);
}

static void host_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    given++;
    free(p);
}

/* Before main(), as libraries do. */
__attribute__((constructor)) static void early(void)
{
    char *p = malloc(100);

    p = realloc(p, 1000);
    CHECK(p != NULL);
    free(p);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"free-live", free_live},
        {"free-then-openssl", free_then_openssl},
        {"free-freed", free_freed},
        {"free-inside", free_inside},
        {"free-inside-large", free_inside_large},
        {"free-inside-freed", free_inside_freed},
        {"free-damaged", free_damaged},
        {"free-in-child", free_in_child},
        {"realloc-grow", realloc_grow},
        {"realloc-shrink", realloc_shrink},
        {"realloc-zero", realloc_zero},
        {"realloc-freed", realloc_freed},
        {"realloc-inside", realloc_inside},
        {"reallocarray", realloc_array},
        {"reallocarray-too-large", realloc_array_too_large},
        {"usable-live", usable_live},
        {"usable-freed", usable_freed},
        {"usable-inside", usable_inside},
        {"healthy", healthy},
        {"threads", threads},
        {"handler", handler},
    };

    if (argc == 3 && strcmp(argv[2], "host") == 0)
        CHECK(CRYPTO_set_mem_functions(host_malloc, host_realloc, host_free) == 1);
    OPENSSL_free(OPENSSL_malloc(1)); /* the first block is never a guarded one */
    for (size_t i = 0; argc >= 2 && i < sizeof cases / sizeof *cases; i++)
        if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            char *p = OPENSSL_malloc(1000); /* the program goes on */
            CHECK(p != NULL);
            memset(p, 1, 1000);
            OPENSSL_free(p);
            free(malloc(1000));
            return 0;
        }
    fprintf(stderr, "usage: mix CASE [host]\n");
    return 2;
}
