/* Wrong and right frees of memory of OpenSSL's secure heap. */
#include <openssl/bn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"

enum { HEAP = 65536, SMALLEST = 32 };

#define SECURE_FREE(site, p) (fact_site(site, __FILE__, __LINE__), OPENSSL_secure_free(p))

static void *allocate(size_t size)
{
    CHECK(CRYPTO_secure_malloc_initialized() == 1 ||
          CRYPTO_secure_malloc_init(HEAP, SMALLEST) != 0);
    void *p = OPENSSL_secure_malloc(size);
    CHECK(p != NULL && CRYPTO_secure_allocated(p) == 1);
    fact("block", "%p", p);
    return p;
}

/* With OPENSSL_free or, with --realloc, OPENSSL_realloc: the block is still live. */
static void handed_to_free(void)
{
    void *p = allocate(40);

    pass_pointer(p);
    CHECK(CRYPTO_secure_used() == CRYPTO_secure_actual_size(p));
    OPENSSL_secure_free(p);
    CHECK(CRYPTO_secure_malloc_done() == 1);
}

static void free_twice(void)
{
    void *p = allocate(40), *other = OPENSSL_secure_malloc(100);

    SECURE_FREE("first", p);
    SECURE_FREE("now", launder(p));
    OPENSSL_secure_free(other);
    CHECK(CRYPTO_secure_used() == 0);
}

static void clear_free_twice(void)
{
    void *p = allocate(3000);

    SECURE_FREE("first", p);
    fact_site("now", __FILE__, __LINE__ + 1);
    OPENSSL_secure_clear_free(launder(p), 3000);
    CHECK(CRYPTO_secure_used() == 0);
}

static void free_inside(void)
{
    char *p = allocate(100);

    fact("pointer", "%p", (void *)(p + 16));
    SECURE_FREE("now", launder(p + 16));
    OPENSSL_secure_free(p);
    CHECK(CRYPTO_secure_used() == 0);
}

static void free_no_block(void)
{
    char *p = allocate(40), *half = p + HEAP / 2;
    char *never = CRYPTO_secure_allocated(half) == 1 ? half : p - HEAP / 2;

    fact("pointer", "%p", (void *)never);
    SECURE_FREE("now", launder(never));
    OPENSSL_secure_free(p);
}

/* Nothing is kept of the heap before. */
static void healthy(void)
{
    void *blocks[100];

    for (int round = 0; round < 3; round++) {
        CHECK(CRYPTO_secure_malloc_init((size_t)HEAP << round, (size_t)SMALLEST << round) != 0);
        for (int i = 0; i < 100; i++)
            CHECK((blocks[i] = OPENSSL_secure_zalloc((size_t)(i % 7) * 40 + 1)) != NULL);
        for (int i = 0; i < 100; i += 2)
            OPENSSL_secure_free(blocks[i]);
        for (int i = 1; i < 100; i += 2)
            OPENSSL_secure_clear_free(blocks[i], (size_t)(i % 7) * 40 + 1);
        BIGNUM *number = BN_secure_new();
        CHECK(number != NULL && BN_set_word(number, 65537) == 1);
        BN_clear_free(number);
        OPENSSL_secure_free(NULL);
        CHECK(CRYPTO_secure_used() == 0 && CRYPTO_secure_malloc_done() == 1);
        /* Without a secure heap this is OpenSSL's usual memory. */
        OPENSSL_secure_clear_free(OPENSSL_secure_malloc(100), 100);
    }
}

/* Each process has a copy, and may free it. */
static void healthy_after_fork(void)
{
    void *p = allocate(40);
    pid_t child = fork();

    if (child == 0) {
        OPENSSL_secure_free(p);
        _exit(CRYPTO_secure_used() == 0 ? 0 : 1);
    }
    wait_for(child);
    OPENSSL_secure_free(p);
}

const struct fault secure_faults[] = {
    {"secure-handed-to-free", handed_to_free},         {"secure-freed-twice", free_twice},
    {"secure-clear-freed-twice", clear_free_twice},    {"secure-freed-inside", free_inside},
    {"secure-freed-no-block", free_no_block},          {"secure-healthy", healthy},
    {"secure-healthy-after-fork", healthy_after_fork}, {NULL, NULL},
};
