/* An executable with a static OpenSSL inside that exports the functions that were linked; those for
 * OpenSSL's version are not among them. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char digest[EVP_MAX_MD_SIZE];

    (void)argv;
    setvbuf(stdout, NULL, _IONBF, 0);
    puts("openssl OpenSSL"); /* its version is not known */
    printf("digest %d\n", EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                              EVP_DigestUpdate(context, "abc", 3) == 1 &&
                              EVP_DigestFinal_ex(context, digest, NULL) == 1 && digest[0] == 0xba);
    EVP_MD_CTX_free(context);
    void *p = CRYPTO_malloc(40, "exported_partly.c", 1);
    printf("block %p\n", p);
    CRYPTO_free(p, "exported_partly.c", 2);
    if (argc == 1)
        CRYPTO_free(p, "exported_partly.c", 3);
    return 0;
}
