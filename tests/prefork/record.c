/* Which random numbers does a server send?  The random of its hello, the public half of its
 * ephemeral key, its session id, and r of its ECDSA signature, which is equal in two signatures
 * with the same nonce.  run.py looks for equal ones. */
#include "traffic.h"

#include <err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>

enum {
    HANDSHAKE_KEY_EXCHANGE = 12,
    HANDSHAKE_CERTIFICATE_VERIFY = 15,
    HELLO_BYTES = 24, /* of 32: the last 8 may mark a downgrade */
    ECDSA_SECP256R1_SHA256 = 0x0403,
};

static FILE *out;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void write_line(const char *kind, const unsigned char *bytes, size_t size)
{
    pthread_mutex_lock(&lock);
    fprintf(out, "%s ", kind);
    for (size_t i = 0; i < size; i++)
        fprintf(out, "%02x", bytes[i]);
    fputc('\n', out);
    pthread_mutex_unlock(&lock);
}

/* algorithm 2, length 2, then SEQUENCE { INTEGER r, INTEGER s } */
static void signature(const unsigned char *p, size_t size)
{
    if (size < 10 || (p[0] << 8 | p[1]) != ECDSA_SECP256R1_SHA256 || p[4] != 0x30 || p[6] != 0x02)
        return;
    if (8 + (size_t)p[7] <= size)
        write_line("nonce", p + 8, p[7]);
}

static void on_message(int written, int version, int type, const void *bytes, size_t size, SSL *ssl,
                       void *argument)
{
    const unsigned char *p = bytes;

    (void)version, (void)ssl, (void)argument;
    if (written || type != SSL3_RT_HANDSHAKE || size < 12)
        return;
    if (p[0] == HANDSHAKE_CERTIFICATE_VERIFY)
        signature(p + 4, size - 4);
    /* named curve 3, length of the point 1, the point */
    if (p[0] == HANDSHAKE_KEY_EXCHANGE && p[4] == 3 && 8 + (size_t)p[7] < size)
        signature(p + 8 + p[7], size - 8 - p[7]);
}

void record_open(struct traffic *traffic, const char *file)
{
    out = fopen(file, "w");
    if (out == NULL)
        err(2, "%s", file);
    SSL_CTX_set_msg_callback(traffic->context, on_message);
    /* SSL_get_peer_tmp_key() has no key for hybrid groups.  P-256 is the certificate's curve. */
    if (SSL_CTX_set1_groups_list(traffic->context, "X25519:P-256") != 1)
        errx(2, "no X25519");
}

void record_handshake(SSL *ssl)
{
    unsigned char bytes[64];
    size_t size = sizeof bytes;
    unsigned length;
    EVP_PKEY *key = NULL;

    if (out == NULL)
        return;
    if (SSL_get_server_random(ssl, bytes, 32) == 32)
        write_line("hello", bytes, HELLO_BYTES);
    if (SSL_get_peer_tmp_key(ssl, &key) == 1 && EVP_PKEY_get_raw_public_key(key, bytes, &size) == 1)
        write_line("key", bytes, size);
    EVP_PKEY_free(key);
    const unsigned char *id = SSL_SESSION_get_id(SSL_get0_session(ssl), &length);
    if (!SSL_session_reused(ssl) && SSL_version(ssl) == TLS1_2_VERSION && length != 0)
        write_line("id", id, length);
    fflush(out);
}
