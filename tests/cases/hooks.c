/* Programs that register memory functions of their own, all or some, at each moment: what does
 * OpenSSL's hook answer? */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "forwards.h"
#include "pool.h"

/* "libcrypto.so.3+0x1234": the same with and without the library. */
static void fact_function(const char *name, void *address)
{
    Dl_info info;

    /* The comparison of programs, however their dynamic linker bound the name. */
    if (address == (void *)(uintptr_t)CRYPTO_malloc ||
        address == (void *)(uintptr_t)CRYPTO_realloc || address == (void *)(uintptr_t)CRYPTO_free) {
        fact(name, "OpenSSL's own");
        return;
    }
    if (address == NULL || dladdr(address, &info) == 0) {
        fact(name, "%s", address == NULL ? "NULL" : "?");
        return;
    }
    const char *slash = strrchr(info.dli_fname, '/');
    fact(name, "%s+%#tx", slash != NULL ? slash + 1 : info.dli_fname,
         (char *)address - (char *)info.dli_fbase);
}

static void fact_current(void)
{
    CRYPTO_malloc_fn m;
    CRYPTO_realloc_fn r;
    CRYPTO_free_fn f;

    CRYPTO_get_mem_functions(&m, &r, &f);
    fact_function("malloc", *(void **)&m);
    fact_function("realloc", *(void **)&r);
    fact_function("free", *(void **)&f);
    CRYPTO_get_mem_functions(NULL, NULL, NULL);
}

static void fact_served(void)
{
    OPENSSL_free(OPENSSL_malloc(40)); /* the first allocation may test the pool */
    unsigned long before = pool_log->mallocs;
    OPENSSL_free(OPENSSL_malloc(40));
    fact("served", "%s", pool_log->mallocs > before ? "by the pool" : "by others");
}

static void ask_only(void)
{
    fact_current();
    OPENSSL_free(OPENSSL_malloc(40));
    fact_current();
}

static int set(CRYPTO_malloc_fn m, CRYPTO_realloc_fn r, CRYPTO_free_fn f)
{
    int answer = CRYPTO_set_mem_functions(m, r, f);
    fact("answer", "%d", answer);
    return answer;
}

static int set_pool(void)
{
    pool_prepare("private");
    return set(pool_malloc, pool_realloc, pool_free);
}

static void before(void)
{
    set_pool();
    fact_current();
    fact_served();
    fact_current();
}

static void after(void)
{
    OPENSSL_free(OPENSSL_malloc(40));
    set_pool();
    fact_current();
    fact_served();
}

/* As MariaDB does. */
static void malloc_only(void)
{
    pool_prepare("private");
    set(pool_malloc, NULL, NULL);
    fact_current();
    fact_served();
}

static void nothing(void)
{
    set(NULL, NULL, NULL);
    fact_current();
    fact_served();
}

static void defaults_back(void)
{
    CRYPTO_malloc_fn m;
    CRYPTO_realloc_fn r;
    CRYPTO_free_fn f;

    CRYPTO_get_mem_functions(&m, &r, &f);
    set(m, r, f);
    fact_current();
    fact_served();
}

/* Because of the count these are more than jumps to libc's functions (forwards.c). */
static unsigned long other_frees;

static void *other_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void *other_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(p, size);
}

static void other_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    other_frees++;
    free(p);
}

static void twice_before(void)
{
    CHECK(CRYPTO_set_mem_functions(other_malloc, other_realloc, other_free) == 1);
    set_pool();
    fact_current();
    fact_served();
}

static void again_after(void)
{
    CHECK(set_pool() == 1);
    OPENSSL_free(OPENSSL_malloc(40));
    fact("same", "%d", CRYPTO_set_mem_functions(pool_malloc, pool_realloc, pool_free));
    fact("other", "%d", CRYPTO_set_mem_functions(other_malloc, other_realloc, other_free));
    fact_current();
    fact_served();
}

static int call_set(void *address)
{
    int (*function)(CRYPTO_malloc_fn, CRYPTO_realloc_fn, CRYPTO_free_fn);

    *(void **)&function = address;
    CHECK(function != NULL);
    return function(pool_malloc, pool_realloc, pool_free);
}

static void through_dlsym(void)
{
    void *crypto = dlopen("libcrypto.so." OPENSSL_MSTR(OPENSSL_SHLIB_VERSION), RTLD_NOW);

    CHECK(crypto != NULL);
    pool_prepare("private");
    fact("answer", "%d", call_set(dlsym(crypto, "CRYPTO_set_mem_functions")));
    fact_current();
    fact_served();
    CHECK(dlerror() == NULL);
}

static void through_default(void)
{
    pool_prepare("private");
    fact("answer", "%d", call_set(dlsym(RTLD_DEFAULT, "CRYPTO_set_mem_functions")));
    fact_served();
}

/* The pool sees OpenSSL's source lines, as it would without the library. */
static void lines_passed_on(void)
{
    CHECK(set_pool() == 1);
    void *p = ALLOC("alloc", 40);
    fact("seen-malloc", "%s:%d", pool_log->malloc_file, pool_log->malloc_line);
    FREE("free", p);
    fact("seen-free", "%s:%d", pool_log->free_file, pool_log->free_line);
}

/* While the pool has no memory, OpenSSL has none; it has memory as soon as the pool has. */
static void late_pool(void)
{
    pool_prepare("late");
    set(pool_malloc, pool_realloc, pool_free);
    CHECK(OPENSSL_malloc(40) == NULL);
    pool_open();
    fact_served();
}

/* Blocks of a pool that aligns to 8 bytes. */
static void align_to_8(void)
{
    pool_prepare("8");
    set(pool_malloc, pool_realloc, pool_free);
    CHECK(((uintptr_t)pool_malloc(1, NULL, 0) & 15) == 8);
    void *blocks[200];
    for (size_t i = 0; i < 200; i++) {
        blocks[i] = OPENSSL_malloc(i + 1);
        CHECK(((uintptr_t)blocks[i] & 15) == 0);
        memset(blocks[i], 'x', i + 1);
    }
    for (size_t i = 0; i < 200; i++) {
        blocks[i] = OPENSSL_realloc(blocks[i], 300);
        CHECK(((uintptr_t)blocks[i] & 15) == 0 && *(char *)blocks[i] == 'x');
        OPENSSL_free(blocks[i]);
    }
    fact_served();
}

static void tell_version(void)
{
    const char *version = OpenSSL_version(OPENSSL_VERSION);
    const char *second = strchr(strchr(version, ' ') + 1, ' ');

    fact("openssl", "%.*s", (int)(second - version), version);
    check_openssl();
}

/* As MariaDB's server does at its start: its functions count the requests and call libc's. */
static void forwards(void)
{
    forward_calls = forward_bytes = 0;
    if (set(forward_malloc, forward_realloc, forward_free) == 0) {
        fact_current();
        fact_served();
        return;
    }
    OPENSSL_free(OPENSSL_malloc(72));
    fact("asked", "%lu call, %lu bytes", forward_calls, forward_bytes);
}

const struct fault hook_faults[] = {
    {"tell-version", tell_version},
    {"hook-ask-only", ask_only},
    {"hook-before", before},
    {"hook-after", after},
    {"hook-malloc-only", malloc_only},
    {"hook-nothing", nothing},
    {"hook-defaults-back", defaults_back},
    {"hook-twice-before", twice_before},
    {"hook-again-after", again_after},
    {"hook-through-dlsym", through_dlsym},
    {"hook-through-default", through_default},
    {"hook-lines-passed-on", lines_passed_on},
    {"hook-late-pool", late_pool},
    {"hook-align-to-8", align_to_8},
    {"hook-forwards", forwards},
    {NULL, NULL},
};
