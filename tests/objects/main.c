/* One object, freed twice in one way, a process; or a healthy program.  run.py compares what is
 * reported.  Facts go to stdout as "name value".
 *
 *   objects --list             the kinds
 *   objects CASE [KIND]        CASE is one of the table at the end */
#include <dlfcn.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kinds.h"

#define CHECK(condition)                                                                           \
    do                                                                                             \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    while (0)

static const struct kind *kind;

/* The compiler must not know that a freed pointer is used. */
static void *launder(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

static void *make(void)
{
    void *p = kind->make();

    CHECK(p != NULL);
    printf("object %p\npid %d\n", p, (int)getpid());
    return p;
}

static void again(void *p)
{
    printf("answer %d\n", kind->again(launder(p)));
}

static void free_twice(void)
{
    void *p = make();

    kind->first(p);
    again(p);
}

static void other_operations(int count)
{
    for (int i = 0; i < count; i++) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        BIGNUM *number = BN_new();
        CHECK(EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
        CHECK(EVP_DigestUpdate(context, &i, sizeof i) == 1);
        CHECK(EVP_DigestFinal_ex(context, digest, NULL) == 1);
        CHECK(BN_bin2bn(digest, 32, number) != NULL);
        BN_free(number);
        EVP_MD_CTX_free(context);
    }
}

static void free_later(void)
{
    void *p = make();

    kind->first(p);
    other_operations(1000);
    again(p);
}

static void *on_thread(void *p)
{
    printf("thread %ld\n", (long)syscall(SYS_gettid));
    again(p);
    return NULL;
}

static void free_on_thread(void)
{
    pthread_t thread;
    void *p = make();

    kind->first(p);
    CHECK(pthread_create(&thread, NULL, on_thread, launder(p)) == 0);
    pthread_join(thread, NULL);
}

static void free_in_child(void)
{
    void *p = make();
    int status;

    kind->first(p);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        again(p);
        fflush(stdout);
        _exit(0);
    }
    printf("child %d\n", (int)child);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void free_both_times(void)
{
    void *p = kind->make();

    if (kind->reference != NULL) {
        CHECK(kind->reference(p) == 1);
        kind->first(p);
    }
    kind->first(p);
}

static void reference_freed(void)
{
    void *p = make();

    kind->first(p);
    printf("answer %d\n", kind->reference(launder(p)));
}

static PLACE void chain_first(void *p)
{
    OPENSSL_sk_free(p);
}

static PLACE void *chain_reference(void *p)
{
    return X509_chain_up_ref(p);
}

static void reference_freed_chain(void)
{
    void *p = sk_X509_new_null();

    printf("object %p\npid %d\n", p, (int)getpid());
    chain_first(p);
    printf("answer %d\n", chain_reference(launder(p)) != NULL);
}

/* Objects that are no block of OpenSSL's. */
static void free_static(void)
{
    ASN1_OBJECT *name = OBJ_nid2obj(NID_rsaEncryption);

    for (int i = 0; i < 3; i++) {
        ASN1_OBJECT_free(name);
        BN_free((BIGNUM *)(size_t)BN_value_one());
        ASN1_NULL_free((ASN1_NULL *)1);
        X509_free(NULL);
    }
    CHECK(OBJ_obj2nid(name) == NID_rsaEncryption && BN_is_one(BN_value_one()));
}

static X509 *certificate(EVP_PKEY *key)
{
    X509 *x = X509_new();

    CHECK(X509_set_pubkey(x, key) == 1 && X509_gmtime_adj(X509_getm_notBefore(x), 0) != NULL &&
          X509_gmtime_adj(X509_getm_notAfter(x), 3600) != NULL &&
          X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

/* A context that holds the last reference to a certificate. */
static SSL_CTX *context_with(X509 **x)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");

    CHECK(context != NULL && key != NULL);
    *x = certificate(key);
    CHECK(SSL_CTX_use_certificate(context, *x) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1);
    X509_free(*x);
    EVP_PKEY_free(key);
    return context;
}

static PLACE void outer_first(void *p)
{
    SSL_CTX_free(p);
}

static PLACE void inner_first(void *p)
{
    X509_free(p);
}

static PLACE void outer_again(void *p)
{
    SSL_CTX_free(p);
}

static PLACE void inner_again(void *p)
{
    X509_free(p);
}

/* The context frees the certificate: the program's call is what people look for. */
static void free_inner_again(void)
{
    X509 *x;
    SSL_CTX *context = context_with(&x);

    printf("object %p\npid %d\n", (void *)x, (int)getpid());
    outer_first(context);
    inner_again(launder(x));
}

/* In the other order: freed by the program once too often, then by the context. */
static void free_outer_again(void)
{
    X509 *x;
    SSL_CTX *context = context_with(&x);

    printf("object %p\npid %d\n", (void *)x, (int)getpid());
    inner_first(launder(x));
    outer_again(context);
}

static void healthy_nested(void)
{
    X509 *x;
    SSL_CTX *context = context_with(&x);
    SSL *ssl = SSL_new(context);

    SSL_CTX_free(context);
    SSL_free(ssl);
}

/* With FREEONCE_QUARANTINE=0, so that blocks come and go: parts of BN_CTX's arrays lie where blocks
 * began before. */
static void healthy_parts(void)
{
    for (int i = 0; i < 20; i++) {
        EVP_PKEY *key = EVP_EC_gen("P-384");
        X509 *x = certificate(key);
        void *blocks[64];

        for (int n = 0; n < 64; n++)
            blocks[n] = OPENSSL_malloc((size_t)(n % 24 + 1) * 16);
        CHECK(X509_verify(x, key) == 1);
        for (int n = 0; n < 64; n++)
            OPENSSL_free(blocks[n]);
        X509_free(x);
        EVP_PKEY_free(key);
        BN_CTX *context = BN_CTX_new();
        BN_CTX_start(context);
        for (int n = 0; n < 40; n++)
            CHECK(BN_set_word(BN_CTX_get(context), 1) == 1);
        BN_CTX_end(context);
        BN_CTX_free(context);
    }
}

static void *healthy_thread(void *unused)
{
    for (int i = 0; i < 200; i++) {
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
        SSL_CTX *ssl = SSL_CTX_new(TLS_method());
        other_operations(2);
        SSL_CTX_free(ssl);
        EVP_PKEY_CTX_free(context);
    }
    return unused;
}

static void healthy_threads(void)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, healthy_thread, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

static const char *compared(void *function, const char *name, void *known)
{
    Dl_info library;

    CHECK(dladdr(known, &library) != 0);
    void *handle = dlopen(library.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    CHECK(handle != NULL);
    return dlsym(handle, name) == function ? "same" : "another";
}

/* What a handle gives, and what this program's references are bound to.  The libraries are known by
 * functions that nobody interposes. */
static void compare_with_asked(void)
{
    void *crypto = (void *)OPENSSL_version_major, *ssl = (void *)SSL_get_version;

    printf("BN_free %s\n", compared((void *)BN_free, "BN_free", crypto));
    printf("SSL_CTX_free %s\n", compared((void *)SSL_CTX_free, "SSL_CTX_free", ssl));
    printf("X509_up_ref %s\n", compared((void *)X509_up_ref, "X509_up_ref", crypto));
}

static void free_all_kinds(void)
{
    for (kind = kinds; kind->name != NULL; kind++)
        free_both_times();
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"twice", free_twice},
    {"later", free_later},
    {"thread", free_on_thread},
    {"child", free_in_child},
    {"reference", reference_freed},
    {"reference-chain", reference_freed_chain},
    {"inner-again", free_inner_again},
    {"outer-again", free_outer_again},
    {"asked", compare_with_asked},
    {"healthy", free_all_kinds},
    {"healthy-static", free_static},
    {"healthy-nested", healthy_nested},
    {"healthy-parts", healthy_parts},
    {"healthy-threads", healthy_threads},
};

static void list(void)
{
    for (const struct kind *k = kinds; k->name != NULL; k++)
        printf("%s %s %s\n", k->name, k->type, k->reference != NULL ? "reference" : "-");
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        list();
        return 0;
    }
    CHECK(argc == 2 || argc == 3);
    for (kind = kinds; argc == 3 && kind->name != NULL && strcmp(kind->name, argv[2]) != 0;)
        kind++;
    CHECK(kind->name != NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(cases[i].name, argv[1]) == 0) {
            cases[i].run();
            other_operations(3); /* the program continues */
            return 0;
        }
    fprintf(stderr, "there is no case %s\n", argv[1]);
    return 2;
}
