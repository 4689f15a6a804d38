/* A small TLS server built as SIP servers are: OpenSSL's memory lies in a shared pool of the
 * program's own, the parent makes one SSL_CTX, and prefork workers serve from it. Such a server
 * crashes inside OpenSSL 3 under mixed traffic. scripts/demo runs it without and with
 * libfreeonce.so. */
#include "locks.h"
#include "plant.h"
#include "pool.h"
#include "supervisor.h"
#include "worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static const char usage[] =
    "Usage: sipd --certs DIR [OPTION]...\n"
    "An echo server with TLS, in the manner of SIP servers: prefork workers, one shared\n"
    "memory pool for all of OpenSSL's memory, client certificates required.\n"
    "\n"
    "  --certs DIR      where ca.pem, server.pem and server.key are\n"
    "  --port N         port on 127.0.0.1; 0, the default, takes a free one\n"
    "  --port-file F    write the port to this file once the workers run\n"
    "  --workers N      number of workers (4)\n"
    "  --restarts N     how many crashed workers are replaced, at most (1000)\n"
    "  --timeout MS     how long a worker waits for a silent client (2000)\n"
    "  --pool MIB       size of the pool (256)\n"
    "  --plant          free one of OpenSSL's blocks twice, from two workers\n"
    "  --private-locks  leave OpenSSL's locks to one process each: the workers then hang\n"
    "  --verbose        log OpenSSL's errors\n"
    "  --help           this text\n"
    "\n"
    "Prints `listening on 127.0.0.1:PORT` when it is ready, stops on SIGTERM, and then says\n"
    "how its workers fared. Exit status: 0 if none crashed or hung, 1 if some did, 2 for a\n"
    "mistake on the command line or a failed start.\n";

struct options {
    const char *certs;
    const char *port_file;
    long port, workers, restarts, timeout_ms, pool_mib;
    bool plant, private_locks, verbose;
};

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

static long number(const char *option, const char *text, long low, long high)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < low || value > high) {
        fprintf(stderr, "sipd: --%s wants a number from %ld to %ld, not '%s'\n", option, low, high,
                text);
        exit(2);
    }
    return value;
}

static struct options parse(int argc, char **argv)
{
    static const struct option names[] = {
        {"certs", required_argument, NULL, 'c'},
        {"port", required_argument, NULL, 'p'},
        {"port-file", required_argument, NULL, 'f'},
        {"workers", required_argument, NULL, 'w'},
        {"restarts", required_argument, NULL, 'r'},
        {"timeout", required_argument, NULL, 't'},
        {"pool", required_argument, NULL, 'm'},
        {"plant", no_argument, NULL, 'x'},
        {"private-locks", no_argument, NULL, 'l'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {.workers = 4, .restarts = 1000, .timeout_ms = 2000, .pool_mib = 256};
    int choice, index = 0;
    while ((choice = getopt_long(argc, argv, "", names, &index)) != -1) {
        const char *name = names[index].name;
        switch (choice) {
        case 'c':
            o.certs = optarg;
            break;
        case 'p':
            o.port = number(name, optarg, 0, 65535);
            break;
        case 'f':
            o.port_file = optarg;
            break;
        case 'w':
            o.workers = number(name, optarg, 1, 256);
            break;
        case 'r':
            o.restarts = number(name, optarg, 0, 100000);
            break;
        case 't':
            o.timeout_ms = number(name, optarg, 1, 600000);
            break;
        case 'm':
            o.pool_mib = number(name, optarg, 8, 65536);
            break;
        case 'x':
            o.plant = true;
            break;
        case 'l':
            o.private_locks = true;
            break;
        case 'v':
            o.verbose = true;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs("Try sipd --help\n", stderr);
            exit(2);
        }
    }
    if (o.certs == NULL || optind != argc) {
        fputs(usage, stderr);
        exit(2);
    }
    return o;
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
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    getsockname(listener, (struct sockaddr *)&address, &size);
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
    struct options options = parse(argc, argv);

    /* Before anything that might make OpenSSL allocate: later calls would be refused. */
    if (pool_map((size_t)options.pool_mib << 20) != 0)
        fail("map the pool", strerror(errno));
    locks_make_shared(!options.private_locks);
    if (CRYPTO_set_mem_functions(pool_malloc, pool_realloc, pool_free) != 1)
        fail("CRYPTO_set_mem_functions", "refused");

    supervisor_block_signals();
    struct service service = {
        .ctx = make_context(options.certs),
        .listener = listen_on_loopback((in_port_t)options.port),
        .timeout_ms = (int)options.timeout_ms,
        .plant = options.plant,
        .verbose = options.verbose,
        .counters = map_counters(),
    };
    if (options.plant && plant_prepare() != 0)
        fail("--plant", "no memory in the pool");

    if (supervisor_start(&service, (int)options.workers) != 0)
        fail("fork", strerror(errno));
    announce(service.listener, options.port_file);
    struct outcome outcome = supervisor_run(&service, (int)options.restarts);

    report(service.counters, &outcome);
    SSL_CTX_free(service.ctx);
    exit(outcome.crashed + outcome.crashed_at_stop + outcome.hung == 0 ? 0 : 1);
}
