/* Pointers that have one right name each: where they lead, and what is known of the block there. */
#include <string.h>

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

static void end_of_freed(void)
{
    char *p = ALLOC("alloc", 100);

    CHECK(p != NULL);
    fact("block", "%p", (void *)p);
    FREE("first", p);
    hand_in(p + 100);
}

const struct fault name_faults[] = {
    {"end-0", end_0},
    {"end-1", end_1},
    {"end-of-freed", end_of_freed},
    {NULL, NULL},
};
