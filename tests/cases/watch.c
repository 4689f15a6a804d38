/* Writes past the end of a block, and into a freed one, which FREEONCE_CANARY and FREEONCE_FILL
 * must find.  None of them is a wrong free. */
#include <stdlib.h>
#include <string.h>

#include "fault.h"

static unsigned char *new_block(size_t size)
{
    unsigned char *p = ALLOC("alloc", size);

    CHECK(p != NULL);
    fact("block", "%p", (void *)p);
    memset(p, 'w', size);
    return launder(p);
}

static void release(unsigned char *p)
{
    if (use_realloc)
        OPENSSL_free(REALLOC("now", p, 500));
    else
        FREE("now", p);
}

static void first_byte_behind(void)
{
    unsigned char *p = new_block(24);

    p[24] ^= 0xff;
    release(p);
}

/* A block of this size fills its slot. */
static void behind_a_whole_class(void)
{
    unsigned char *p = new_block(32);

    p[33] ^= 0xff;
    release(p);
}

static void last_byte_inside(void)
{
    unsigned char *p = new_block(24);

    p[23] ^= 0xff;
    release(p);
}

enum { TRIES = 200 };

/* Two blocks of 24 bytes, one behind the other in memory. */
static void neighbours(unsigned char **front, unsigned char **behind)
{
    unsigned char *p[TRIES];

    fact_site("alloc", __FILE__, __LINE__ + 2);
    for (int i = 0; i < TRIES; i++)
        p[i] = OPENSSL_malloc(24);
    for (int i = 0; i + 1 < TRIES; i++)
        if (p[i + 1] > p[i] && p[i + 1] - p[i] <= 80) {
            *front = launder(p[i]);
            *behind = launder(p[i + 1]);
            return;
        }
    fail("no two blocks lie side by side");
}

/* A write past the end of one block damages the header of the next: the report must name the first.
 */
static void into_the_neighbour(void)
{
    unsigned char *front, *behind;

    neighbours(&front, &behind);
    fact("front", "%p", (void *)front);
    fact("block", "%p", (void *)behind);
    memset(front + 24, 'x', (size_t)(behind - front - 24));
    FREE("now", behind);
    FREE("later", front);
}

static unsigned char *freed_block(size_t size)
{
    unsigned char *p = new_block(size);

    FREE("first", p);
    return p;
}

static void write_after_free(void)
{
    freed_block(40)[7] = 3;
}

/* As CRYPTO_DOWN_REF does with the reference count when an object is freed twice. */
static void reference_dropped(void)
{
    ((int *)(void *)freed_block(64))[4]--;
}

/* The block leaves the quarantine long before the program ends. */
static void written_and_pushed_out(void)
{
    freed_block(2000)[1999] = 3;
    for (int i = 0; i < 3000; i++)
        OPENSSL_free(OPENSSL_malloc(1500 + (size_t)i % 800));
}

/* The block is used again, which takes it out of the quarantine, too. */
static void written_and_used_again(void)
{
    freed_block(40)[39] = 3;
    for (int i = 0; i < 3000; i++) {
        void *p = OPENSSL_malloc(40), *q = OPENSSL_malloc(48 + (size_t)i % 900);
        OPENSSL_free(p);
        OPENSSL_free(q);
    }
}

static void healthy(void)
{
    unsigned char *blocks[64] = {NULL};

    for (size_t i = 0; i < 20000; i++) {
        unsigned char **p = &blocks[i * 7 % 64];
        size_t size = 1 + i * i % 1500;
        *p = i % 3 == 0 ? OPENSSL_realloc(*p, size) : (OPENSSL_free(*p), OPENSSL_malloc(size));
        CHECK(*p != NULL);
        memset(*p, (int)i, size);
    }
    for (size_t i = 0; i < 64; i++)
        OPENSSL_free(blocks[i]);
}

const struct fault watch_faults[] = {
    {"first-byte-behind", first_byte_behind},
    {"behind-a-whole-class", behind_a_whole_class},
    {"last-byte-inside", last_byte_inside},
    {"into-the-neighbour", into_the_neighbour},
    {"write-after-free", write_after_free},
    {"reference-dropped", reference_dropped},
    {"written-and-pushed-out", written_and_pushed_out},
    {"written-and-used-again", written_and_used_again},
    {"watched-healthy", healthy},
    {NULL, NULL},
};
