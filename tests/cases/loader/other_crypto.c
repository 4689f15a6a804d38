/* Another library with OpenSSL's names: with symbol version OPENSSL_1_1_0, as libcrypto.so.1.1, or
 * unversioned, as LibreSSL.  The answers of its functions differ from those of OpenSSL 3. */
#include <stddef.h>
#include <stdlib.h>

int CRYPTO_set_mem_functions(void *m, void *r, void *f);
void CRYPTO_get_mem_functions(void **m, void **r, void **f);
void *CRYPTO_malloc(size_t size, const char *file, int line);
void *CRYPTO_realloc(void *p, size_t size, const char *file, int line);
void CRYPTO_free(void *p, const char *file, int line);
void OPENSSL_cleanup(void);
void BN_free(void *p);
unsigned long OpenSSL_version_num(void);

/* The versions of Debian 11's OpenSSL 1.1.1, and of any LibreSSL. */
#ifdef OTHER_IS_OPENSSL
enum { VERSION = 0x101010ef };
#else
enum { VERSION = 0x20000000 };
#endif

unsigned long OpenSSL_version_num(void)
{
    return VERSION;
}

#ifdef OTHER_IS_OPENSSL
/* As OPENSSL_cpuid_setup() does on x86-64. */
__attribute__((constructor)) static void ask(void)
{
    (void)getenv("OPENSSL_ia32cap");
}
#endif

int other_calls;
int other_cleanups;

int CRYPTO_set_mem_functions(void *m, void *r, void *f)
{
    (void)m;
    (void)r;
    (void)f;
    other_calls++;
    return 42;
}

void CRYPTO_get_mem_functions(void **m, void **r, void **f)
{
    other_calls++;
    *m = *r = *f = &other_calls;
}

void *CRYPTO_malloc(size_t size, const char *file, int line)
{
    (void)size;
    (void)file;
    return line == 0 ? &other_calls : NULL;
}

void *CRYPTO_realloc(void *p, size_t size, const char *file, int line)
{
    (void)size;
    (void)file;
    (void)line;
    return p;
}

void CRYPTO_free(void *p, const char *file, int line)
{
    (void)p;
    (void)file;
    (void)line;
}

void OPENSSL_cleanup(void)
{
    other_cleanups++;
}

void BN_free(void *p)
{
    ++*(int *)p;
}
