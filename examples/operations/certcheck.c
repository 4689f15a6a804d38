/* A service with a bug, to try docs/operations.md on:  cc -g -o certcheck certcheck.c -lcrypto */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

static void print_subject(const X509 *certificate)
{
    char *subject = X509_NAME_oneline(X509_get_subject_name(certificate), NULL, 0);

    puts(subject);
    OPENSSL_free(subject);
    OPENSSL_free(subject); /* the bug */
}

int main(int argc, char **argv)
{
    FILE *file = argc > 1 ? fopen(argv[1], "r") : NULL;
    X509 *certificate = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

    if (certificate == NULL)
        return 1;
    print_subject(certificate);
    X509_free(certificate);
    fclose(file);
    return 0;
}
