/* A module that registers memory functions with the OpenSSL it is linked to, and frees a block of
 * OpenSSL twice: opened by dlopener, which is not linked, as Kamailio opens its TLS module. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void registrar_run(void);

static int served, given;

static void *take(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    served++;
    return malloc(size);
}

static void *change(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(p, size);
}

static void give(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    given++; /* more than a jump to libc's free: see load/forward.h */
    free(p);
}

void registrar_run(void)
{
    const char *version = OpenSSL_version(OPENSSL_VERSION);
    const char *second = strchr(strchr(version, ' ') + 1, ' ');

    printf("openssl %.*s\n", (int)(second - version), version);
    printf("answer %d\n", CRYPTO_set_mem_functions(take, change, give));
    void *p = CRYPTO_malloc(40, "registrar.c", 1);
    printf("served by %s\n", served > 0 ? "the module" : "others");
    printf("block %p\n", p);
    CRYPTO_free(p, "registrar.c", 2);
    CRYPTO_free(p, "registrar.c", 3);
}
