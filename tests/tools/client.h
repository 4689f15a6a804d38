/*
 * What does one client of the load generator do?  The kinds of clients, good and bad, that a TLS
 * server meets; tlsload.c decides how many of which.  Thread safe: a setup is read only once
 * opened, and each connection belongs to the thread that made it.
 */
#ifndef FREEONCE_TESTS_CLIENT_H
#define FREEONCE_TESTS_CLIENT_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>

enum client_protocol { CLIENT_SPEAKS_SIP, CLIENT_SPEAKS_ECHO, CLIENT_SPEAKS_HTTP };

/* One row a kind of client: name, text for messages. */
#define CLIENT_KINDS(row)                                                                          \
    row(CLIENT_GOOD, "good client") row(CLIENT_STRANGER, "certificate of a wrong authority")       \
        row(CLIENT_NO_CERT, "no certificate") row(CLIENT_PLAINTEXT, "plaintext to the TLS port")   \
            row(CLIENT_ABORT_HELLO, "closed after the ClientHello")                                \
                row(CLIENT_ABORT_HALFWAY, "closed in the middle of the handshake")                 \
                    row(CLIENT_RESET_EARLY, "reset before the handshake")                          \
                        row(CLIENT_RESET_LATE, "reset after the handshake")

#define CLIENT_KIND_NAME(name, text) name,
enum client_kind { CLIENT_KINDS(CLIENT_KIND_NAME) CLIENT_KIND_COUNT };
#undef CLIENT_KIND_NAME

/* What all connections have in common. */
struct client_setup {
    struct sockaddr_in server;
    enum client_protocol speak;
    unsigned io_timeout;  /* seconds that one read or write may take */
    SSL_CTX *good;        /* what a good client presents */
    SSL_CTX *stranger;    /* a certificate of an authority that the server does not trust */
    SSL_CTX *no_cert;     /* none */
    bool good_needs_none; /* --no-client-cert: the good clients present none either */
};

/* An open connection; ssl is NULL for a plaintext one. */
struct connection {
    int fd;
    SSL *ssl;
};

/* Why a connection was not answered. */
struct client_error {
    char text[200];
};

/* Loads the certificates from a folder of make-certs.sh; version is TLS1_2_VERSION,
 * TLS1_3_VERSION or 0 for both. */
bool client_setup_open(struct client_setup *setup, const char *certs, int version,
                       struct client_error *error);
void client_setup_close(struct client_setup *setup);

/* Is one client of this kind.  True if it got the answer that a good client expects.  An answered
 * good connection stays open in *keep, unless keep is NULL. */
bool client_run(const struct client_setup *setup, enum client_kind kind, unsigned number,
                struct connection *keep, struct client_error *error);

/* Closes an open connection as TLS requires. */
void client_close(struct connection *connection);

const char *client_kind_text(enum client_kind kind);

#endif
