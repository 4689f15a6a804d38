/* A program with a bug, to try `freeonce --ci` on:  cc -g -o twice twice.c -lcrypto */
#include <openssl/x509.h>

int main(void)
{
    X509 *certificate = X509_new();

    X509_free(certificate);
    X509_free(certificate);
    return 0;
}
