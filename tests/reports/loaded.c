/* A library that a program loads, and in which a block is freed twice. */
#include <openssl/crypto.h>

void plant(void);

void plant(void)
{
    void *p = CRYPTO_malloc(40, "loaded", 1);

    CRYPTO_free(p, "loaded", 2);
    CRYPTO_free(p, "loaded", 3);
}
