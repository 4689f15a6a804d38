/* inspected [own] ACTION: a process to be read from outside.  It allocates blocks whose numbers are
 * known, tells on stdout what it knows itself, and stops by SIGSTOP; with SIGCONT it goes on.
 *
 *   own        memory comes from functions of the program's own, which count
 *   known      blocks in lines of their own, and an object of each kind; the library's own count
 *   many=N     N blocks in one line
 *   grow=N     the same each time that it goes on
 *   child      blocks in the parent, others in its child, which stops
 *   steps=N    stops N times; before each, every line gets blocks that stay, or loses them
 *   objects    7 SSL_CTX, 5 SSL, 4 EVP_PKEY and 3 X509; then the SSL get another SSL_CTX, one by
 * one move       threads allocate and free until the process is killed; stops once, first version
 * the description says another version hostile=N  N times: random bytes where the library publishes
 * something
 */
#include <dlfcn.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap/freeonce_walk.h"
#include "load/description.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "inspected: " #condition ": %s\n", strerror(errno));                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* --- memory of its own -------------------------------------------------------------------------
 */

static char *pool;
static size_t pool_used, own_live;
static int is_own;

static void *own_malloc(size_t size, const char *file, int line)
{
    enum { POOL = 256 << 20 };
    size_t at = pool_used;

    (void)file;
    (void)line;
    if (pool == NULL) {
        pool = mmap(NULL, POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(pool != MAP_FAILED);
    }
    pool_used += 16 + ((size + 15) & ~(size_t)15);
    CHECK(pool_used <= POOL);
    memcpy(pool + at, &size, sizeof size);
    own_live++;
    return pool + at + 16;
}

static void own_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    own_live -= p != NULL;
}

static void *own_realloc(void *p, size_t size, const char *file, int line)
{
    void *moved = own_malloc(size, file, line);
    size_t before = 0;

    if (p != NULL)
        memcpy(&before, (char *)p - 16, sizeof before);
    if (p != NULL)
        memcpy(moved, p, before < size ? before : size);
    own_free(p, file, line);
    return moved;
}

/* --- what is known -----------------------------------------------------------------------------
 */

static void stop(void)
{
    fflush(stdout);
    raise(SIGSTOP);
}

/* Line n holds n blocks of n * n * 40 bytes: small ones and large ones; as many were freed. */
static void allocate_lines(int lines)
{
    for (int line = 1; line <= lines; line++)
        for (int i = 0; i < line; i++) {
            void *p = CRYPTO_malloc((size_t)(line * line) * 40, "known.c", line);
            void *freed = CRYPTO_malloc((size_t)(line * line) * 40, "freed.c", line);
            CHECK(p != NULL && freed != NULL);
            CRYPTO_free(freed, "freed.c", line);
        }
}

/* Enough of each size class that it has pages of its own. */
static void allocate_classes(void)
{
    size_t blocks = 0, bytes = 0;

    for (size_t size = 16; size <= 8192; size += size < 256 ? 16 : size / 16)
        for (size_t i = 0; i < 65536 / size + 2; i++) {
            CHECK(CRYPTO_malloc(size, "classes.c", 1) != NULL);
            blocks++;
            bytes += size;
        }
    printf("classes %zu %zu\n", blocks, bytes);
}

static void tell_own_count(void)
{
    freeonce_walk_function *walk;
    struct fo_walk count = {0};

    *(void **)&walk = dlsym(RTLD_DEFAULT, "freeonce_walk");
    if (walk != NULL && walk(&count))
        printf("walk %llu %llu %llu\n", (unsigned long long)count.live,
               (unsigned long long)count.live_bytes, (unsigned long long)count.wrong);
    if (is_own)
        printf("own %zu\n", own_live);
}

static void known(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());

    CHECK(context != NULL && SSL_new(context) != NULL && X509_new() != NULL);
    CHECK(BIO_new(BIO_s_mem()) != NULL && EVP_PKEY_new() != NULL);
    static char written[] = "written.c";

    allocate_lines(30);
    allocate_classes();
    CHECK(CRYPTO_malloc(7, written, 1) != NULL);
    tell_own_count();
    stop();
}

static void many(long count)
{
    for (long i = 0; i < count; i++)
        CHECK(CRYPTO_malloc(64, "many.c", 1) != NULL);
    stop();
}

/* Line n gets n blocks of 40 bytes with each step; those of lines 1 and 2 go with the second. */
static void steps(int count)
{
    void *lost[3];

    for (int step = 1; step <= count; step++) {
        for (int line = 3; line <= 10; line++)
            for (int i = 0; i < line; i++)
                CHECK(CRYPTO_malloc(40, "step.c", line) != NULL);
        for (int i = 0; i < 3 && step == 1; i++)
            CHECK((lost[i] = CRYPTO_malloc(40, "step.c", i == 0 ? 1 : 2)) != NULL);
        for (int i = 0; i < 3 && step == 2; i++)
            CRYPTO_free(lost[i], "step.c", 0);
        for (int i = 0; i < 5 && step == 2; i++)
            CHECK(CRYPTO_malloc(1000, "new.c", 1) != NULL);
        stop();
    }
}

static void objects(void)
{
    SSL_CTX *contexts[7];
    SSL *connections[5];

    for (int i = 0; i < 7; i++)
        CHECK((contexts[i] = SSL_CTX_new(TLS_method())) != NULL);
    for (int i = 0; i < 5; i++)
        CHECK((connections[i] = SSL_new(contexts[6])) != NULL);
    for (int i = 0; i < 4; i++)
        CHECK(EVP_PKEY_new() != NULL);
    for (int i = 0; i < 3; i++)
        CHECK(X509_new() != NULL);
    stop();
    for (int i = 0; i < 2; i++)
        CHECK(SSL_set_SSL_CTX(connections[i], contexts[i]) == contexts[i]);
    stop();
    for (int i = 0; i < 5; i++)
        SSL_free(connections[i]);
    stop();
}

static void child(void)
{
    CHECK(CRYPTO_malloc(100, "parent.c", 1) != NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid != 0) {
        printf("child %d\n", (int)pid);
        fflush(stdout);
        waitpid(pid, NULL, 0);
        return;
    }
    CHECK(CRYPTO_malloc(200, "child.c", 1) != NULL);
    stop();
}

/* --- what moves --------------------------------------------------------------------------------
 */

static void *move(void *unused)
{
    void *blocks[200] = {NULL};

    (void)unused;
    for (unsigned n = 0;; n++) {
        void **p = &blocks[n * 7 % 200];
        if (n % 5 == 0 && *p != NULL)
            *p = CRYPTO_realloc(*p, n % 50000 + 1, "move.c", 2);
        else if (*p != NULL)
            CRYPTO_free(*p, "move.c", 3), *p = NULL;
        else
            *p = CRYPTO_malloc(n % 3000 + 1, "move.c", 1);
    }
    return NULL;
}

static void move_for_ever(void)
{
    pthread_t id;

    allocate_lines(20);
    stop();
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&id, NULL, move, NULL) == 0);
    for (;;)
        pause();
}

/* --- lies --------------------------------------------------------------------------------------
 */

static struct fo_description *description(void)
{
    char *d = dlsym(RTLD_DEFAULT, "freeonce_description");
    uintptr_t page = (uintptr_t)d & ~(uintptr_t)4095;

    CHECK(d != NULL && mprotect((void *)page, 8192, PROT_READ | PROT_WRITE) == 0);
    return (struct fo_description *)d;
}

static uint64_t number_at(uint64_t address, struct fo_field field)
{
    uint64_t number = 0;

    memcpy(&number, (char *)(uintptr_t)address + field.offset, field.size);
    return number;
}

/* Where something is published, so many bytes, and a copy of what it was. */
static struct part {
    char *at;
    size_t size;
    char *copy;
} parts[32];
static size_t part_count;

static void add_part(uint64_t at, size_t size)
{
    struct part *p = &parts[part_count++];

    if (at == 0) {
        part_count--;
        return;
    }
    *p = (struct part){(char *)(uintptr_t)at, size, malloc(size)};
    CHECK(p->copy != NULL);
    memcpy(p->copy, p->at, size);
}

static void find_parts(struct fo_description *d)
{
    const struct fo_field pointer = {0, 8};
    uint64_t registry = number_at(d->hot, d->in_hot.entered),
             region = number_at(d->region, pointer), group;

    add_part((uintptr_t)d, sizeof *d);
    add_part(d->hot, 128);
    add_part(d->layout, 128);
    add_part(d->layout + d->in_layout.groups.offset, 64);
    add_part(d->options, 512);
    add_part(number_at(d->hot, d->in_hot.tree), 4096);
    add_part(number_at(d->findings, pointer), 4096);
    if (number_at(d->in_stacks.samples, pointer) != 0) {
        add_part(number_at(d->in_stacks.samples, pointer) + d->in_stacks.rows.offset, 1 << 20);
        add_part(number_at(d->in_stacks.depot, pointer) + d->in_stacks.words.offset, 4096);
        add_part(number_at(d->in_stacks.depot, pointer), 8);
    }
    if (region != 0) {
        memcpy(&group, (char *)(uintptr_t)d->layout + d->in_layout.groups.offset, 8);
        add_part(region, 64);
        add_part(group + d->in_group.pages.offset, 8192);
        add_part(number_at(d->layout, d->in_layout.base) + 65536, 65536);
        for (uint64_t row = 1; row < 5; row++) {
            uint64_t at = group + d->in_group.pages.offset + row * d->in_group.pages.stride;
            add_part(at + d->in_group.what.offset, d->in_group.what.size);
            add_part(at + d->in_group.used.offset, d->in_group.used.size);
        }
    }
    if (registry != 0) {
        add_part(registry + d->registry.claims.offset, 65536 * 8);
        add_part(registry + d->registry.leaves.offset, 65536 * 8);
    }
}

static void spoil(struct part *p)
{
    size_t from = (size_t)random() % p->size, length = (size_t)random() % (p->size - from) + 1;
    int how = (int)random() % 4;

    if (random() % 3 == 0)
        length = length < 8 ? length : 8; /* one number or two */
    for (size_t i = from; i < from + length; i++)
        p->at[i] = how == 0 ? (char)random() : how == 1 ? (char)0xff : how == 2 ? 1 : p->at[i] ^ 1;
}

/* From here on nothing of OpenSSL is called: the library's own variables are spoiled, too. */
/* From the first fork on, the counts of findings are published. */
static void fork_once(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
}

static void lie(int times)
{
    allocate_lines(40);
    fork_once();
    find_parts(description());
    for (int i = 0; i < times; i++) {
        srandom((unsigned)i);
        for (size_t j = 0; j < part_count; j++)
            memcpy(parts[j].at, parts[j].copy, parts[j].size);
        for (long n = random() % 3; n >= 0; n--)
            spoil(&parts[(size_t)random() % part_count]);
        raise(SIGSTOP);
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "own") == 0) {
        is_own = 1;
        CHECK(CRYPTO_set_mem_functions(own_malloc, own_realloc, own_free) == 1);
        argv++;
        argc--;
    }
    const char *action = argc > 1 ? argv[1] : "";
    const char *value = strchr(action, '=');
    int number = value != NULL ? atoi(value + 1) : 0;

    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* with Yama, too, its user may read it */
    if (strcmp(action, "known") == 0)
        known();
    else if (strncmp(action, "many=", 5) == 0)
        many(number);
    else if (strcmp(action, "objects") == 0)
        objects();
    else if (strncmp(action, "steps=", 6) == 0)
        steps(number);
    else if (strncmp(action, "grow=", 5) == 0)
        for (;;)
            many(number);
    else if (strcmp(action, "child") == 0)
        child();
    else if (strcmp(action, "move") == 0)
        move_for_ever();
    else if (strcmp(action, "version") == 0)
        description()->version++, stop();
    else if (strncmp(action, "hostile=", 8) == 0)
        lie(number);
    else
        return 2;
    return 0;
}
