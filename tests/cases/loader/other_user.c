/* A library that uses other_crypto.c and knows nothing of OpenSSL 3. */
#include "other_user.h"

#include <stddef.h>

int CRYPTO_set_mem_functions(void *m, void *r, void *f);
void CRYPTO_get_mem_functions(void **m, void **r, void **f);
void *CRYPTO_malloc(size_t size, const char *file, int line);
void CRYPTO_free(void *p, const char *file, int line);
void OPENSSL_cleanup(void);
extern int other_calls, other_cleanups;

const char *other_use(void)
{
    void *m = NULL, *r = NULL, *f = NULL;

    if (CRYPTO_set_mem_functions(NULL, NULL, NULL) != 42)
        return "CRYPTO_set_mem_functions went astray";
    CRYPTO_get_mem_functions(&m, &r, &f);
    if (m != &other_calls || f != &other_calls || other_calls != 2)
        return "CRYPTO_get_mem_functions went astray";
    if (CRYPTO_malloc(40, "", 0) != &other_calls)
        return "CRYPTO_malloc went astray";
    CRYPTO_free(&other_calls, "", 0);
    OPENSSL_cleanup();
    return other_cleanups == 1 ? "its own" : "OPENSSL_cleanup went astray";
}
