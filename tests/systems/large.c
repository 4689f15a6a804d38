/* What a very large process does with OpenSSL's memory.
 *
 *   large blocks N SIZE   N live blocks of SIZE bytes, freed in another order than they were made
 *   large threads N       N threads that live at once; each uses OpenSSL and frees what another one
 * made
 *
 * Each block has its number in it, which is checked before it is freed.  "live" on stdout: all
 * blocks or threads are there; the program goes on when stdin ends.  Exit status: 0, 1 if something
 * was wrong. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "large: %s\n", what);
    exit(1);
}

static void say_live(void)
{
    puts("live");
    fflush(stdout);
    while (getchar() != EOF)
        continue;
}

static uint64_t number(const char *text, uint64_t least)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);

    if (*end != '\0' || value < least)
        fail("a number is wrong");
    return value;
}

/* --- blocks --- */

static uint64_t *new_block(uint64_t i, size_t size)
{
    uint64_t *block = OPENSSL_malloc(size);

    if (block == NULL)
        fail("no memory for a block");
    memset(block, 0, size); /* its pages are used */
    *block = i;
    return block;
}

/* The step and the number of blocks have no common divisor, so each block has its turn. */
static uint64_t step_for(uint64_t count)
{
    for (uint64_t step = count * 5 / 8 + 1;; step++) {
        uint64_t a = step, b = count;
        while (b != 0) {
            uint64_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1)
            return step;
    }
}

static void many_blocks(uint64_t count, size_t size)
{
    uint64_t **blocks = malloc(count * sizeof *blocks), step = step_for(count), at = 0;

    if (blocks == NULL)
        fail("no memory for the list");
    for (uint64_t i = 0; i < count; i++)
        blocks[i] = new_block(i, size);
    say_live();
    for (uint64_t i = 0; i < count; i++, at = (at + step) % count) {
        if (*blocks[at] != at)
            fail("a block has lost its number");
        OPENSSL_free(blocks[at]);
    }
    free(blocks);
}

/* --- threads --- */

struct thread {
    pthread_t id;
    uint64_t number, *block; /* made by this thread, freed by the next one */
};

static struct thread *threads;
static uint64_t thread_count;
static pthread_barrier_t all_are_there, all_have_made, go_on;

static void digest(void)
{
    static const unsigned char text[] = "abc";
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1 ||
        EVP_DigestUpdate(context, text, 3) != 1 || EVP_DigestFinal_ex(context, out, &length) != 1 ||
        length != 32 || out[0] != 0xba || out[31] != 0xad)
        fail("a digest is wrong");
    EVP_MD_CTX_free(context);
}

static void *live_and_free(void *argument)
{
    struct thread *me = argument, *other = &threads[(me->number + 1) % thread_count];

    pthread_barrier_wait(&all_are_there);
    digest();
    me->block = new_block(me->number, 100);
    pthread_barrier_wait(&all_have_made);
    pthread_barrier_wait(&go_on);
    if (*other->block != other->number)
        fail("a block has lost its number");
    OPENSSL_free(other->block);
    digest();
    return NULL;
}

static void many_threads(uint64_t count)
{
    pthread_attr_t attributes;

    thread_count = count;
    threads = calloc(count, sizeof *threads);
    if (threads == NULL || count > UINT32_MAX - 1)
        fail("too many threads");
    pthread_barrier_init(&all_are_there, NULL, (unsigned)count);
    pthread_barrier_init(&all_have_made, NULL, (unsigned)count + 1);
    pthread_barrier_init(&go_on, NULL, (unsigned)count + 1);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 << 10);
    for (uint64_t i = 0; i < count; i++) {
        threads[i].number = i;
        if (pthread_create(&threads[i].id, &attributes, live_and_free, &threads[i]) != 0)
            fail("a thread cannot be made (ulimit -u, cgroup's pids.max, vm.max_map_count?)");
    }
    pthread_barrier_wait(&all_have_made);
    say_live();
    pthread_barrier_wait(&go_on);
    for (uint64_t i = 0; i < count; i++)
        pthread_join(threads[i].id, NULL);
    free(threads);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "blocks") == 0)
        many_blocks(number(argv[2], 1), number(argv[3], sizeof(uint64_t)));
    else if (argc == 3 && strcmp(argv[1], "threads") == 0)
        many_threads(number(argv[2], 2));
    else
        fail("usage: large blocks N SIZE | large threads N");
    return 0;
}
