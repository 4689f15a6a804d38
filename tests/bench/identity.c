/*
 * Which certificates do the two ends have? A certificate for each end, made in memory at start: no
 * files to find or to expire, and with repeatable random numbers the same bytes in every run. Each
 * end demands the other's certificate and verifies it, trusting it directly or through an authority
 * that signed it.
 */
#include "bench.h"

#include <string.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

static EVP_PKEY *new_key(const char *kind)
{
    EVP_PKEY *key = strcmp(kind, "rsa") == 0 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");

    if (!key)
        bench_fail_openssl("no key");
    return key;
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    if (!extension || X509_add_ext(certificate, extension, -1) != 1)
        bench_fail_openssl("no certificate extension");
    X509_EXTENSION_free(extension);
}

/* Fixed dates: those relative to now would make the signed bytes differ from run to run. */
static void set_validity(X509 *certificate)
{
    if (ASN1_TIME_set_string(X509_getm_notBefore(certificate), "200101000000Z") != 1 ||
        ASN1_TIME_set_string(X509_getm_notAfter(certificate), "491231235959Z") != 1)
        bench_fail_openssl("no validity");
}

static void set_name(X509 *certificate, const char *text)
{
    X509_NAME *name = X509_NAME_new();

    if (!name ||
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)text, -1, -1,
                                   0) != 1 ||
        X509_set_subject_name(certificate, name) != 1)
        bench_fail_openssl("no name");
    X509_NAME_free(name);
}

/* issuer == NULL: signed by itself. signs: it may sign others. */
static struct identity new_identity(const char *kind, const char *name, long serial, bool signs,
                                    const struct identity *issuer)
{
    struct identity self = {.key = new_key(kind), .certificate = X509_new()};
    X509 *certificate = self.certificate;
    const struct identity *signer = issuer ? issuer : &self;

    if (!certificate)
        bench_fail_openssl("no certificate");
    set_name(certificate, name);
    set_validity(certificate);
    if (X509_set_version(certificate, X509_VERSION_3) != 1 ||
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial) != 1 ||
        X509_set_issuer_name(certificate, X509_get_subject_name(signer->certificate)) != 1 ||
        X509_set_pubkey(certificate, self.key) != 1)
        bench_fail_openssl("the certificate cannot be filled in");
    add_extension(certificate, NID_basic_constraints,
                  signs ? "critical,CA:TRUE" : "critical,CA:FALSE");
    add_extension(certificate, NID_key_usage,
                  signs ? "critical,keyCertSign" : "critical,digitalSignature");
    if (!signs)
        add_extension(certificate, NID_subject_alt_name, "DNS:localhost");
    if (X509_sign(certificate, signer->key, EVP_sha256()) == 0)
        bench_fail_openssl("the certificate cannot be signed");
    return self;
}

static void free_identity(struct identity *identity)
{
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
}

static SSL_CTX *new_context(const SSL_METHOD *method, int version, const struct identity *self,
                            const struct identity *trusted)
{
    SSL_CTX *context = SSL_CTX_new(method);

    if (!context || SSL_CTX_set_min_proto_version(context, version) != 1 ||
        SSL_CTX_set_max_proto_version(context, version) != 1 ||
        SSL_CTX_use_certificate(context, self->certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, self->key) != 1 ||
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), trusted->certificate) != 1)
        bench_fail_openssl("no context");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    /* Tickets are sent unless switched off, but no client resumes with one. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return context;
}

/* TLS 1.2 knows only whether a ticket is issued, TLS 1.3 counts them. */
static void set_tickets(SSL_CTX *server, unsigned tickets)
{
    if (tickets == 0)
        SSL_CTX_set_options(server, SSL_OP_NO_TICKET);
    if (SSL_CTX_set_num_tickets(server, tickets) != 1)
        bench_fail_openssl("the number of tickets cannot be set");
}

void bench_contexts_create(struct bench_contexts *contexts, const struct bench_setup *setup)
{
    struct identity authority = {0};
    const struct identity *issuer = NULL;

    if (setup->authority) {
        authority = new_identity(setup->key, "bench authority", 1, true, NULL);
        issuer = &authority;
    }
    struct identity server = new_identity(setup->key, "bench server", 2, false, issuer);
    struct identity client = new_identity(setup->key, "bench client", 3, false, issuer);

    contexts->server =
        new_context(TLS_server_method(), setup->version, &server, issuer ? issuer : &client);
    contexts->client =
        new_context(TLS_client_method(), setup->version, &client, issuer ? issuer : &server);
    set_tickets(contexts->server, setup->tickets);
    free_identity(&client);
    free_identity(&server);
    free_identity(&authority);
}

void bench_contexts_destroy(struct bench_contexts *contexts)
{
    SSL_CTX_free(contexts->client);
    SSL_CTX_free(contexts->server);
}
