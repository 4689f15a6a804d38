/* See kinds.h.  generic.def is made from OpenSSL's headers by constructors.py; what takes arguments
 * is here.  Compiled without tail calls, so that a call returns to the function that made it. */
#include "kinds.h"

#include "generic.h" /* all of OpenSSL's headers */

/* A kind whose free function returns nothing; `call` frees p. */
#define KIND(name, constructor, call)                                                              \
    static void *make_##name(void)                                                                 \
    {                                                                                              \
        return constructor;                                                                        \
    }                                                                                              \
    static PLACE int first_##name(void *p)                                                         \
    {                                                                                              \
        call;                                                                                      \
        return 0;                                                                                  \
    }                                                                                              \
    static PLACE int again_##name(void *p)                                                         \
    {                                                                                              \
        call;                                                                                      \
        return 0;                                                                                  \
    }
#define PLAIN(name, constructor) KIND(name##_free, constructor, name##_free(p))
#define GENERIC(name, type)      PLAIN(name, name##_new())
#include "generic.def"
#undef GENERIC

static unsigned long hash(const void *p)
{
    return (unsigned long)(size_t)p;
}

static int compare(const void *a, const void *b)
{
    return a != b;
}

static OSSL_PARAM *new_parameters(void)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_int(builder, "number", 1);
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);

    OSSL_PARAM_BLD_free(builder);
    return parameters;
}

static void *new_stack_of(void *element)
{
    OPENSSL_STACK *stack = OPENSSL_sk_new_null();

    OPENSSL_sk_push(stack, element);
    return stack;
}

static void free_string(void *p)
{
    OPENSSL_free(p);
}

static EC_GROUP *curve(void)
{
    return EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
}

static EC_POINT *new_point(void)
{
    EC_GROUP *group = curve();
    EC_POINT *point = EC_POINT_new(group);

    EC_GROUP_free(group);
    return point;
}

static SSL *new_ssl(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    SSL *ssl = SSL_new(context);

    SSL_CTX_free(context);
    return ssl;
}

static void *with_method(void *method, void *object, void (*free_method)(void *))
{
    free_method(method);
    return object;
}

static void free_mac(void *p)
{
    EVP_MAC_free(p);
}

static void free_kdf(void *p)
{
    EVP_KDF_free(p);
}

static EVP_MAC_CTX *new_mac(void)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    return with_method(mac, EVP_MAC_CTX_new(mac), free_mac);
}

static EVP_KDF_CTX *new_kdf(void)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    return with_method(kdf, EVP_KDF_CTX_new(kdf), free_kdf);
}

PLAIN(SSL_CTX, SSL_CTX_new(TLS_method()))
PLAIN(SSL, new_ssl())
PLAIN(EC_GROUP, curve())
KIND(EC_GROUP_clear_free, curve(), EC_GROUP_clear_free(p))
PLAIN(EC_POINT, new_point())
KIND(EC_POINT_clear_free, new_point(), EC_POINT_clear_free(p))
KIND(BN_clear_free, BN_new(), BN_clear_free(p))
KIND(ASN1_STRING_clear_free, ASN1_STRING_new(), ASN1_STRING_clear_free(p))
KIND(ASN1_item_free, ASN1_item_new(ASN1_ITEM_rptr(X509)), ASN1_item_free(p, ASN1_ITEM_rptr(X509)))
KIND(BIO_free_all, BIO_new(BIO_s_mem()), BIO_free_all(p))
KIND(BIO_vfree, BIO_new(BIO_s_mem()), BIO_vfree(p))
PLAIN(ASN1_OBJECT, OBJ_txt2obj("1.2.3.4.5", 1))
PLAIN(BIO_meth, BIO_meth_new(BIO_TYPE_SOURCE_SINK, "test"))
PLAIN(OPENSSL_sk, new_stack_of(NULL))
KIND(OPENSSL_sk_pop_free, new_stack_of(OPENSSL_strdup("x")), OPENSSL_sk_pop_free(p, free_string))
KIND(SCT_LIST_free, new_stack_of(SCT_new()), SCT_LIST_free(p))
KIND(X509_email_free, new_stack_of(OPENSSL_strdup("x")), X509_email_free(p))
PLAIN(OPENSSL_LH, OPENSSL_LH_new(hash, compare))
PLAIN(NCONF, NCONF_new(NULL))
PLAIN(OSSL_PARAM, new_parameters())
PLAIN(OSSL_SELF_TEST, OSSL_SELF_TEST_new(NULL, NULL))
static OSSL_HTTP_REQ_CTX *new_request(void)
{
    return OSSL_HTTP_REQ_CTX_new(BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()), 0);
}

PLAIN(OSSL_HTTP_REQ_CTX, new_request())
PLAIN(OSSL_STORE_INFO, OSSL_STORE_INFO_new_NAME(OPENSSL_strdup("x")))
PLAIN(OSSL_CMP_CTX, OSSL_CMP_CTX_new(NULL, NULL))
PLAIN(OSSL_CMP_SRV_CTX, OSSL_CMP_SRV_CTX_new(NULL, NULL))
PLAIN(EVP_PKEY_CTX, EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL))
PLAIN(EVP_MAC_CTX, new_mac())
PLAIN(EVP_KDF_CTX, new_kdf())
PLAIN(ASN1_SCTX, ASN1_SCTX_new(NULL))
PLAIN(X509_LOOKUP, X509_LOOKUP_new(X509_LOOKUP_file()))
PLAIN(X509_LOOKUP_meth, X509_LOOKUP_meth_new("x"))
PLAIN(X509_CRL_METHOD, X509_CRL_METHOD_new(NULL, NULL, NULL, NULL))
PLAIN(RSA_meth, RSA_meth_new("x", 0))
PLAIN(DSA_meth, DSA_meth_new("x", 0))
PLAIN(DH_meth, DH_meth_new("x", 0))
PLAIN(EC_KEY_METHOD, EC_KEY_METHOD_new(NULL))
PLAIN(SRP_VBASE, SRP_VBASE_new(NULL))
#if OPENSSL_VERSION_MAJOR < 4
PLAIN(EVP_PKEY_meth, EVP_PKEY_meth_new(EVP_PKEY_NONE, 0))
PLAIN(EVP_MD_meth, EVP_MD_meth_new(NID_undef, NID_undef))
PLAIN(EVP_CIPHER_meth, EVP_CIPHER_meth_new(NID_undef, 1, 16))
#endif

/* --- destructors with other names ---------------------------------------------------------------
 */

static OSSL_STORE_CTX *open_store(void)
{
    return OSSL_STORE_open("file:/", NULL, NULL, NULL, NULL);
}

KIND(UI_destroy_method, UI_create_method("x"), UI_destroy_method(p))
KIND(OSSL_STORE_close, open_store(), OSSL_STORE_close(p))
KIND(OSSL_HTTP_close, new_request(), OSSL_HTTP_close(p, 1))

/* OpenSSL exports them, and no header that is installed declares them. */
void *DSO_new(void);
int DSO_free(void *p);
int DSO_up_ref(void *p);
PLAIN(DSO, DSO_new())

/* It is valid as long as its context has it. */
static OSSL_LIB_CTX *providers;

static void *make_OSSL_PROVIDER_unload(void)
{
    providers = OSSL_LIB_CTX_new();
    return OSSL_PROVIDER_load(providers, "null");
}
static PLACE int first_OSSL_PROVIDER_unload(void *p)
{
    int answer = OSSL_PROVIDER_unload(p);
    OSSL_LIB_CTX_free(providers);
    return answer;
}
static PLACE int again_OSSL_PROVIDER_unload(void *p)
{
    return OSSL_PROVIDER_unload(p);
}

#if OPENSSL_VERSION_MAJOR < 4
static void *make_ENGINE_finish(void)
{
    ENGINE *engine = ENGINE_new();

    ENGINE_init(engine);
    ENGINE_free(engine);
    return engine;
}
static PLACE int first_ENGINE_finish(void *p)
{
    return ENGINE_finish(p);
}
static PLACE int again_ENGINE_finish(void *p)
{
    return ENGINE_finish(p);
}
#endif

/* It answers. */
static void *make_BIO_free(void)
{
    return BIO_new(BIO_s_mem());
}
static PLACE int first_BIO_free(void *p)
{
    return BIO_free(p);
}
static PLACE int again_BIO_free(void *p)
{
    return BIO_free(p);
}

#define REFERENCES(name)                                                                           \
    static PLACE int reference_##name(void *p)                                                     \
    {                                                                                              \
        return name##_up_ref(p);                                                                   \
    }
REFERENCES(SSL_CTX)
REFERENCES(SSL)
REFERENCES(SSL_SESSION)
REFERENCES(X509)
REFERENCES(X509_CRL)
REFERENCES(X509_STORE)
REFERENCES(EVP_PKEY)
REFERENCES(BIO)
REFERENCES(RSA)
REFERENCES(DH)
REFERENCES(DSA)
REFERENCES(EC_KEY)
REFERENCES(DSO)
#if OPENSSL_VERSION_MAJOR < 4
static PLACE int reference_ENGINE_finish(void *p)
{
    return ENGINE_init(p);
}
#endif

#define ROW(name, type, reference)                                                                 \
    {                                                                                              \
#name, type, make_##name, first_##name, again_##name, reference                            \
    }

const struct kind kinds[] = {
    /* The first of a name is taken, so those with X_up_ref come first. */
    ROW(SSL_CTX_free, "SSL_CTX", reference_SSL_CTX),
    ROW(SSL_free, "SSL", reference_SSL),
    ROW(SSL_SESSION_free, "SSL_SESSION", reference_SSL_SESSION),
    ROW(X509_free, "X509", reference_X509),
    ROW(X509_CRL_free, "X509_CRL", reference_X509_CRL),
    ROW(X509_STORE_free, "X509_STORE", reference_X509_STORE),
    ROW(EVP_PKEY_free, "EVP_PKEY", reference_EVP_PKEY),
    ROW(BIO_free, "BIO", reference_BIO),
    ROW(RSA_free, "RSA", reference_RSA),
    ROW(DH_free, "DH", reference_DH),
    ROW(DSA_free, "DSA", reference_DSA),
    ROW(EC_KEY_free, "EC_KEY", reference_EC_KEY),
    ROW(DSO_free, "DSO", reference_DSO),
    ROW(UI_destroy_method, "UI_METHOD", NULL),
    ROW(OSSL_STORE_close, "OSSL_STORE_CTX", NULL),
    ROW(OSSL_HTTP_close, "OSSL_HTTP_REQ_CTX", NULL),
    ROW(OSSL_PROVIDER_unload, "OSSL_PROVIDER", NULL),
    ROW(EC_GROUP_free, "EC_GROUP", NULL),
    ROW(EC_GROUP_clear_free, "EC_GROUP", NULL),
    ROW(EC_POINT_free, "EC_POINT", NULL),
    ROW(EC_POINT_clear_free, "EC_POINT", NULL),
    ROW(BN_clear_free, "BIGNUM", NULL),
    ROW(ASN1_STRING_clear_free, "ASN1_STRING", NULL),
    ROW(ASN1_item_free, "ASN1_VALUE", NULL),
    ROW(BIO_free_all, "BIO", NULL),
    ROW(BIO_vfree, "BIO", NULL),
    ROW(ASN1_OBJECT_free, "ASN1_OBJECT", NULL),
    ROW(BIO_meth_free, "BIO_METHOD", NULL),
    ROW(OPENSSL_sk_free, "OPENSSL_STACK", NULL),
    ROW(OPENSSL_sk_pop_free, "OPENSSL_STACK", NULL),
    ROW(SCT_LIST_free, "STACK_OF(SCT)", NULL),
    ROW(X509_email_free, "STACK_OF(OPENSSL_STRING)", NULL),
    ROW(OPENSSL_LH_free, "OPENSSL_LHASH", NULL),
    ROW(NCONF_free, "CONF", NULL),
    ROW(OSSL_PARAM_free, "OSSL_PARAM", NULL),
    ROW(OSSL_SELF_TEST_free, "OSSL_SELF_TEST", NULL),
    ROW(OSSL_HTTP_REQ_CTX_free, "OSSL_HTTP_REQ_CTX", NULL),
    ROW(OSSL_STORE_INFO_free, "OSSL_STORE_INFO", NULL),
    ROW(OSSL_CMP_CTX_free, "OSSL_CMP_CTX", NULL),
    ROW(OSSL_CMP_SRV_CTX_free, "OSSL_CMP_SRV_CTX", NULL),
    ROW(EVP_PKEY_CTX_free, "EVP_PKEY_CTX", NULL),
    ROW(EVP_MAC_CTX_free, "EVP_MAC_CTX", NULL),
    ROW(EVP_KDF_CTX_free, "EVP_KDF_CTX", NULL),
    ROW(ASN1_SCTX_free, "ASN1_SCTX", NULL),
    ROW(X509_LOOKUP_free, "X509_LOOKUP", NULL),
    ROW(X509_LOOKUP_meth_free, "X509_LOOKUP_METHOD", NULL),
    ROW(X509_CRL_METHOD_free, "X509_CRL_METHOD", NULL),
    ROW(RSA_meth_free, "RSA_METHOD", NULL),
    ROW(DSA_meth_free, "DSA_METHOD", NULL),
    ROW(DH_meth_free, "DH_METHOD", NULL),
    ROW(EC_KEY_METHOD_free, "EC_KEY_METHOD", NULL),
    ROW(SRP_VBASE_free, "SRP_VBASE", NULL),
#if OPENSSL_VERSION_MAJOR < 4
    ROW(ENGINE_finish, "ENGINE", reference_ENGINE_finish),
    ROW(EVP_PKEY_meth_free, "EVP_PKEY_METHOD", NULL),
    ROW(EVP_MD_meth_free, "EVP_MD", NULL),
    ROW(EVP_CIPHER_meth_free, "EVP_CIPHER", NULL),
#endif
#define GENERIC(name, type) ROW(name##_free, type, NULL),
#include "generic.def"
    {NULL, NULL, NULL, NULL, NULL, NULL},
};
