/* Calls functions that wrapper.c wraps, and prints how often the wrapper of each was called: as a
 * program, or as a module that dlopener.c opens. */
#include <dlfcn.h>
#include <malloc.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../libc.h"

#define CHECK(that)                                                                                \
    do {                                                                                           \
        if (!(that)) {                                                                             \
            printf("failed %s\n", #that);                                                          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static int nothing;

static int *counter(const char *name)
{
    int *found = dlsym(RTLD_DEFAULT, name);

    return found != NULL ? found : &nothing;
}

#define COUNT(name, call)                                                                          \
    do {                                                                                           \
        int *count = counter("count_" #name);                                                      \
        *count = 0;                                                                                \
        call;                                                                                      \
        int seen = *count;                                                                         \
        printf(#name " %d\n", seen);                                                               \
    } while (0)

static void use_ssl(void)
{
    SSL_CTX *context;
    SSL *connection;

    COUNT(SSL_CTX_new, context = SSL_CTX_new(TLS_method()));
    CHECK(context != NULL);
    COUNT(SSL_CTX_up_ref, CHECK(SSL_CTX_up_ref(context) == 1));
    COUNT(SSL_CTX_set_options, SSL_CTX_set_options(context, SSL_OP_NO_TICKET));
    COUNT(SSL_CTX_ctrl, CHECK(SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY) != 0));
    CHECK((SSL_CTX_get_options(context) & SSL_OP_NO_TICKET) != 0);
    COUNT(SSL_new, connection = SSL_new(context));
    CHECK(connection != NULL);
    COUNT(SSL_free, SSL_free(connection));
    SSL_CTX_free(context);
    COUNT(SSL_CTX_free, SSL_CTX_free(context));
}

static void use_crypto(void)
{
    X509_STORE *store = X509_STORE_new();
    EVP_PKEY *key = EVP_PKEY_new();
    EVP_RAND *kind = EVP_RAND_fetch(NULL, "TEST-RAND", NULL);
    EVP_RAND_CTX *generator;
    BIGNUM *modulus = BN_new();

    CHECK(store != NULL && key != NULL && kind != NULL && BN_set_word(modulus, 1000003) == 1);
    COUNT(X509_STORE_set_flags, CHECK(X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) == 1));
    COUNT(X509_STORE_free, X509_STORE_free(store));
    COUNT(EVP_PKEY_free, EVP_PKEY_free(key));
    COUNT(EVP_RAND_CTX_new, generator = EVP_RAND_CTX_new(kind, NULL));
    CHECK(generator != NULL);
    COUNT(EVP_RAND_CTX_free, EVP_RAND_CTX_free(generator));
    EVP_RAND_free(kind);
    BN_BLINDING *blinding = BN_BLINDING_new(NULL, NULL, modulus);
    COUNT(BN_BLINDING_lock, CHECK(BN_BLINDING_lock(blinding) == 1));
    CHECK(BN_BLINDING_unlock(blinding) == 1);
    BN_BLINDING_free(blinding);
    BN_free(modulus);
}

static void use_openssl_memory(void)
{
    unsigned char *p;

    COUNT(CRYPTO_malloc, p = OPENSSL_malloc(16));
    COUNT(CRYPTO_realloc, p = OPENSSL_realloc(p, 100000));
    COUNT(CRYPTO_free, OPENSSL_free(p));
    COUNT(CRYPTO_zalloc, p = OPENSSL_zalloc(16));
    CHECK(p[0] == 0 && p[15] == 0);
    OPENSSL_free(p);
}

static void use_memory(void)
{
    void *volatile p = malloc(16);

    COUNT(malloc_usable_size, CHECK(malloc_usable_size(p) >= 16));
    COUNT(realloc, p = realloc(p, 100000));
    COUNT(reallocarray, p = reallocarray(p, 1000, 1000));
    COUNT(free, free(p));
}

static void use_locks(void)
{
    pthread_rwlock_t lock;
    pthread_mutex_t mutex;
    pthread_cond_t condition;

    COUNT(pthread_rwlock_init, CHECK(pthread_rwlock_init(&lock, NULL) == 0));
    COUNT(pthread_rwlock_rdlock, CHECK(pthread_rwlock_rdlock(&lock) == 0));
    COUNT(pthread_rwlock_trywrlock, CHECK(pthread_rwlock_trywrlock(&lock) != 0));
    COUNT(pthread_rwlock_unlock, CHECK(pthread_rwlock_unlock(&lock) == 0));
    COUNT(pthread_rwlock_destroy, CHECK(pthread_rwlock_destroy(&lock) == 0));
    COUNT(pthread_mutex_init, CHECK(pthread_mutex_init(&mutex, NULL) == 0));
    COUNT(pthread_cond_init, CHECK(pthread_cond_init(&condition, NULL) == 0));
    pthread_t (*volatile ask)(void) = pthread_self; /* compilers treat its result as constant */
    COUNT(pthread_self, CHECK(ask() != 0));
}

static void at_exit(void)
{
}

static void use_processes(void)
{
    char *argv[] = {(char *)"none", NULL}, *envp[] = {NULL};
    pid_t child;

    COUNT(getpid, CHECK(getpid() > 0));
    COUNT(getenv, CHECK(getenv("CASE_WORD") != NULL));
    COUNT(secure_getenv, CHECK(secure_getenv("CASE_WORD") != NULL));
    COUNT(__cxa_atexit, CHECK(atexit(at_exit) == 0));
    COUNT(execve, CHECK(execve("/nonexistent", argv, envp) == -1));
    COUNT(execvp, CHECK(execvp("/nonexistent", argv) == -1));
    COUNT(fork, if ((child = fork()) == 0) _exit(0));
    CHECK(waitpid(child, NULL, 0) == child);
}

void registrar_run(void);

void registrar_run(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    use_ssl();
    use_crypto();
    use_openssl_memory();
    use_memory();
    use_locks();
    use_processes();
    COUNT(OPENSSL_cleanup, OPENSSL_cleanup());
}

#ifdef PROGRAM
int main(void)
{
    registrar_run();
    return 0;
}
#endif
