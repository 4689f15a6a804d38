/* More blocks than can be guarded: the backend beneath serves the rest, with one message. */
#include "guard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 300 };

static char *blocks[BLOCKS];

static int fill(void)
{
    int guarded = 0;

    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = OPENSSL_malloc(100);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], i, 100);
        guarded += is_guarded(blocks[i], 100);
    }
    return guarded;
}

static void empty(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        CHECK(blocks[i][0] == (char)i && blocks[i][99] == (char)i);
        OPENSSL_free(blocks[i]);
    }
}

/* With FREEONCE_GUARD_MAX=100: no slot is lost, and freed ones serve again. */
static void bound(void)
{
    fact("guarded", (uintptr_t)fill());
    empty();
    fact("guarded", (uintptr_t)fill());
    if (fork() == 0) {
        empty();
        CHECK(fill() == 100);
        _exit(0);
    }
    int status;
    CHECK(wait(&status) > 0 && status == 0);
    empty();
}

/* A block of the backend beneath is freed twice. */
static void bound_double_free(void)
{
    fill();
    char *p = ALLOC("alloc", 64);
    CHECK(!is_guarded(p, 64));
    FREE("first", p);
    FREE("now", launder(p));
    empty();
}

/* --- the program's own functions ---------------------------------------------------------------
 */

static unsigned long hosted;
static char *pool; /* shared by processes */

static void *host_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    hosted++;
    if (pool == NULL)
        return malloc(size);
    char *p = pool;
    pool += (size + 15) & ~(size_t)15;
    return p;
}

static void host_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    if (pool == NULL)
        free(p);
}

static void *host_realloc(void *p, size_t size, const char *file, int line)
{
    (void)p;
    (void)size;
    (void)file;
    (void)line;
    return NULL; /* never called: a block always moves */
}

/* Before OpenSSL's first block. */
__attribute__((constructor)) static void prepare(void)
{
    const char *host = getenv("GUARD_HOST"), *space = getenv("GUARD_SPACE");

    if (host != NULL && strcmp(host, "shared") == 0) {
        pool = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        CHECK(pool != MAP_FAILED);
    }
    if (host != NULL)
        CHECK(CRYPTO_set_mem_functions(host_malloc, host_realloc, host_free) == 1);
    if (space != NULL) {
        struct rlimit limit = {strtoul(space, NULL, 10) << 20, RLIM_INFINITY};
        CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    }
}

/* Which backend is beneath? */
static void beneath(void)
{
    fact("guarded", (uintptr_t)fill());
    fact("hosted", hosted > 0);
    empty();
}

const struct guard_case bound_cases[] = {
    {"bound", bound},
    {"bound-double-free", bound_double_free},
    {"beneath", beneath},
    {NULL, NULL},
};
