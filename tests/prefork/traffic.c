/* See traffic.h.  All calls block, up to the timeouts of the socket. */
#include "traffic.h"

#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void load_certificates(SSL_CTX *context, const char *certs)
{
    char ca[4096], chain[4096], key[4096];

    snprintf(ca, sizeof ca, "%s/ca.pem", certs);
    snprintf(chain, sizeof chain, "%s/client.pem", certs);
    snprintf(key, sizeof key, "%s/client.key", certs);
    if (SSL_CTX_load_verify_file(context, ca) != 1 ||
        SSL_CTX_use_certificate_chain_file(context, chain) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        errx(2, "%s: the certificates cannot be loaded", certs);
    }
}

void traffic_open(struct traffic *traffic, const char *certs, unsigned tls)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (context == NULL)
        errx(2, "SSL_CTX_new failed");
    SSL_CTX_set_min_proto_version(context, tls == 13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(context, tls == 12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    load_certificates(context, certs);
    traffic->context = context;
}

/* The oldest error of OpenSSL's queue, else errno. */
static void failed(struct outcome *out, const char *doing)
{
    int saved = errno;
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

    out->ending = ENDING_BROKEN;
    if (saved == EAGAIN || saved == EWOULDBLOCK || saved == EINPROGRESS || saved == ETIMEDOUT) {
        out->ending = ENDING_HUNG;
        reason = "no word from the server in time";
    } else if (reason == NULL) {
        reason = saved != 0 ? strerror(saved) : "closed by the server";
    }
    snprintf(out->why, sizeof out->why, "%s: %s", doing, reason);
    ERR_clear_error();
}

static int open_socket(const struct traffic *t)
{
    struct timeval patience = {.tv_sec = t->deadline / 1000, .tv_usec = t->deadline % 1000 * 1000L};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(fd, (const struct sockaddr *)&t->server, sizeof t->server) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* Sends one line, and reads which worker answers it. */
static bool ask(SSL *ssl, unsigned *worker)
{
    char line[256] = "who are you?\n";
    int length = 0, pid, resumed;

    errno = 0;
    if (SSL_write(ssl, line, (int)strlen(line)) <= 0)
        return false;
    do {
        int got = SSL_read(ssl, line + length, (int)sizeof line - 1 - length);
        if (got <= 0)
            return false;
        length += got;
        line[length] = '\0';
    } while (strchr(line, '\n') == NULL && length < (int)sizeof line - 1);
    errno = 0;
    return sscanf(line, "worker %u pid %d resumed %d\n", worker, &pid, &resumed) == 3;
}

static void talk(const struct traffic *t, SSL *ssl, const struct made *offered, struct outcome *out)
{
    unsigned worker = 0, before = 0;

    for (unsigned i = 0; i < t->lines; i++) {
        if (!ask(ssl, &worker)) {
            failed(out, "answer");
            return;
        }
        /* With hand-over the first answer is not from the worker that accepted the connection. */
        if (i == 0)
            out->crossed = offered->session != NULL && offered->worker != worker;
        else
            out->moves += worker != before;
        before = worker;
    }
    out->ending = ENDING_GOOD;
    sessions_put((struct made){SSL_get1_session(ssl), worker});
    (void)SSL_shutdown(ssl);
}

void traffic_run(const struct traffic *t, bool offer, struct outcome *out)
{
    struct made made = offer ? sessions_take() : (struct made){NULL, 0};
    SSL *ssl = SSL_new(t->context);
    int fd = open_socket(t);

    *out = (struct outcome){.ending = ENDING_BROKEN, .offered = made.session != NULL};
    if (ssl == NULL || fd < 0) {
        failed(out, "connect");
    } else {
        SSL_set_fd(ssl, fd);
        if (made.session != NULL)
            SSL_set_session(ssl, made.session);
        errno = 0;
        if (SSL_connect(ssl) != 1) {
            failed(out, "handshake");
        } else {
            out->resumed = SSL_session_reused(ssl) != 0;
            record_handshake(ssl);
            talk(t, ssl, &made, out);
        }
    }
    SSL_SESSION_free(made.session);
    SSL_free(ssl);
    if (fd >= 0)
        close(fd);
    ERR_clear_error();
}
