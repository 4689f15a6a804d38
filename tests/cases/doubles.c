/* Blocks of OpenSSL freed twice, at each stage after the first free; and blocks whose header was
 * overwritten. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"

static void *freed_block(size_t size)
{
    void *p = ALLOC("alloc", size);

    CHECK(p != NULL);
    memset(p, 'b', size);
    fact("block", "%p", p);
    FREE("first", p);
    return p;
}

static void simple(void)
{
    pass_pointer(freed_block(40));
}

static void large(void)
{
    pass_pointer(freed_block(1 << 20));
}

/* A write through a stale pointer into the freed block does not change the report. */
static void written_after_free(void)
{
    unsigned char *p = freed_block(40);

    memset(launder(p) - 16, 0xff, 16 + 40);
    pass_pointer(p);
}

static void after_realloc(void)
{
    void *old = ALLOC("alloc", 40);

    fact("block", "%p", old);
    void *behind = OPENSSL_malloc(40); /* without it libc alone would let the block grow in place */
    char *new = REALLOC("first", old, 5000);
    CHECK(new != NULL &&new != old);
    memset(new, 'n', 5000);
    pass_pointer(old);
    CHECK(new[0] == 'n' && new[4999] == 'n');
    OPENSSL_free(new);
    OPENSSL_free(behind);
}

/* A block that shrinks moves, too: otherwise the stale pointer would be the new one. */
static void after_shrink(void)
{
    void *old = ALLOC("alloc", 4000);

    fact("block", "%p", old);
    void *new = REALLOC("first", old, 10);
    CHECK(new != NULL &&new != old);
    pass_pointer(old);
    OPENSSL_free(new);
}

/* libc gives the memory to the program. */
static void reused_by_libc(void)
{
    char *p = freed_block(80), *mine = NULL;

    /* A compiler may take it for granted that malloc() returns another address than p - 16. */
    for (int i = 0; i < 1000 && (mine = launder(malloc(80 + 16))) != p - 16; i++)
        ;
    CHECK(mine == p - 16);
    strcpy(p, "mine");
    pass_pointer(p);
    CHECK(strcmp(p, "mine") == 0);
    free(mine);
}

static void three_times(void)
{
    void *p = freed_block(40);

    for (int i = 0; i < 3; i++)
        pass_pointer(p);
}

/* After 4,000 other frees, some of which reuse the pool's memory. */
static void long_after(void)
{
    void *p = freed_block(2000);

    for (int i = 0; i < 4000; i++)
        OPENSSL_free(OPENSSL_malloc(100 + (size_t)i % 64 * 8));
    pass_pointer(p);
}

static void *shared_block;

static void free_first(void)
{
    fact("thread", "%d", (int)gettid());
    FREE("first", shared_block);
}

static void first_on_thread(void)
{
    shared_block = ALLOC("alloc", 40);
    fact("block", "%p", shared_block);
    on_thread(free_first);
    pass_pointer(shared_block);
}

static void free_again(void)
{
    fact("thread", "%d", (int)gettid());
    pass_pointer(shared_block);
}

static void again_on_thread(void)
{
    shared_block = freed_block(40);
    on_thread(free_again);
}

/* 1,234 times at one place. */
static void many_times(void)
{
    void *p = freed_block(40);

    fact_site("now", __FILE__, __LINE__ + 2);
    for (int i = 0; i < 1234; i++)
        OPENSSL_free(launder(p));
}

/* Every byte of the header in turn, each in a block of its own.  The block is not changed and not
 * freed. */
static void damaged_header(void)
{
    for (int byte = 0; byte < 16; byte++) {
        unsigned char *p = OPENSSL_malloc(100);
        memset(p, 'b', 100);
        if (byte == 0)
            fact("block", "%p", (void *)p);
        p[byte - 16] ^= 1;
        pass_pointer(p);
        CHECK(p[0] == 'b' && p[99] == 'b');
    }
}

/* The two bits of the state, with the check bits as they were. */
static void damaged_state(void)
{
    for (unsigned change = 1; change < 4; change++) {
        unsigned char *p = OPENSSL_malloc(100);
        if (change == 1)
            fact("block", "%p", (void *)p);
        p[-7] ^= (unsigned char)(change << 6);
        pass_pointer(p);
    }
}

static void *damaged_block(void)
{
    unsigned char *p = OPENSSL_malloc(100);

    fact("block", "%p", (void *)p);
    memset(launder(p) - 16, 0, 16);
    return p;
}

static void zeroed_header(void)
{
    pass_pointer(damaged_block());
}

/* A damaged block is reported again at each attempt: its first free is not known. */
static void zeroed_header_twice(void)
{
    void *p = damaged_block();

    pass_pointer(p);
    pass_pointer(p);
}

/* A header copied from another live block: the check bits are bound to the address. */
static void copied_header(void)
{
    unsigned char *p = OPENSSL_malloc(100), *q = OPENSSL_malloc(100);

    fact("block", "%p", (void *)q);
    memcpy(launder(q) - 16, launder(p) - 16, 16);
    pass_pointer(q);
    OPENSSL_free(p);
}

const struct fault double_faults[] = {
    {"double-free", simple},
    {"double-free-large", large},
    {"double-free-written", written_after_free},
    {"double-free-thrice", three_times},
    {"double-free-long-after", long_after},
    {"double-free-first-on-thread", first_on_thread},
    {"double-free-again-on-thread", again_on_thread},
    {"double-free-1234-times", many_times},
    {"stale-after-realloc", after_realloc},
    {"stale-after-shrink", after_shrink},
    {"stale-reused-by-libc", reused_by_libc},
    {"damaged-header", damaged_header},
    {"damaged-state", damaged_state},
    {"damaged-zeroed", zeroed_header},
    {"damaged-zeroed-twice", zeroed_header_twice},
    {"damaged-copied", copied_header},
    {NULL, NULL},
};
