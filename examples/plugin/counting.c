/* A backend for freeonce as small as one can be: memory comes from malloc, and the plug-in counts.
 *
 *     cc -shared -fPIC -I.../include -o counting.so counting.c
 *     LD_PRELOAD=libfreeonce.so FREEONCE_BACKEND=$PWD/counting.so COUNTING=1 program
 *
 * Copy it and put your own pool behind take() and give_back().  What such a pool has to keep is in
 * freeonce/backend.h; in short: blocks aligned to 16 bytes, calls from several threads at once, a
 * forked child that goes on, and never a call of OpenSSL.  A pool in memory that processes share
 * sets FREEONCE_BACKEND_SHARED in flags. */
#include <freeonce/backend.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_size_t blocks, freed, bytes, most; /* most: the most bytes at one time */

static void *take(size_t size, const char *file, int line)
{
    (void)file; /* the OpenSSL source line: for pools that keep statistics by place */
    (void)line;
    void *block = malloc(size); /* aligned to 16, and usable in a child of a threaded process */
    if (block == NULL)
        return NULL;
    size_t now = atomic_fetch_add(&bytes, size) + size, seen = atomic_load(&most);
    while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
        ;
    atomic_fetch_add(&blocks, 1);
    return block;
}

/* `size` is what take() was asked for, so that a pool need not remember it. */
static void give_back(void *block, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    atomic_fetch_add(&freed, 1);
    atomic_fetch_sub(&bytes, size);
    free(block);
}

static void tell(void)
{
    fprintf(stderr, "counting: %zu blocks, %zu given back, %zu bytes at most\n", blocks, freed,
            most);
}

/* Called once, before the first take(). */
static int start(void)
{
    return getenv("COUNTING") != NULL ? atexit(tell) : 0;
}

static const struct freeonce_backend counting = {
    .abi = FREEONCE_BACKEND_ABI,
    .struct_size = sizeof(struct freeonce_backend),
    .name = "counting",
    .alloc = take,
    .free = give_back,
    .start = start,
};

__attribute__((visibility("default"))) const struct freeonce_backend *freeonce_backend(uint32_t abi)
{
    return abi == FREEONCE_BACKEND_ABI ? &counting : NULL;
}
