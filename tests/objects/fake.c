/* The library treats this one as a second libcrypto of OpenSSL 3: it counts the calls. */
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
