/* Pointers with one right report each: the memory that they point to, and the block there. */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"

static char *blocks_of(size_t size, char *neighbours[2])
{
    char *p = CRYPTO_malloc(size, "alloc.c", (int)size);

    for (int i = 0; i < 2; i++)
        neighbours[i] = CRYPTO_malloc(size, "alloc.c", (int)size);
    CHECK(p != NULL && neighbours[0] != NULL && neighbours[1] != NULL);
    return p;
}

/* Between other blocks of its size, each with source lines of its own. */
static void end_of_every_size(size_t distance)
{
    for (size_t size = 1; size <= 1000; size++) {
        char *neighbours[2], *p = blocks_of(size, neighbours);
        CRYPTO_free(launder(p + size + distance), "free.c", (int)size);
        CRYPTO_free(p, "free.c", 0);
        for (int i = 0; i < 2; i++)
            CRYPTO_free(neighbours[i], "free.c", 0);
    }
}

static void end_0(void)
{
    end_of_every_size(0);
}

static void end_1(void)
{
    end_of_every_size(1);
}

static void end(void)
{
    char *p = ALLOC("alloc", 100);

    CHECK(p != NULL);
    fact("block", "%p", (void *)p);
    pass_pointer(p + 100);
    OPENSSL_free(p);
}

static void end_of_freed(void)
{
    char *p = ALLOC("alloc", 100);

    CHECK(p != NULL);
    fact("block", "%p", (void *)p);
    FREE("first", p);
    pass_pointer(p + 100);
}

/* After so many frees of its size no record of this block is left, and its memory is not in use. */
static void forgotten(void)
{
    static void *others[3000];
    char *p = ALLOC("alloc", 100);

    fact("block", "%p", (void *)p);
    for (int i = 0; i < 3000; i++)
        others[i] = OPENSSL_malloc(100);
    FREE("first", p);
    for (int i = 0; i < 3000; i++)
        OPENSSL_free(others[i]);
    pass_pointer(p);
}

/* Smaller blocks have used its pages since. */
static void forgotten_large(void)
{
    char *p = ALLOC("alloc", 2000);

    fact("block", "%p", (void *)p);
    FREE("first", p);
    for (int i = 0; i < 3000; i++)
        OPENSSL_free(OPENSSL_malloc(100));
    pass_pointer(p);
}

/* An object of one block, whose second free must not reach libcrypto. */
static void forgotten_object(void)
{
    static EVP_MD_CTX *others[300];
    EVP_MD_CTX *p = EVP_MD_CTX_new();

    fact("block", "%p", (void *)p);
    for (int i = 0; i < 300; i++)
        others[i] = EVP_MD_CTX_new();
    EVP_MD_CTX_free(p);
    for (int i = 0; i < 300; i++)
        EVP_MD_CTX_free(others[i]);
    for (int i = 0; i < 300; i++)
        OPENSSL_free(OPENSSL_malloc(16));
    EVP_MD_CTX_free(launder(p));
}

/* A pointer so many slots behind the last block, where no block was before. */
static void never_out(long places)
{
    char *p = ALLOC("alloc", 100), *next = OPENSSL_malloc(100);

    CHECK(p != NULL && next > p);
    pass_pointer(next + places * (next - p));
    OPENSSL_free(p);
    OPENSSL_free(next);
}

static void never_out_near(void)
{
    never_out(1);
}

static void never_out_far(void)
{
    never_out(64);
}

/* The child frees what its parent allocated after the fork. */
static void block_of_parent(size_t size)
{
    char **shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int ready[2];
    char c = 0;

    CHECK(shared != MAP_FAILED && pipe(ready) == 0);
    OPENSSL_free(OPENSSL_malloc(100)); /* makes the heap */
    pid_t child = fork_known();
    if (child == 0) {
        CHECK(read(ready[0], &c, 1) == 1);
        pass_pointer(*shared);
        check_openssl();
        _exit(0);
    }
    fact("child", "%d", (int)child);
    void *first = OPENSSL_malloc(size); /* a large one begins where the heap ended */
    *shared = OPENSSL_malloc(size);
    CHECK(*shared != NULL && write(ready[1], &c, 1) == 1);
    wait_for(child);
    OPENSSL_free(first);
    OPENSSL_free(*shared);
}

static void block_of_parent_small(void)
{
    block_of_parent(100);
}

static void block_of_parent_large(void)
{
    block_of_parent(100 << 20);
}

struct owner {
    X509 *certificate;
    char rest[32];
};
_Static_assert(sizeof(struct owner) == 40, "told in the report");

/* The member is freed before, as OpenSSL's objects do. */
static struct owner *freed_owner(void)
{
    struct owner *o = ALLOC("alloc", sizeof *o);

    CHECK(o != NULL);
    fact("block", "%p", (void *)o);
    o->certificate = OPENSSL_malloc(24);
    OPENSSL_free(o->certificate);
    FREE("first", o);
    return launder(o);
}

static __attribute__((noinline)) void free_member(void)
{
    const struct owner *o = freed_owner();

    pass_pointer(o->certificate);
    fact("owner", "%p", (const void *)o);
}

static __attribute__((noinline)) void free_certificate(void)
{
    const struct owner *o = freed_owner();

    X509_free(o->certificate);
    fact("owner", "%p", (const void *)o);
}

/* The stack of the caller's caller has pointers to other freed blocks. */
static void beside_others(void (*run)(void))
{
    void *others[4];

    for (int i = 0; i < 4; i++)
        others[i] = OPENSSL_malloc(16);
    for (int i = 0; i < 4; i++)
        OPENSSL_free(others[i]);
    launder((void *)others);
    run();
    launder((void *)others);
}

static void member_of_freed(void)
{
    beside_others(free_member);
}

static void certificate_of_freed(void)
{
    beside_others(free_certificate);
}

/* No block was freed before. */
static void pattern(void)
{
    uintptr_t value = UINT64_C(0x5555555555555555);

    pass_pointer((void *)value);
}

const struct fault name_faults[] = {
    {"member-of-freed", member_of_freed},
    {"certificate-of-freed", certificate_of_freed},
    {"pattern", pattern},
    {"never-out", never_out_near},
    {"never-out-far", never_out_far},
    {"block-of-parent", block_of_parent_small},
    {"block-of-parent-large", block_of_parent_large},
    {"forgotten-object", forgotten_object},
    {"forgotten", forgotten},
    {"forgotten-large", forgotten_large},
    {"end-0", end_0},
    {"end-1", end_1},
    {"end", end},
    {"end-of-freed", end_of_freed},
    {NULL, NULL},
};
