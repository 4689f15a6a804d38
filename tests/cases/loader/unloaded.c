/* A module that allocates an OpenSSL block, whose source file's name goes away with it. */
#include <openssl/crypto.h>

void *unloaded_allocate(size_t size);

void *unloaded_allocate(size_t size)
{
    return OPENSSL_malloc(size);
}
