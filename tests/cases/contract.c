/* OpenSSL's contract of malloc, realloc and free: these calls are right, and must not be reported.
 * A few double frees are among them, most with a source file that is not known. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"

static void size_zero(void)
{
    void *p = OPENSSL_malloc(0);
    fact("malloc0", "%s", p == NULL ? "NULL" : "a block");
}

static void null_pointer(void)
{
    OPENSSL_free(NULL);
    char *p = OPENSSL_realloc(NULL, 50);
    CHECK(p != NULL);
    memset(p, 'r', 50);
    fact("realloc0", "%s", OPENSSL_realloc(p, 0) == NULL ? "NULL" : "a block");
    fact("realloc-null-0", "%s", OPENSSL_realloc(NULL, 0) == NULL ? "NULL" : "a block");
}

/* realloc(p, 0) frees, so the free after it is the second one. */
static void realloc_zero_frees(void)
{
    void *p = ALLOC("alloc", 40);

    fact("block", "%p", p);
    CHECK(REALLOC("first", p, 0) == NULL);
    pass_pointer(p);
}

static void contents(void)
{
    unsigned char *p = OPENSSL_malloc(1), *z = OPENSSL_zalloc(3000);

    for (int i = 0; i < 3000; i++)
        CHECK(z[i] == 0);
    p[0] = 0;
    for (size_t size = 2; size < 2000; size += 7) {
        size_t old = size == 2 ? 1 : size - 7;
        p = OPENSSL_realloc(p, size);
        CHECK(p != NULL && ((uintptr_t)p & 15) == 0);
        for (size_t i = 0; i < old; i++)
            CHECK(p[i] == (unsigned char)i);
        for (size_t i = old; i < size; i++)
            p[i] = (unsigned char)i;
    }
    for (size_t size = 1900; size > 0; size -= 100) {
        p = OPENSSL_realloc(p, size);
        for (size_t i = 0; i < size; i++)
            CHECK(p[i] == (unsigned char)i);
    }
    OPENSSL_free(p);
    OPENSSL_free(z);
}

/* Blocks of all sizes and none overlaps another. */
static void alignment(void)
{
    enum { COUNT = 600 };
    static unsigned char *blocks[COUNT];

    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i * 5 + 1;
        blocks[i] = OPENSSL_malloc(size);
        CHECK(blocks[i] != NULL && ((uintptr_t)blocks[i] & 15) == 0);
        memset(blocks[i], (int)(i & 0xff), size);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t at = 0; at < i * 5 + 1; at++)
            CHECK(blocks[i][at] == (i & 0xff));
    for (size_t i = 0; i < COUNT; i++)
        OPENSSL_free(blocks[i * 7 % COUNT]);
}

static void huge(void)
{
    static const size_t sizes[] = {SIZE_MAX,     SIZE_MAX - 15,   SIZE_MAX - 40,
                                   SIZE_MAX / 2, (size_t)1 << 62, (size_t)1 << 47};
    char *p = OPENSSL_malloc(10);

    strcpy(p, "kept");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        volatile size_t size = sizes[i];
        CHECK(OPENSSL_malloc(size) == NULL);
        CHECK(OPENSSL_realloc(p, size) == NULL);
        CHECK(strcmp(p, "kept") == 0);
    }
    OPENSSL_free(p);
}

/* The default functions of libcrypto keep errno on success of free. */
static void keeps_errno(void)
{
    void *p = OPENSSL_malloc(100);

    errno = 77;
    OPENSSL_free(p);
    CHECK(errno == 77);
}

/* A report keeps errno, too: a program that frees twice on an error path gets its own error. */
static void report_keeps_errno(void)
{
    void *p = ALLOC("alloc", 40);

    fact("block", "%p", p);
    FREE("first", p);
    fact("pointer", "%p", p);
    errno = 77;
    FREE("now", launder(p));
    CHECK(errno == 77);
}

static void no_file(void)
{
    void *p = CRYPTO_malloc(40, NULL, 0);

    fact("block", "%p", p);
    CRYPTO_free(p, NULL, 0);
    CRYPTO_free(launder(p), NULL, 0);
}

/* Lines above 65,535 are reported as 65,535. */
static void long_file(void)
{
    void *p = CRYPTO_malloc(40, "long.c", 65535);

    fact("block", "%p", p);
    CRYPTO_free(p, "long.c", 65536);
    CRYPTO_free(launder(p), "long.c", 1 << 30);
}

static void not_a_file(void)
{
    static const char odd[] = "odd\nname\x1b[31m";
    void *p = CRYPTO_malloc(40, odd, 1);

    fact("block", "%p", p);
    CRYPTO_free(p, (const char *)0x10, 2);
    CRYPTO_free(launder(p), (const char *)(uintptr_t)0xffff888000001000, 3);
}

/* The module whose source file is named was unloaded. */
static void unloaded_file(void)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 32);

    CHECK(length > 0);
    path[length] = '\0';
    strcpy(strrchr(path, '/'), "/libcases-unloaded.so");
    void *module = dlopen(path, RTLD_NOW);
    if (module == NULL)
        fail("%s", dlerror());
    void *(*allocate)(size_t);
    *(void **)&allocate = dlsym(module, "unloaded_allocate");
    CHECK(allocate != NULL);
    void *p = allocate(40);
    fact("block", "%p", p);
    FREE("first", p);
    dlclose(module);
    CHECK(dlopen(path, RTLD_NOW | RTLD_NOLOAD) == NULL);
    pass_pointer(p);
}

const struct fault contract_faults[] = {
    {"healthy", check_openssl},
    {"size-zero", size_zero},
    {"null-pointer", null_pointer},
    {"realloc-zero-frees", realloc_zero_frees},
    {"contents", contents},
    {"alignment", alignment},
    {"huge", huge},
    {"keeps-errno", keeps_errno},
    {"report-keeps-errno", report_keeps_errno},
    {"no-file", no_file},
    {"long-file", long_file},
    {"not-a-file", not_a_file},
    {"unloaded-file", unloaded_file},
    {NULL, NULL},
};
