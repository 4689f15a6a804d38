/* A program with a library that uses another libcrypto; with BESIDE_OPENSSL it also uses OpenSSL 3
 * itself, and frees twice there. */
#include <stdio.h>

#include "other_user.h"

#ifdef BESIDE_OPENSSL
#include <openssl/crypto.h>

static void use_openssl(void)
{
    void *p = CRYPTO_malloc(40, "beside.c", 1);

    printf("block %p\n", p);
    CRYPTO_free(p, "beside.c", 2);
    CRYPTO_free(p, "beside.c", 3);
}
#else
static void use_openssl(void)
{
}
#endif

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    printf("other %s\n", other_use());
    use_openssl();
    return 0;
}
