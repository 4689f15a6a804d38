/* A module of leaking.py: it looks at the certificate of each client, and forgets to free it. */
#include <openssl/x509.h>

int look_at_client(const unsigned char *der, long size);

int look_at_client(const unsigned char *der, long size)
{
    X509 *client = d2i_X509(NULL, &der, size);

    return client != NULL && X509_get_version(client) >= 0;
}
