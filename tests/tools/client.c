/*
 * What does one client of the load generator do?  See client.h.  Everything blocks, bounded by
 * the socket's timeouts; the two kinds that stop in the middle of a handshake drive OpenSSL over
 * memory BIOs, because only so is it known which bytes are on the wire.
 */
#include "client.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ECHO_BYTES = 1000, BUFFER_BYTES = 4096 };

const char *client_kind_text(enum client_kind kind)
{
#define CLIENT_KIND_TEXT(name, text) [name] = text,
    static const char *const texts[CLIENT_KIND_COUNT] = {CLIENT_KINDS(CLIENT_KIND_TEXT)};
#undef CLIENT_KIND_TEXT
    return texts[kind];
}

/* The oldest error of OpenSSL's queue, else errno. */
static bool failed(struct client_error *error, const char *doing)
{
    int saved = errno;
    unsigned long code = ERR_get_error();

    if (code != 0) {
        const char *reason = ERR_reason_error_string(code);
        snprintf(error->text, sizeof error->text, "%s: %s", doing, reason ? reason : "?");
    } else if (saved == EAGAIN || saved == EWOULDBLOCK || saved == EINPROGRESS) {
        snprintf(error->text, sizeof error->text, "%s: timed out", doing);
    } else if (saved != 0) {
        snprintf(error->text, sizeof error->text, "%s: %s", doing, strerror(saved));
    } else {
        snprintf(error->text, sizeof error->text, "%s: closed by the server", doing);
    }
    ERR_clear_error();
    return false;
}

static SSL_CTX *make_context(const char *certs, const char *name, int version)
{
    char path[4096];
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (context == NULL)
        return NULL;
    /* Version 0 means OpenSSL's lowest or highest. */
    if (SSL_CTX_set_min_proto_version(context, version != 0 ? version : TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context, version) != 1)
        goto broken;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    snprintf(path, sizeof path, "%s/ca.pem", certs);
    if (SSL_CTX_load_verify_locations(context, path, NULL) != 1)
        goto broken;
    if (name == NULL)
        return context;
    snprintf(path, sizeof path, "%s/%s.pem", certs, name);
    if (SSL_CTX_use_certificate_chain_file(context, path) != 1)
        goto broken;
    snprintf(path, sizeof path, "%s/%s.key", certs, name);
    if (SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1)
        goto broken;
    return context;
broken:
    SSL_CTX_free(context);
    return NULL;
}

bool client_setup_open(struct client_setup *setup, const char *certs, int version,
                       struct client_error *error)
{
    errno = 0;
    setup->good = make_context(certs, setup->good_needs_none ? NULL : "client", version);
    setup->stranger = make_context(certs, "stranger", version);
    setup->no_cert = make_context(certs, NULL, version);
    if (setup->good == NULL || setup->stranger == NULL || setup->no_cert == NULL) {
        client_setup_close(setup);
        return failed(error, "loading the certificates");
    }
    return true;
}

void client_setup_close(struct client_setup *setup)
{
    SSL_CTX_free(setup->good);
    SSL_CTX_free(setup->stranger);
    SSL_CTX_free(setup->no_cert);
    setup->good = setup->stranger = setup->no_cert = NULL;
}

static int open_socket(const struct client_setup *setup, struct client_error *error)
{
    struct timeval patience = {.tv_sec = (time_t)setup->io_timeout};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    errno = fd < 0 ? errno : 0;
    if (fd >= 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, (socklen_t)sizeof patience) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, (socklen_t)sizeof patience) == 0 &&
        connect(fd, (const struct sockaddr *)&setup->server, (socklen_t)sizeof setup->server) == 0)
        return fd;
    failed(error, "connect");
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Without lingering the kernel answers close with a reset. */
static void reset_on_close(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, (socklen_t)sizeof now);
}

static bool send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        size -= (size_t)sent;
    }
    return true;
}

static bool handshake(struct connection *connection, SSL_CTX *context, struct client_error *error)
{
    ERR_clear_error();
    connection->ssl = SSL_new(context);
    if (connection->ssl == NULL || SSL_set_fd(connection->ssl, connection->fd) != 1)
        return failed(error, "SSL_new");
    errno = 0;
    if (SSL_connect(connection->ssl) != 1)
        return failed(error, "handshake");
    return true;
}

static size_t write_request(const struct client_setup *setup, unsigned number, char *buffer)
{
    static const char http[] =
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n";
    int size = 0;

    switch (setup->speak) {
    case CLIENT_SPEAKS_HTTP:
        memcpy(buffer, http, sizeof http - 1);
        return sizeof http - 1;
    case CLIENT_SPEAKS_ECHO:
        for (unsigned at = 0; at < ECHO_BYTES - 1; at++)
            buffer[at] = (char)('a' + (number + at) % 26);
        buffer[ECHO_BYTES - 1] = '\n';
        return ECHO_BYTES;
    case CLIENT_SPEAKS_SIP:
        size = snprintf(buffer, BUFFER_BYTES,
                        "OPTIONS sip:ping@localhost;transport=tls SIP/2.0\r\n"
                        "Via: SIP/2.0/TLS 127.0.0.1:5061;branch=z9hG4bK-%u;rport\r\n"
                        "Max-Forwards: 70\r\n"
                        "From: <sip:client@localhost>;tag=%u\r\n"
                        "To: <sip:ping@localhost>\r\n"
                        "Call-ID: %u-%d@localhost\r\n"
                        "CSeq: 1 OPTIONS\r\n"
                        "Contact: <sip:client@127.0.0.1:5061;transport=tls>\r\n"
                        "Content-Length: 0\r\n\r\n",
                        number, number, number, (int)getpid());
    }
    return size > 0 ? (size_t)size : 0;
}

/* Is the answer complete?  An echo ends with its line, the other two with an empty line. */
static bool is_complete(const struct client_setup *setup, const char *answer, size_t size)
{
    if (setup->speak == CLIENT_SPEAKS_ECHO)
        return size >= ECHO_BYTES;
    return memmem(answer, size, "\r\n\r\n", 4) != NULL;
}

static bool is_right(const struct client_setup *setup, const char *request, const char *answer,
                     size_t size)
{
    switch (setup->speak) {
    case CLIENT_SPEAKS_ECHO:
        return size == ECHO_BYTES && memcmp(request, answer, ECHO_BYTES) == 0;
    case CLIENT_SPEAKS_SIP:
        return size > 11 && memcmp(answer, "SIP/2.0 200", 11) == 0;
    case CLIENT_SPEAKS_HTTP:
        return size > 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0;
    }
    return false;
}

/* One request over an open connection; over plain TCP if there is no SSL. */
static bool ask(const struct client_setup *setup, struct connection *connection, unsigned number,
                struct client_error *error)
{
    char request[BUFFER_BYTES], answer[BUFFER_BYTES + 1];
    size_t length = write_request(setup, number, request), size = 0;
    SSL *ssl = connection->ssl;

    ERR_clear_error();
    errno = 0;
    if (ssl ? SSL_write(ssl, request, (int)length) <= 0
            : !send_all(connection->fd, request, length))
        return failed(error, "request");
    while (!is_complete(setup, answer, size) && size < BUFFER_BYTES) {
        size_t room = BUFFER_BYTES - size;
        ssize_t got;

        errno = 0;
        got = ssl ? SSL_read(ssl, answer + size, (int)room)
                  : recv(connection->fd, answer + size, room, 0);
        if (got <= 0)
            return failed(error, "answer");
        size += (size_t)got;
    }
    if (is_right(setup, request, answer, size))
        return true;
    answer[size] = '\0';
    snprintf(error->text, sizeof error->text, "wrong answer: %.*s", (int)strcspn(answer, "\r\n"),
             answer);
    return false;
}

/* A handshake that stops: after the ClientHello, or with half of the second flight sent. */
static void abort_handshake(const struct client_setup *setup, int fd, bool halfway)
{
    char bytes[2 * BUFFER_BYTES];
    SSL *ssl = SSL_new(setup->good);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    int size = 0;

    if (ssl == NULL || in == NULL || out == NULL) {
        SSL_free(ssl);
        BIO_free(in);
        BIO_free(out);
        return;
    }
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    (void)SSL_do_handshake(ssl);
    size = BIO_read(out, bytes, (int)sizeof bytes);
    if (size > 0 && send_all(fd, bytes, (size_t)size) && halfway) {
        while (BIO_ctrl_pending(out) == 0) {
            ssize_t got = recv(fd, bytes, sizeof bytes, 0);
            if (got <= 0)
                break;
            BIO_write(in, bytes, (int)got);
            (void)SSL_do_handshake(ssl);
        }
        size = BIO_read(out, bytes, (int)sizeof bytes);
        if (size > 1)
            (void)send_all(fd, bytes, (size_t)size / 2);
    }
    SSL_free(ssl);
    ERR_clear_error();
}

/* Ends a connection without a TLS alert: the server gets only what is in the socket. */
static void drop(struct connection *connection)
{
    SSL_free(connection->ssl);
    close(connection->fd);
    connection->ssl = NULL;
    connection->fd = -1;
}

void client_close(struct connection *connection)
{
    if (connection->ssl != NULL)
        (void)SSL_shutdown(connection->ssl);
    drop(connection);
    ERR_clear_error();
}

static bool handshake_and_ask(const struct client_setup *setup, SSL_CTX *context, unsigned number,
                              struct connection *keep, struct connection *connection,
                              struct client_error *error)
{
    if (!handshake(connection, context, error) || !ask(setup, connection, number, error)) {
        drop(connection);
        return false;
    }
    if (keep != NULL)
        *keep = *connection;
    else
        client_close(connection);
    return true;
}

bool client_run(const struct client_setup *setup, enum client_kind kind, unsigned number,
                struct connection *keep, struct client_error *error)
{
    struct connection connection = {.fd = open_socket(setup, error), .ssl = NULL};
    bool answered = false;

    if (connection.fd < 0)
        return false;
    switch (kind) {
    case CLIENT_GOOD:
        return handshake_and_ask(setup, setup->good, number, keep, &connection, error);
    case CLIENT_STRANGER:
        return handshake_and_ask(setup, setup->stranger, number, NULL, &connection, error);
    case CLIENT_NO_CERT:
        return handshake_and_ask(setup, setup->no_cert, number, NULL, &connection, error);
    case CLIENT_PLAINTEXT:
        answered = ask(setup, &connection, number, error);
        break;
    case CLIENT_ABORT_HELLO:
    case CLIENT_ABORT_HALFWAY:
        abort_handshake(setup, connection.fd, kind == CLIENT_ABORT_HALFWAY);
        break;
    case CLIENT_RESET_EARLY:
        reset_on_close(connection.fd);
        break;
    case CLIENT_RESET_LATE:
        (void)handshake(&connection, setup->good, error);
        reset_on_close(connection.fd);
        break;
    case CLIENT_KIND_COUNT:
        break;
    }
    drop(&connection);
    return answered;
}
