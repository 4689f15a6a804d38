/* A library whose ELF constructor uses OpenSSL, as BIND's libraries do; with EARLY_PROGRAM the
 * program that is linked to it. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

extern void *early_block;

#ifdef EARLY_PROGRAM
int main(void)
{
    const char *version = OpenSSL_version(OPENSSL_VERSION);
    const char *second = strchr(strchr(version, ' ') + 1, ' ');

    printf("openssl %.*s\n", (int)(second - version), version);
    printf("block %p\n", early_block);
    CRYPTO_free(early_block, "early.c", 2);
    CRYPTO_free(early_block, "early.c", 3);
    return 0;
}
#else
void *early_block;

__attribute__((constructor)) static void begin(void)
{
    early_block = CRYPTO_malloc(40, "early.c", 1);
}
#endif
