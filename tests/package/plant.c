/* Frees an OpenSSL block twice and goes on: run in a system where the package was installed. */
#include <openssl/crypto.h>
#include <stdio.h>

int main(void)
{
    void *block = OPENSSL_malloc(100);

    OPENSSL_free(block);
    OPENSSL_free(block);
    puts("still here");
    return 0;
}
