/* A library that is linked to other_crypto.c, not to OpenSSL 3. */
#include "other_user.h"

#include <dlfcn.h>
#include <stddef.h>

int CRYPTO_set_mem_functions(void *m, void *r, void *f);
void CRYPTO_get_mem_functions(void **m, void **r, void **f);
void *CRYPTO_malloc(size_t size, const char *file, int line);
void CRYPTO_free(void *p, const char *file, int line);
void OPENSSL_cleanup(void);
void BN_free(void *p);
extern int other_calls, other_cleanups;

/* By the handle of its library. */
static int is_found(void)
{
    void (*release)(void *p);
    Dl_info other;
    int freed = 0;

    if (dladdr(&other_calls, &other) == 0)
        return 0;
    *(void **)&release = dlsym(dlopen(other.dli_fname, RTLD_NOW | RTLD_NOLOAD), "BN_free");
    release(&freed);
    return release == BN_free && freed == 1;
}

const char *other_reach(void)
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
    return other_cleanups == 1 ? NULL : "OPENSSL_cleanup went astray";
}

const char *other_use(void)
{
    const char *astray = other_reach();

    if (astray != NULL)
        return astray;
    return is_found() ? "its own" : "BN_free went astray";
}
