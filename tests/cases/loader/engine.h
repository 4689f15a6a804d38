/* The commands of the program engine_host to the engine. */
#ifndef CASES_ENGINE_H
#define CASES_ENGINE_H

#include <openssl/crypto.h>

enum { EXCHANGE = 200, EARLY, EARLY_FREED, EARLY_MOVED, FUNCTIONS };

struct functions {
    CRYPTO_malloc_fn allocate;
    CRYPTO_realloc_fn move;
    CRYPTO_free_fn release;
};

#endif
