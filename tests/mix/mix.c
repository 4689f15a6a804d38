/* mix: OpenSSL's blocks passed to libc's functions, one case for each run; and healthy programs,
 * for which nothing may be printed.  run.py starts it, and knows what each case must report. */
#include <dlfcn.h>
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
#include <sys/mman.h>
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

/* OpenSSL's allocator; the line becomes a fact with this name. */
#define ALLOC(site, size) (fact(site, __LINE__), OPENSSL_malloc(size))
#define FREE(site, p)     (fact(site, __LINE__), OPENSSL_free(p))

static void fact(const char *name, int line)
{
    dprintf(STDOUT_FILENO, "%s %d\n", name, line);
}

/* The same pointer; the compiler does not know that. */
static void *launder(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

/* free(3) does not change errno. */
static void libc_free(void *p)
{
    errno = 4321;
    free(launder(p));
    CHECK(errno == 4321);
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
    libc_free(block());
}

static void free_then_openssl(void)
{
    char *p = block();

    libc_free(p);
    FREE("now", launder(p));
}

/* For neighbours.py: a wrong free without libc's functions. */
static void openssl_twice(void)
{
    char *p = block();

    FREE("first", p);
    FREE("now", launder(p));
}

static void free_freed(void)
{
    char *p = block();

    FREE("first", p);
    libc_free(p);
}

static void free_inside(void)
{
    char *p = block();

    libc_free(p + 16);
    check_bytes(p, 64);
    OPENSSL_free(p);
}

static void free_inside_large(void)
{
    char *p = ALLOC("alloc", 5000);

    libc_free(p + 1024); /* the search for a header goes so far */
    OPENSSL_free(p);
}

static void free_inside_freed(void)
{
    char *p = block();

    FREE("first", p);
    libc_free(p + 24);
}

static void free_damaged(void)
{
    char *p = block();

    memset(launder(p - 8), 'd', 8);
    libc_free(p);
}

/* The end of the block, which is the beginning of its neighbour's header. */
static void free_behind(void)
{
    char *p = block();

    libc_free(p + 64);
    check_bytes(p, 64);
    OPENSSL_free(p);
}

static void reallocate(size_t size)
{
    char *p = block();
    char *moved = realloc(launder(p), size);

    CHECK(moved != NULL && moved != p);
    check_bytes(moved, size < 64 ? size : 64);
    memset(moved, 'm', size);
    OPENSSL_free(moved); /* right: it is still a block of OpenSSL */
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

static void realloc_at(size_t offset)
{
    char *p = block();

    errno = 0;
    CHECK(realloc(launder(p + offset), 100) == NULL && errno == ENOMEM);
    check_bytes(p, 64);
    OPENSSL_free(p);
}

static void realloc_inside(void)
{
    realloc_at(32);
}

static void realloc_behind(void)
{
    realloc_at(64);
}

static void realloc_array(void)
{
    char *p = block();
    char *moved = reallocarray(launder(p), 10, 20);

    CHECK(moved != NULL);
    check_bytes(moved, 64);
    OPENSSL_free(moved);
}

static void realloc_array_freed(void)
{
    char *p = block();

    FREE("first", p);
    CHECK(reallocarray(launder(p), 10, 20) == NULL);
}

static void realloc_array_at(size_t offset)
{
    char *p = block();

    CHECK(reallocarray(launder(p + offset), 10, 20) == NULL);
    check_bytes(p, 64);
    OPENSSL_free(p);
}

static void realloc_array_inside(void)
{
    realloc_array_at(32);
}

static void realloc_array_behind(void)
{
    realloc_array_at(64);
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

static void usable_behind(void)
{
    char *p = block();

    CHECK(malloc_usable_size(launder(p + 64)) == 0);
    OPENSSL_free(p);
}

/* In a handler of atexit(3), and in a destructor of the program, which runs later. */
static char *at_exit, *at_end;

static void free_at_exit(void)
{
    libc_free(at_exit);
}

__attribute__((destructor)) static void end(void)
{
    free(malloc(100));
    if (at_end != NULL)
        libc_free(at_end);
}

static void exit_handlers(void)
{
    at_exit = block();
    at_end = ALLOC("end", 64);
    CHECK(atexit(free_at_exit) == 0);
}

/* A child frees what its parent allocated. */
static void free_in_child(void)
{
    char *p = block();
    int status;

    if (fork() == 0) {
        libc_free(p);
        _exit(0);
    }
    CHECK(wait(&status) > 0 && status == 0);
    FREE("now", p); /* in shared memory the child has freed the block */
}

/* --- the heap's place --------------------------------------------------------------------------
 */

enum { LARGE = 100000, MANY = 1000 };

/* The end of the mappings around p without a gap between them. */
static char *end_of_mappings(const char *p)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    unsigned long start, end, last = 0;

    CHECK(maps != NULL);
    while (fscanf(maps, "%lx-%lx%*[^\n]", &start, &end) == 2)
        if (start == last || (start <= (unsigned long)p && (unsigned long)p < end))
            last = end;
    fclose(maps);
    CHECK(last != 0);
    return (char *)last; /* NOLINT(performance-no-int-to-ptr) */
}

/* What glibc 2.43 leaves out of the size of a block that is a mapping: 16 bytes; older ones 0. */
static size_t left_out_of_a_size(void)
{
    size_t *volatile large = malloc(1000000); /* else gcc warns of large[-1] */

    CHECK(large != NULL && (large[-1] & 2) != 0); /* of glibc's struct malloc_chunk: IS_MMAPPED */
    size_t left_out = -(large[-1] & ~(size_t)15) & 4095;
    free(large);
    return left_out;
}

/* A mapping in the way of the heap stays the program's, and blocks behind it are OpenSSL's.  The
 * mapping is a block of libc, as libc makes for large sizes. */
static void hole(void)
{
    size_t size = 65536 - left_out_of_a_size();
    char *p = block(), *mapping = end_of_mappings(p), *behind = NULL;

    CHECK(mmap(mapping, 65536, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == mapping);
    ((size_t *)mapping)[1] = size | 2;
    CHECK(malloc_usable_size(mapping + 16) >= size - 16);
    fact("alloc", __LINE__ + 2);
    for (int i = 0; i < MANY; i++) {
        char *q = OPENSSL_malloc(LARGE);
        CHECK(q != NULL);
        if (q > mapping)
            behind = q;
    }
    CHECK(behind != NULL && behind - mapping < (ptrdiff_t)LARGE * MANY * 2);
    libc_free(mapping + 16);
    CHECK(msync(mapping, 65536, MS_ASYNC) != 0 && errno == ENOMEM);
    libc_free(behind);
    OPENSSL_free(p);
}

/* Another process made the heap larger. */
static void grown(void)
{
    char **common = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;

    CHECK(common != MAP_FAILED);
    fact("alloc", __LINE__ + 3);
    if (fork() == 0) {
        for (int i = 0; i < MANY; i++)
            *common = OPENSSL_malloc(LARGE);
        _exit(0);
    }
    CHECK(wait(&status) > 0 && status == 0);
    libc_free(*common);
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

/* Blocks of both allocators, in reused memory. */
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

/* The dynamic linker allocates and frees while libraries are loaded and unloaded. */
static void *libraries(void *unused)
{
    for (int i = 0; i < 200; i++) {
        void *library = dlopen("libresolv.so.2", RTLD_NOW);
        CHECK(library != NULL && dlsym(library, "there is none") == NULL && dlerror() != NULL);
        CHECK(dlclose(library) == 0);
        CHECK(dlopen("there-is-none.so", RTLD_NOW) == NULL);
    }
    return unused;
}

static void run_threads(int forks)
{
    pthread_t ids[5];

    for (uintptr_t i = 0; i < 4; i++)
        CHECK(pthread_create(&ids[i], NULL, churn, (void *)(i + 1)) == 0);
    CHECK(pthread_create(&ids[4], NULL, libraries, NULL) == 0);
    for (int i = 0; i < forks; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            alarm(300); /* ends a child that hangs */
            for (int n = 1; n < 1000; n++)
                free(reallocarray(malloc((size_t)n), 2, (size_t)n));
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    for (int i = 0; i < 5; i++)
        CHECK(pthread_join(ids[i], NULL) == 0);
}

static void threads(void)
{
    run_threads(20);
}

/* The mallocs of AddressSanitizer and of libc_malloc_debug.so do not work in the child of a
 * threaded process. */
static void threads_alone(void)
{
    run_threads(0);
}

/* A wrong free in a signal handler, which interrupts OpenSSL's malloc. */
static volatile sig_atomic_t ticks;
static char *in_handler;

static void tick(int number)
{
    (void)number;
    if (ticks++ == 0)
        free(in_handler);
    __asm__ volatile(""); /* no tail call: this function is the caller */
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

static unsigned long given; /* because of it, host_free is more than a jump to libc's free */

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

/* A pool is freed with all its blocks, and its memory becomes blocks of the program: each of them
 * is libc's, also where a block of OpenSSL began. Not many: once in 65,536 blocks the program's
 * bytes have the check bits of a header. */
enum { POOL = 6000, REUSED = 4000 };
static char *pool;
static size_t pool_used;

static void *pool_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (pool == NULL)
        return malloc(size);
    pool_used += 48;
    return size <= 32 && pool_used <= POOL ? pool + pool_used - 32 : NULL;
}

static void pool_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    given++;
    if ((uintptr_t)p - (uintptr_t)pool >= POOL)
        free(p);
}

static void thrown_away(void)
{
    static char *blocks[POOL / 48], *own[REUSED];
    int same = 0;

    pool = malloc(POOL);
    CHECK(pool != NULL);
    for (int i = 0; i < POOL / 48; i++)
        blocks[i] = OPENSSL_malloc(8);
    free(pool);
    pool = NULL;
    for (int i = 0; i < REUSED; i++) {
        own[i] = malloc(24);
        CHECK(own[i] != NULL);
        memset(own[i], 'o', 24);
        for (int n = 0; n < POOL / 48; n++)
            same += own[i] == blocks[n];
    }
    CHECK(same > 10);
    for (int i = 0; i < REUSED; i++)
        libc_free(own[i]);
}

/* Before main(), as in libraries; and before all constructors, those of libraries included. */
__attribute__((constructor)) static void early(void)
{
    char *p = malloc(100);

    p = realloc(p, 1000);
    CHECK(p != NULL);
    malloc_usable_size(p); /* not checked: tcmalloc does not know the size yet */
    p = reallocarray(p, 50, 40);
    CHECK(p != NULL);
    free(p);
}

__attribute__((section(".preinit_array"), used)) static void (*const earliest)(void) = early;

/* A module whose malloc and free are libc's own, beside the library's. */
static int run_deep(const char *path)
{
    int (*deep)(void);
    void *module = dlopen(path, RTLD_NOW | RTLD_DEEPBIND);

    CHECK(module != NULL);
    *(void **)&deep = dlsym(module, "deep");
    CHECK(deep != NULL && deep() == 0);
    churn((void *)1);
    CHECK(dlclose(module) == 0);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"free-live", free_live},
        {"free-then-openssl", free_then_openssl},
        {"openssl-twice", openssl_twice},
        {"free-freed", free_freed},
        {"free-inside", free_inside},
        {"free-inside-large", free_inside_large},
        {"free-inside-freed", free_inside_freed},
        {"free-damaged", free_damaged},
        {"free-behind", free_behind},
        {"free-at-exit", exit_handlers},
        {"free-in-child", free_in_child},
        {"realloc-grow", realloc_grow},
        {"realloc-shrink", realloc_shrink},
        {"realloc-zero", realloc_zero},
        {"realloc-freed", realloc_freed},
        {"realloc-inside", realloc_inside},
        {"realloc-behind", realloc_behind},
        {"reallocarray", realloc_array},
        {"reallocarray-freed", realloc_array_freed},
        {"reallocarray-inside", realloc_array_inside},
        {"reallocarray-behind", realloc_array_behind},
        {"reallocarray-too-large", realloc_array_too_large},
        {"usable-live", usable_live},
        {"usable-freed", usable_freed},
        {"usable-inside", usable_inside},
        {"usable-behind", usable_behind},
        {"hole", hole},
        {"grown", grown},
        {"healthy", healthy},
        {"threads", threads},
        {"threads-alone", threads_alone},
        {"handler", handler},
        {"thrown-away", thrown_away},
    };

    if (argc == 3 && strcmp(argv[1], "deep") == 0)
        return run_deep(argv[2]);
    if (argc == 3 && strcmp(argv[2], "host") == 0)
        CHECK(CRYPTO_set_mem_functions(host_malloc, host_realloc, host_free) == 1);
    if (argc == 3 && strcmp(argv[2], "pool") == 0)
        CHECK(CRYPTO_set_mem_functions(pool_malloc, host_realloc, pool_free) == 1);
    OPENSSL_free(OPENSSL_malloc(1)); /* the first block is never a guarded one */
    for (size_t i = 0; argc >= 2 && i < sizeof cases / sizeof *cases; i++)
        if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            char *p = OPENSSL_malloc(1000); /* both allocators still work */
            CHECK(p != NULL);
            memset(p, 1, 1000);
            OPENSSL_free(p);
            free(malloc(1000));
            return 0;
        }
    fprintf(stderr, "usage: mix CASE [host|pool], or mix deep MODULE\n");
    return 2;
}
