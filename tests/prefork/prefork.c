/* Can all forked workers of a server use one SSL_CTX, made before the fork?  An ordinary TLS server
 * with required client certificates and OpenSSL's own session cache: apart from --pool, no code is
 * special to shared memory.  run.py starts it and connects to it.
 *
 * It answers each line with "worker N pid P resumed R", until the client closes the connection. */
#include "server.h"

#include <arpa/inet.h>
#include <err.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "demo/pool.h"

static _Noreturn void fail_openssl(const char *what)
{
    char why[256];

    ERR_error_string_n(ERR_peek_last_error(), why, sizeof why);
    errx(2, "%s: %s", what, why);
}

static const char *path_in(const char *folder, const char *file)
{
    static char path[4096];

    snprintf(path, sizeof path, "%s/%s", folder, file);
    return path;
}

static SSL_CTX *make_context(const struct settings *settings)
{
    static const unsigned char id[] = "prefork";
    const char *certs = settings->certs;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL)
        fail_openssl("SSL_CTX_new");
    int least = settings->tls == 13 ? TLS1_3_VERSION : TLS1_2_VERSION;
    int most = settings->tls == 12 ? TLS1_2_VERSION : TLS1_3_VERSION;
    if (SSL_CTX_set_min_proto_version(context, least) != 1 ||
        SSL_CTX_set_max_proto_version(context, most) != 1 ||
        SSL_CTX_use_certificate_chain_file(context, path_in(certs, "server.pem")) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, path_in(certs, "server.key"), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_load_verify_file(context, path_in(certs, "ca.pem")) != 1)
        fail_openssl(certs);
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(path_in(certs, "ca.pem")));
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    /* Sessions stay in the server, under an id (TLS 1.2) or a ticket that is an id (TLS 1.3). */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_id_context(context, id, sizeof id - 1);
    return context;
}

static int listen_on_loopback(void)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };

    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1024) != 0)
        err(2, "listen on 127.0.0.1");
    return listener;
}

static void announce(const struct server *server)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;

    if (getsockname(server->listener, (struct sockaddr *)&address, &size) != 0)
        err(2, "getsockname");
    printf("prefork: listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    if (server->settings.port_file == NULL)
        return;
    FILE *file = fopen(server->settings.port_file, "w");
    if (file == NULL || fprintf(file, "%d\n", ntohs(address.sin_port)) < 0 || fclose(file) != 0)
        err(2, "%s", server->settings.port_file);
}

int main(int argc, char **argv)
{
    static struct server server;

    server.settings = settings_parse(argc, argv);
    /* Before OpenSSL allocates: later calls would be refused. */
    if (server.settings.pool != 0) {
        if (pool_map((size_t)server.settings.pool << 20) != 0)
            err(2, "map the pool");
        if (CRYPTO_set_mem_functions(pool_malloc, pool_realloc, pool_free) != 1)
            errx(2, "CRYPTO_set_mem_functions: refused");
    }
    signal(SIGPIPE, SIG_IGN);
    server.context = make_context(&server.settings);
    server.listener = listen_on_loopback();
    server.page = page_map(server.settings.page_file, server.settings.workers);
    if (handover_open(&server) != 0)
        err(2, "socketpair");
    announce(&server);
    int status = parent_run(&server);
    SSL_CTX_free(server.context);
    exit(status);
}
