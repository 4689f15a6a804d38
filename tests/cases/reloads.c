/* A server with a pool in shared memory reloads its files: one process makes a new SSL_CTX and
 * frees the old one, which was made before the other processes were forked.  These still work. */
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "pool.h"

enum { RELOADS = 100, EARLY = 10 };

/* In shared memory. */
static struct page {
    int freed; /* how often the first SSL_CTX was freed */
} * page;

static void count_free(void *parent, void *first, CRYPTO_EX_DATA *data, int index, long argument,
                       void *unused)
{
    (void)parent, (void)data, (void)index, (void)argument, (void)unused;
    if (first != NULL)
        page->freed++;
}

static SSL_CTX *first_context(void)
{
    int index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, count_free);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    void *map = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(index >= 0 && context != NULL && map != MAP_FAILED);
    page = map;
    CHECK(SSL_CTX_set_ex_data(context, index, context) == 1);
    return context;
}

static SSL_CTX *reload(SSL_CTX *old)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    CHECK(context != NULL);
    SSL_CTX_free(old);
    return context;
}

static long live_blocks(void)
{
    return (long)(pool_log->mallocs - pool_log->frees);
}

static void reload_often(SSL_CTX *context)
{
    long early = 0;

    for (int i = 0; i < RELOADS; i++) {
        context = reload(context);
        if (i == EARLY)
            early = live_blocks();
    }
    fact("growth", "%ld", live_blocks() - early);
    SSL_CTX_free(context);
}

/* A process that runs until the other end of `end` is closed. */
static pid_t fork_worker(const int end[2])
{
    pid_t worker = fork();
    char byte;

    if (worker == 0) {
        close(end[1]);
        CHECK(read(end[0], &byte, 1) == 0);
        _exit(0);
    }
    return worker;
}

static void reload_by_a_worker(void)
{
    SSL_CTX *context = first_context();
    int end[2];

    CHECK(pipe(end) == 0);
    pid_t idle = fork_worker(end);
    pid_t worker = fork();
    if (worker == 0) {
        reload_often(context);
        _exit(0);
    }
    wait_for(worker);
    fact("first-freed", "%d", page->freed);
    close(end[1]);
    wait_for(idle);
}

static void reload_by_the_parent(void)
{
    SSL_CTX *context = first_context();
    int end[2];

    CHECK(pipe(end) == 0);
    pid_t idle = fork_worker(end);
    reload_often(context);
    fact("first-freed", "%d", page->freed);
    close(end[1]);
    wait_for(idle);
}

/* Another process has made a connection from the old SSL_CTX. */
static void reload_under_a_connection(void)
{
    SSL_CTX *context = first_context();
    int made[2], end[2];
    char byte;

    CHECK(pipe(made) == 0 && pipe(end) == 0);
    pid_t worker = fork();
    if (worker == 0) {
        SSL *connection = SSL_new(context);
        CHECK(connection != NULL && write(made[1], "m", 1) == 1);
        close(end[1]);
        CHECK(read(end[0], &byte, 1) == 0);
        CHECK(SSL_get_SSL_CTX(connection) == context);
        SSL_free(connection);
        _exit(0);
    }
    CHECK(read(made[0], &byte, 1) == 1);
    pid_t reloading = fork();
    if (reloading == 0) {
        reload_often(context);
        _exit(0);
    }
    wait_for(reloading);
    fact("while-it-lives", "%d", page->freed);
    close(end[1]);
    wait_for(worker);
    fact("afterwards", "%d", page->freed);
}

/* A worker frees all its objects before it ends, as in private memory. */
static void contexts_of_a_worker_that_ends(void)
{
    SSL_CTX *context = first_context();

    for (int i = 0; i < 2; i++) {
        pid_t worker = fork();
        if (worker == 0) {
            SSL_CTX *own = SSL_CTX_new(TLS_client_method());
            SSL *connection = SSL_new(context);
            CHECK(own != NULL && connection != NULL);
            SSL_free(connection);
            SSL_CTX_free(context);
            SSL_CTX_free(own);
            exit(0);
        }
        wait_for(worker);
    }
    fact("by-workers", "%d", page->freed);
    SSL_CTX_free(context);
    fact("freed", "%d", page->freed);
}

static int destroyed;

static int count_destroy(BIO *bio)
{
    (void)bio;
    return ++destroyed;
}

static BIO_METHOD *method(int (*destroy)(BIO *))
{
    BIO_METHOD *made = BIO_meth_new(BIO_TYPE_SOURCE_SINK | 127, "reloads");

    CHECK(made != NULL && BIO_meth_set_destroy(made, destroy) == 1);
    return made;
}

static int forbidden(BIO *bio)
{
    (void)bio;
    _exit(1);
}

/* The parent frees the method, as before it unloads a module, and its memory is used again. */
static void method_of_a_worker(void)
{
    BIO_METHOD *old = method(count_destroy), *others[RELOADS];
    int go[2];
    char byte;

    CHECK(pipe(go) == 0);
    pid_t worker = fork();
    if (worker == 0) {
        CHECK(read(go[0], &byte, 1) == 1);
        CHECK(BIO_free(BIO_new(old)) == 1);
        _exit(destroyed == 1 ? 0 : 2);
    }
    BIO_meth_free(old);
    for (int i = 0; i < RELOADS; i++)
        others[i] = method(forbidden);
    CHECK(write(go[1], "g", 1) == 1);
    wait_for(worker);
    for (int i = 0; i < RELOADS; i++)
        BIO_meth_free(others[i]);
}

/* The worker frees the context once too often. */
static void context_freed_twice_by_a_worker(void)
{
    SSL_CTX *context = first_context();
    pid_t worker = fork();

    if (worker == 0) {
        SSL_CTX_free(context);
        SSL_CTX_free(context);
        SSL_CTX_free(reload(NULL));
        _exit(0);
    }
    wait_for(worker);
    fact("first-freed", "%d", page->freed);
}

const struct fault reload_faults[] = {
    {"reload-by-a-worker", reload_by_a_worker},
    {"reload-by-the-parent", reload_by_the_parent},
    {"reload-under-a-connection", reload_under_a_connection},
    {"contexts-of-a-worker-that-ends", contexts_of_a_worker_that_ends},
    {"method-of-a-worker", method_of_a_worker},
    {"context-freed-twice-by-a-worker", context_freed_twice_by_a_worker},
    {NULL, NULL},
};
