/* A preloaded library that wraps functions of OpenSSL and of libc under their names, without a
 * version, as libraries that log keys or trace calls do.  It counts the calls, and finds the real
 * functions with RTLD_NEXT; with BY_HANDLE in the library itself. */
#include <dlfcn.h>
#include <openssl/opensslv.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/types.h>

#ifdef BY_HANDLE
static void *real(const char *library, const char *name)
{
    void *handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);

    if (handle == NULL)
        abort(); /* dlsym(NULL) would find the wrapper */
    return dlsym(handle, name);
}
#else
static void *real(const char *library, const char *name)
{
    (void)library;
    return dlsym(RTLD_NEXT, name);
}
#endif

#define WRAP(library, type, name, parameters, arguments)                                           \
    extern int count_##name;                                                                       \
    int count_##name;                                                                              \
    type name parameters;                                                                          \
    type name parameters                                                                           \
    {                                                                                              \
        static type(*next) parameters;                                                             \
                                                                                                   \
        ++count_##name;                                                                            \
        if (next == NULL)                                                                          \
            *(void **)&next = real(library, #name);                                                \
        return next arguments;                                                                     \
    }

#if OPENSSL_VERSION_MAJOR >= 4
#define SONAME(library) library ".so.4"
#else
#define SONAME(library) library ".so.3"
#endif
#define WRAP_SSL(...)    WRAP(SONAME("libssl"), __VA_ARGS__)
#define WRAP_CRYPTO(...) WRAP(SONAME("libcrypto"), __VA_ARGS__)
#define WRAP_LIBC(...)   WRAP("libc.so.6", __VA_ARGS__)

WRAP_SSL(void *, SSL_CTX_new, (void *method), (method))
WRAP_SSL(void, SSL_CTX_free, (void *p), (p))
WRAP_SSL(int, SSL_CTX_up_ref, (void *p), (p))
WRAP_SSL(unsigned long, SSL_CTX_set_options, (void *p, unsigned long options), (p, options))
WRAP_SSL(long, SSL_CTX_ctrl, (void *p, int command, long number, void *more),
         (p, command, number, more))
WRAP_SSL(void *, SSL_new, (void *context), (context))
WRAP_SSL(void, SSL_free, (void *p), (p))
WRAP_CRYPTO(void *, CRYPTO_malloc, (size_t size, const char *file, int line), (size, file, line))
WRAP_CRYPTO(void *, CRYPTO_zalloc, (size_t size, const char *file, int line), (size, file, line))
WRAP_CRYPTO(void *, CRYPTO_realloc, (void *p, size_t size, const char *file, int line),
            (p, size, file, line))
WRAP_CRYPTO(void, CRYPTO_free, (void *p, const char *file, int line), (p, file, line))
WRAP_CRYPTO(void, X509_STORE_free, (void *p), (p))
WRAP_CRYPTO(int, X509_STORE_set_flags, (void *p, unsigned long flags), (p, flags))
WRAP_CRYPTO(void, EVP_PKEY_free, (void *p), (p))
WRAP_CRYPTO(void *, EVP_RAND_CTX_new, (void *kind, void *parent), (kind, parent))
WRAP_CRYPTO(void, EVP_RAND_CTX_free, (void *p), (p))
WRAP_CRYPTO(int, BN_BLINDING_lock, (void *p), (p))
WRAP_CRYPTO(void, OPENSSL_cleanup, (void), ())

#ifndef BY_HANDLE
WRAP_LIBC(void, free, (void *p), (p))
WRAP_LIBC(void *, realloc, (void *p, size_t size), (p, size))
WRAP_LIBC(void *, reallocarray, (void *p, size_t count, size_t size), (p, count, size))
WRAP_LIBC(size_t, malloc_usable_size, (void *p), (p))
WRAP_LIBC(pid_t, fork, (void), ())
WRAP_LIBC(pid_t, getpid, (void), ())
WRAP_LIBC(char *, getenv, (const char *name), (name))
WRAP_LIBC(char *, secure_getenv, (const char *name), (name))
WRAP_LIBC(int, execve, (const char *path, char *const argv[], char *const envp[]),
          (path, argv, envp))
WRAP_LIBC(int, execvp, (const char *file, char *const argv[]), (file, argv))
WRAP_LIBC(pthread_t, pthread_self, (void), ())
WRAP_LIBC(int, pthread_mutex_init, (pthread_mutex_t * p, const pthread_mutexattr_t *with),
          (p, with))
WRAP_LIBC(int, pthread_cond_init, (pthread_cond_t * p, const pthread_condattr_t *with), (p, with))
WRAP_LIBC(int, pthread_rwlock_init, (pthread_rwlock_t * p, const pthread_rwlockattr_t *with),
          (p, with))
WRAP_LIBC(int, pthread_rwlock_rdlock, (pthread_rwlock_t * p), (p))
WRAP_LIBC(int, pthread_rwlock_trywrlock, (pthread_rwlock_t * p), (p))
WRAP_LIBC(int, pthread_rwlock_unlock, (pthread_rwlock_t * p), (p))
WRAP_LIBC(int, pthread_rwlock_destroy, (pthread_rwlock_t * p), (p))
WRAP_LIBC(int, __cxa_atexit, (void (*function)(void *), void *argument, void *module),
          (function, argument, module))
#endif
