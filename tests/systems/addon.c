/* An addon of Node.js that frees blocks of Node's own OpenSSL twice, each time it is loaded.
 * node.py has it compiled; it needs no header of Node's, and finds OpenSSL's functions in the
 * executable, which exports them. */
#include <stddef.h>

void *CRYPTO_malloc(size_t size, const char *file, int line);
void CRYPTO_free(void *block, const char *file, int line);
void *napi_register_module_v1(void *environment, void *exports);

void *napi_register_module_v1(void *environment, void *exports)
{
    void *small = CRYPTO_malloc(100, __FILE__, 1001);
    void *large = CRYPTO_malloc(300000, __FILE__, 2001);

    (void)environment;
    CRYPTO_free(small, __FILE__, 1002);
    CRYPTO_free(large, __FILE__, 2002);
    CRYPTO_free(small, __FILE__, 1003);
    CRYPTO_free(large, __FILE__, 2003);
    return exports;
}
