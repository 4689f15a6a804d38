/* A dynamic engine, linked to the shared libcrypto.  The program and the engine free blocks of each
 * other, as those of keys: both copies of OpenSSL have the same memory functions, because
 * bind_engine() registers the program's. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/engine.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

static void *early;

/* Other libraries of the program may use the same libcrypto before the engine is bound. */
__attribute__((constructor)) static void before_it_is_bound(void)
{
    const char *version = OpenSSL_version(OPENSSL_VERSION);

    printf("openssl %.*s\n", (int)(strchr(strchr(version, ' ') + 1, ' ') - version), version);
    if (getenv("CASE_EARLY") != NULL)
        early = CRYPTO_malloc(40, "engine.c", 1);
}

static void *exchange(void *theirs)
{
    CRYPTO_free(theirs, "engine.c", 2);
    return CRYPTO_realloc(CRYPTO_malloc(40, "engine.c", 3), 4000, "engine.c", 4);
}

static int control(ENGINE *engine, int command, long number, void *data, void (*function)(void))
{
    struct functions *functions = data;
    void **block = data;

    (void)engine;
    (void)number;
    (void)function;
    switch (command) {
    case EXCHANGE:
        *block = exchange(*block);
        return 1;
    case EARLY:
        *block = early;
        return 1;
    case EARLY_FREED:
        CRYPTO_free(early, "engine.c", 5);
        return 1;
    case EARLY_MOVED:
        *block = CRYPTO_realloc(early, 4000, "engine.c", 6);
        return 1;
    case FUNCTIONS:
        CRYPTO_get_mem_functions(&functions->allocate, &functions->move, &functions->release);
        return 1;
    default:
        return 0;
    }
}

static int bind(ENGINE *engine, const char *id)
{
    (void)id;
    return ENGINE_set_id(engine, "case") && ENGINE_set_name(engine, "a case") &&
           ENGINE_set_ctrl_function(engine, control);
}

IMPLEMENT_DYNAMIC_BIND_FN(bind)
IMPLEMENT_DYNAMIC_CHECK_FN()
