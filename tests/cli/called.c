/* called [own] [fork] COUNT: blocks of OpenSSL with known callers, for freeonce heap --stacks.
 *
 *   leak()      COUNT blocks of 48 bytes and COUNT / 100 of 20,000 bytes, which stay
 *   borrow()    as many of 48 bytes, all freed afterwards
 *   settle()    as many of 48 bytes, which stay: at addresses that borrow() had
 *   grow()      COUNT / 10 blocks that get 80 bytes by a reallocation, and stay
 *
 * Then it stops.  With `fork` leak() runs in the parent, and the rest in its child, which stops. */
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLED __attribute__((noinline)) static void

__attribute__((noinline)) static void *take(size_t size, const char *file)
{
    void *p = CRYPTO_malloc(size, file, 1);

    if (p == NULL)
        exit(1);
    return p;
}

CALLED leak(long count)
{
    for (long i = 0; i < count; i++) {
        take(48, "leak.c");
        if (i % 100 == 0)
            take(20000, "leak.c");
    }
}

CALLED borrow(void **blocks, long count)
{
    for (long i = 0; i < count; i++)
        blocks[i] = take(48, "borrow.c");
    for (long i = 0; i < count; i++)
        CRYPTO_free(blocks[i], "borrow.c", 2);
}

CALLED settle(long count)
{
    for (long i = 0; i < count; i++)
        take(48, "settle.c");
}

CALLED grow(long count)
{
    for (long i = 0; i < count; i++)
        if (CRYPTO_realloc(take(16, "grow.c"), 80, "grow.c", 2) == NULL)
            exit(1);
}

static void *own_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void *own_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(p, size);
}

static void own_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

int main(int argc, char **argv)
{
    int forks = 0;

    for (; argc > 2; argc--, argv++) {
        if (strcmp(argv[1], "own") == 0 &&
            CRYPTO_set_mem_functions(own_malloc, own_realloc, own_free) != 1)
            return 1;
        forks |= strcmp(argv[1], "fork") == 0;
    }
    long count = atol(argv[1]);
    void **blocks = calloc((size_t)count, sizeof *blocks);

    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    take(16, "first.c"); /* while the backend is chosen nothing is sampled yet */
    leak(count);
    if (forks) {
        pid_t child = fork();
        if (child != 0) {
            printf("%d\n", (int)child);
            fflush(stdout);
            waitpid(child, NULL, 0);
            return 0;
        }
    }
    borrow(blocks, count);
    settle(count);
    grow(count / 10);
    raise(SIGSTOP);
    return 0;
}
