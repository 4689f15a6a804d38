/* A C++ exception leaves X509_free() out of one of its callbacks: see left.c. */
#include <cstdio>
#include <openssl/crypto.h>
#include <openssl/x509.h>

static void callback(void *, void *, CRYPTO_EX_DATA *, int, long, void *)
{
    throw 1;
}

static void free_twice()
{
    char much[4096];
    void *p = CRYPTO_malloc(40, "left", 1);

    __asm__ volatile("" : : "r"(much) : "memory");
    CRYPTO_free(p, "left", 2);
    CRYPTO_free(p, "left", 3);
}

int main()
{
    int index =
        CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_X509, 0, nullptr, nullptr, nullptr, callback);
    X509 *x = X509_new();

    X509_set_ex_data(x, index, x);
    try {
        X509_free(x);
    } catch (int) {
        free_twice();
        std::puts("end");
    }
}
