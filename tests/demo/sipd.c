/* A small TLS server built as SIP servers are: OpenSSL's memory lies in a shared pool of the
 * program's own, the parent makes one SSL_CTX, and prefork workers serve from it. Such a server
 * crashes inside OpenSSL 3 under mixed traffic. scripts/demo runs it without and with
 * libfreeonce.so. */
#include "locks.h"
#include "options.h"
#include "plant.h"
#include "pool.h"
#include "supervisor.h"
#include "worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "sipd: %s: %s\n", what, why);
    /* Not exit(): nothing has been served, and OpenSSL's clean-up may be what went wrong. */
    _exit(2);
}

static _Noreturn void fail_openssl(const char *what)
{
    char why[256];
    ERR_error_string_n(ERR_peek_last_error(), why, sizeof why);
    fail(what, why);
}

static const char *path_in(const char *dir, const char *file)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    return path;
}

/* Servers look for optional files at start. The one that is missing leaves an error behind, and
 * with it the per-thread error state that every worker then inherits, as pointers into the shared
 * pool. */
static void load_optional_revocation_list(SSL_CTX *ctx, const char *dir)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    if (X509_STORE_load_file(store, path_in(dir, "crl.pem")) == 1)
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    ERR_clear_error();
}

static SSL_CTX *make_context(const char *dir)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL)
        fail_openssl("SSL_CTX_new");
    if (SSL_CTX_use_certificate_chain_file(ctx, path_in(dir, "server.pem")) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, path_in(dir, "server.key"), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_load_verify_file(ctx, path_in(dir, "ca.pem")) != 1)
        fail_openssl(path_in(dir, ""));
    SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(path_in(dir, "ca.pem")));
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    static const unsigned char id[] = "sipd";
    SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
    load_optional_revocation_list(ctx, dir);
    return ctx;
}

static int listen_on_loopback(in_port_t port)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int yes = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 256) != 0)
        fail("listen on 127.0.0.1", strerror(errno));
    return listener;
}

static void announce(int listener, const char *port_file)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    if (getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        fail("getsockname", strerror(errno));
    if (port_file != NULL) {
        FILE *file = fopen(port_file, "w");
        if (file == NULL || fprintf(file, "%d\n", ntohs(address.sin_port)) < 0 || fclose(file) != 0)
            fail(port_file, strerror(errno));
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
}

/* Not in the pool: what this server reports must survive what happens to the pool. */
static struct counters *map_counters(void)
{
    void *map = mmap(NULL, sizeof(struct counters), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        fail("map the counters", strerror(errno));
    return map;
}

static void report(const struct counters *counters, const struct outcome *outcome)
{
    printf("sipd: accepted %ld served %ld crashed %d restarted %d crashed-at-stop %d hung %d\n",
           atomic_load(&counters->accepted), atomic_load(&counters->served), outcome->crashed,
           outcome->restarted, outcome->crashed_at_stop, outcome->hung);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct options options = options_parse(argc, argv);

    /* Before anything that might make OpenSSL allocate: later calls would be refused. */
    if (pool_map((size_t)options.pool_mib << 20) != 0)
        fail("map the pool", strerror(errno));
    locks_make_shared(options.private_locks == 0);
    if (CRYPTO_set_mem_functions(pool_malloc, pool_realloc, pool_free) != 1)
        fail("CRYPTO_set_mem_functions", "refused");

    supervisor_block_signals();
    struct service service = {
        .ctx = make_context(options.certs),
        .listener = listen_on_loopback((in_port_t)options.port),
        .timeout_ms = (int)options.timeout_ms,
        .plant = options.plant != 0,
        .verbose = options.verbose != 0,
        .counters = map_counters(),
    };
    if (service.plant && plant_prepare() != 0)
        fail("--plant", "no memory in the pool");

    if (supervisor_start(&service, (int)options.workers) != 0)
        fail("fork", strerror(errno));
    announce(service.listener, options.port_file);
    struct outcome outcome = supervisor_run(&service, (int)options.restarts, options.stop_seconds);

    report(service.counters, &outcome);
    SSL_CTX_free(service.ctx);
    exit(outcome.crashed + outcome.crashed_at_stop + outcome.hung == 0 ? 0 : 1);
}
