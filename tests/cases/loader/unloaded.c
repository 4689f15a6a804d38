/* A module that allocates an OpenSSL block.  The name of its source file is unmapped with it. */
#include <openssl/crypto.h>

void *unloaded_allocate(size_t size);

void *unloaded_allocate(size_t size)
{
    return OPENSSL_malloc(size);
}
