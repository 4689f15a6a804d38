/*
 * What does one TLS connection do? Both ends live in this process and speak over a BIO pair, so
 * that no socket, no scheduler and no kernel buffer takes part in the figures: a full handshake in
 * which both ends show and verify a certificate, an echo, a close in both directions.
 */
#include "bench.h"

#include <string.h>

/* The pair carries every flight in one piece; this many alternations mean that neither end makes
 * progress. */
enum { MOST_TURNS = 20 };

static int finished(SSL *end, int result)
{
    if (result == 1)
        return 1;
    if (SSL_get_error(end, result) != SSL_ERROR_WANT_READ)
        bench_fail_openssl("the handshake failed");
    return 0;
}

static void shake_hands(struct bench_connection *connection)
{
    int client_done = 0;
    int server_done = 0;

    for (int turn = 0; turn < MOST_TURNS && !(client_done && server_done); turn++) {
        if (!client_done)
            client_done = finished(connection->client, SSL_connect(connection->client));
        if (!server_done)
            server_done = finished(connection->server, SSL_accept(connection->server));
    }
    if (!client_done || !server_done)
        bench_fail_openssl("the handshake does not end");
}

/* The verdict alone is not enough: it is X509_V_OK also when no certificate was shown. */
static void require_full_mutual_handshake(SSL *end)
{
    if (SSL_get_verify_result(end) != X509_V_OK || !SSL_get0_peer_certificate(end))
        bench_fail_openssl("a certificate was not verified");
    if (SSL_session_reused(end))
        bench_fail_openssl("a session was resumed");
}

void bench_connect(struct bench_connection *connection, SSL_CTX *client, SSL_CTX *server)
{
    BIO *client_side = NULL;
    BIO *server_side = NULL;

    connection->client = SSL_new(client);
    connection->server = SSL_new(server);
    if (!connection->client || !connection->server ||
        BIO_new_bio_pair(&client_side, 0, &server_side, 0) != 1 ||
        SSL_set1_host(connection->client, "localhost") != 1 ||
        SSL_set_tlsext_host_name(connection->client, "localhost") != 1)
        bench_fail_openssl("no connection");
    SSL_set_bio(connection->client, client_side, client_side);
    SSL_set_bio(connection->server, server_side, server_side);
    shake_hands(connection);
    require_full_mutual_handshake(connection->client);
    require_full_mutual_handshake(connection->server);
}

static void send_all(SSL *from, SSL *to, const unsigned char *sent, unsigned char *received)
{
    size_t written = 0;

    if (SSL_write_ex(from, sent, BENCH_ECHO_BYTES, &written) != 1 || written != BENCH_ECHO_BYTES)
        bench_fail_openssl("the data was not sent");
    for (size_t have = 0; have < BENCH_ECHO_BYTES;) {
        size_t n = 0;

        if (SSL_read_ex(to, received + have, BENCH_ECHO_BYTES - have, &n) != 1)
            bench_fail_openssl("the data did not arrive");
        have += n;
    }
}

void bench_echo(struct bench_connection *connection)
{
    unsigned char sent[BENCH_ECHO_BYTES];
    unsigned char there[BENCH_ECHO_BYTES];
    unsigned char back[BENCH_ECHO_BYTES];

    memset(sent, 'e', sizeof sent);
    send_all(connection->client, connection->server, sent, there);
    send_all(connection->server, connection->client, there, back);
    if (memcmp(sent, back, sizeof sent) != 0)
        bench_fail_openssl("the echo differs");
}

void bench_disconnect(struct bench_connection *connection)
{
    SSL_shutdown(connection->client);
    SSL_shutdown(connection->server);
    if (SSL_shutdown(connection->client) != 1)
        bench_fail_openssl("the connection did not close cleanly");
    SSL_free(connection->client);
    SSL_free(connection->server);
}
