/* Errors of ownership that projects reported: the program frees an object that OpenSSL owns, passes
 * an object that it does not own, or uses one that it has freed.  Each must be reported, even if
 * OpenSSL first crashes on the pattern in freed memory. */
#define OPENSSL_SUPPRESS_DEPRECATED /* programs still use the older functions */
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/buffer.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

static SSL_CTX *server, *client;

static EVP_PKEY *new_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    CHECK(key != NULL);
    return key;
}

static X509 *new_certificate(EVP_PKEY *key)
{
    X509 *x = X509_new();

    CHECK(x != NULL);
    X509_NAME *name = X509_get_subject_name(x);
    CHECK(X509_set_version(x, 2) && ASN1_INTEGER_set(X509_get_serialNumber(x), 4711));
    CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost",
                                     -1, -1, 0));
    CHECK(X509_set_issuer_name(x, name) && X509_set_pubkey(x, key));
    CHECK(X509_gmtime_adj(X509_getm_notBefore(x), 0) &&
          X509_gmtime_adj(X509_getm_notAfter(x), 3600));
    CHECK(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

static X509 *certificate(void)
{
    EVP_PKEY *key = new_key();
    X509 *x = new_certificate(key);

    EVP_PKEY_free(key);
    return x;
}

static void make_contexts(void)
{
    EVP_PKEY *key = new_key();
    X509 *x = new_certificate(key);

    server = SSL_CTX_new(TLS_server_method());
    client = SSL_CTX_new(TLS_client_method());
    CHECK(server != NULL && client != NULL);
    CHECK(SSL_CTX_use_certificate(server, x) == 1 && SSL_CTX_use_PrivateKey(server, key) == 1);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void free_contexts(void)
{
    SSL_CTX_free(client);
    SSL_CTX_free(server);
}

/* Both ends of a connection, joined in memory. */
struct connection {
    SSL *server, *client;
};

static struct connection connection(void)
{
    struct connection c = {SSL_new(server), SSL_new(client)};
    BIO *one, *other;

    CHECK(c.server != NULL && c.client != NULL && BIO_new_bio_pair(&one, 0, &other, 0));
    SSL_set_bio(c.server, one, one);
    SSL_set_bio(c.client, other, other);
    SSL_set_accept_state(c.server);
    SSL_set_connect_state(c.client);
    for (int i = 0; i < 50; i++) {
        int there = SSL_do_handshake(c.client), here = SSL_do_handshake(c.server);
        if (there == 1 && here == 1)
            break;
    }
    return c;
}

static void close_connection(struct connection c)
{
    SSL_free(c.server);
    SSL_free(c.client);
}

static int find_symbolic(struct dl_phdr_info *module, size_t size, void *symbolic)
{
    (void)size;
    if (strstr(module->dlpi_name, "/libcrypto.so.") == NULL)
        return 0;
    for (int i = 0; i < module->dlpi_phnum; i++) {
        if (module->dlpi_phdr[i].p_type != PT_DYNAMIC)
            continue;
        const ElfW(Dyn) *d = (const void *)(module->dlpi_addr + module->dlpi_phdr[i].p_vaddr);
        for (; d->d_tag != DT_NULL; d++)
            if (d->d_tag == DT_SYMBOLIC || (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_SYMBOLIC)))
                *(bool *)symbolic = true;
    }
    return 0;
}

/* Does OpenSSL call its own X_free() (linked with -Bsymbolic: Debian's 4.0), or that of the name?
 */
static void tell_calls(void)
{
    bool symbolic = false;

    dl_iterate_phdr(find_symbolic, &symbolic);
    fact("calls", symbolic ? "its own" : "by name");
}

static void key_of_context(void)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM group[] = {OSSL_PARAM_construct_utf8_string("group", (char[]){"ffdhe2048"}, 0),
                          OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);

    make_contexts();
    CHECK(EVP_PKEY_keygen_init(make) == 1);
    CHECK(EVP_PKEY_CTX_set_params(make, group) == 1 && EVP_PKEY_generate(make, &key) == 1);
    EVP_PKEY_CTX_free(make);
    CHECK(SSL_CTX_set0_tmp_dh_pkey(server, key) == 1);
    EVP_PKEY_free(key);
    free_contexts();
}

static int free_current(int ok, X509_STORE_CTX *store)
{
    (void)ok;
    X509_free(X509_STORE_CTX_get_current_cert(store));
    return 1;
}

static void verified_certificate(void)
{
    make_contexts();
    SSL_CTX_set_verify(client, SSL_VERIFY_PEER, free_current);
    close_connection(connection());
    close_connection(connection());
    free_contexts();
}

static void chain_certificate(void)
{
    X509 *x = certificate();

    tell_calls();
    make_contexts();
    CHECK(SSL_CTX_add_extra_chain_cert(server, x) == 1);
    X509_free(x);
    close_connection(connection());
    free_contexts();
}

static void stack_of_certificates(void)
{
    STACK_OF(X509) *stack = sk_X509_new_null();
    X509 *x = certificate();

    CHECK(sk_X509_push(stack, x) == 1);
    X509_free(x);
    sk_X509_pop_free(stack, X509_free);
}

static void data_of_bio(void)
{
    BIO *b = BIO_new(BIO_f_buffer());
    char data[64] = {0};

    BIO_set_data(b, data);
    BIO_free(b);
}

static void store_of_context(void)
{
    X509_STORE *store = X509_STORE_new();

    make_contexts();
    SSL_CTX_set_cert_store(client, store);
    X509_STORE_free(store);
    close_connection(connection());
    free_contexts();
}

static void bio_of_connection(void)
{
    make_contexts();
    SSL *s = SSL_new(server);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(s, in, out);
    BIO_free(in);
    BIO_free(out);
    SSL_free(s);
    free_contexts();
}

static void session_of_connection(void)
{
    tell_calls();
    make_contexts();
    struct connection c = connection();
    SSL_SESSION_free(SSL_get_session(c.client));
    close_connection(c);
    free_contexts();
}

static int answer_status(SSL *s, void *data)
{
    enum { SIZE = 1500 };
    unsigned char *answer = malloc(SIZE);

    (void)data;
    CHECK(answer != NULL);
    memset(answer, 1, SIZE);
    SSL_set_tlsext_status_ocsp_resp(s, answer, SIZE);
    return SSL_TLSEXT_ERR_OK;
}

static void status_of_malloc(void)
{
    make_contexts();
    SSL_CTX_set_tlsext_status_cb(server, answer_status);
    SSL_CTX_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp);
    close_connection(connection());
    free_contexts();
}

static void key_of_key(void)
{
    EVP_PKEY *key = EVP_PKEY_new();
    RSA *rsa = RSA_new();

    tell_calls();
    CHECK(EVP_PKEY_assign(key, EVP_PKEY_RSA, rsa) == 1);
    RSA_free((RSA *)EVP_PKEY_get0_RSA(key));
    EVP_PKEY_free(key);
}

static void end_of_block(void)
{
    unsigned char *p = OPENSSL_malloc(64), *next = OPENSSL_malloc(64);

    OPENSSL_free(launder(p + 64));
    OPENSSL_free(p);
    OPENSSL_free(next);
}

static void read_of_freed_connection(void)
{
    char data[10];

    make_contexts();
    SSL *s = SSL_new(client);
    SSL_free(s);
    CHECK(SSL_read(launder(s), data, sizeof data) <= 0);
    free_contexts();
}

static void connection_of_freed_context(void)
{
    make_contexts();
    free_contexts();
    (void)SSL_new(launder(client));
}

static void update_of_freed_digest(void)
{
    EVP_MD_CTX *m = EVP_MD_CTX_new();

    CHECK(EVP_DigestInit(m, EVP_sha256()) == 1);
    EVP_MD_CTX_free(m);
    (void)EVP_DigestUpdate(launder(m), "a", 1);
}

static void moved_by_i2d(void)
{
    X509 *x = certificate();
    int length = i2d_X509(x, NULL);
    unsigned char *start = OPENSSL_malloc((size_t)length), *p = start;

    CHECK(i2d_X509(x, &p) == length && p == start + length);
    OPENSSL_free(p);
    OPENSSL_free(start);
    X509_free(x);
}

static void buffer_of_bio(void)
{
    BIO *b = BIO_new(BIO_s_mem());
    BUF_MEM *m;

    CHECK(BIO_puts(b, "hello") == 5);
    BIO_get_mem_ptr(b, &m);
    BUF_MEM_free(m);
    BIO_free(b);
}

static void name_of_certificate(void)
{
    X509 *x = certificate();

    X509_NAME_free(X509_get_subject_name(x));
    X509_free(x);
}

static void serial_of_certificate(void)
{
    X509 *x = certificate();

    ASN1_INTEGER_free(X509_get_serialNumber(x));
    X509_free(x);
}

static void number_of_pool(void)
{
    BN_CTX *pool = BN_CTX_new();

    BN_CTX_start(pool);
    BIGNUM *b = BN_CTX_get(pool);
    CHECK(BN_set_word(b, 7) == 1);
    BN_free(b);
    BN_CTX_end(pool);
    BN_CTX_free(pool);
}

static void numbers_of_key(void)
{
    RSA *rsa = RSA_new();
    BIGNUM *n = BN_new(), *e = BN_new();

    CHECK(BN_set_word(n, 12345) && BN_set_word(e, 3) && RSA_set0_key(rsa, n, e, NULL));
    BN_free(n);
    BN_free(e);
    RSA_free(rsa);
}

static void fetched_digest(void)
{
    EVP_MD *m = EVP_MD_fetch(NULL, "SHA3-512", NULL);
    EVP_MD_CTX *c = EVP_MD_CTX_new();

    for (int i = 0; i < 3; i++)
        EVP_MD_free(m);
    (void)EVP_DigestInit_ex(c, EVP_sha3_512(), NULL);
    EVP_MD_CTX_free(c);
}

const struct fault ownership_faults[] = {
    {"key-of-context", key_of_context},
    {"verified-certificate", verified_certificate},
    {"chain-certificate", chain_certificate},
    {"stack-of-certificates", stack_of_certificates},
    {"data-of-bio", data_of_bio},
    {"store-of-context", store_of_context},
    {"bio-of-connection", bio_of_connection},
    {"session-of-connection", session_of_connection},
    {"status-of-malloc", status_of_malloc},
    {"key-of-key", key_of_key},
    {"end-of-block", end_of_block},
    {"read-of-freed-connection", read_of_freed_connection},
    {"connection-of-freed-context", connection_of_freed_context},
    {"update-of-freed-digest", update_of_freed_digest},
    {"moved-by-i2d", moved_by_i2d},
    {"buffer-of-bio", buffer_of_bio},
    {"name-of-certificate", name_of_certificate},
    {"serial-of-certificate", serial_of_certificate},
    {"number-of-pool", number_of_pool},
    {"numbers-of-key", numbers_of_key},
    {"fetched-digest", fetched_digest},
    {NULL, NULL},
};
