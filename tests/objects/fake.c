/* What the library takes for one more libcrypto of OpenSSL 3: it counts who calls it. */
int calls;

unsigned OPENSSL_version_major(void);
void BN_free(void *p);

unsigned OPENSSL_version_major(void)
{
    return 3;
}

void BN_free(void *p)
{
    (void)p;
    calls++;
}
