/* An executable with a static OpenSSL inside that exports its symbols, as Node.js does. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    const char *version = OpenSSL_version(OPENSSL_VERSION);
    const char *second = strchr(strchr(version, ' ') + 1, ' ');

    (void)argv;
    printf("openssl %.*s\n", (int)(second - version), version);
    void *p = CRYPTO_malloc(40, "exported.c", 1);
    printf("block %p\n", p);
    CRYPTO_free(p, "exported.c", 2);
    if (argc == 1)
        CRYPTO_free(p, "exported.c", 3);
    return 0;
}
