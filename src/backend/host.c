/* Backend `host`: the functions that the program gave to CRYPTO_set_mem_functions.  They manage
 * the memory, and get OpenSSL's file and line as without freeonce. */
#include "backend/backend.h"

struct fo_host fo_host;

static void *host_alloc(size_t size, const char *file, int line)
{
    return fo_host.malloc(size, file, line);
}

static void host_free(void *block, size_t size, const char *file, int line)
{
    (void)size;
    fo_host.free(block, file, line);
}

const struct freeonce_backend fo_host_backend = {
    .abi = FREEONCE_BACKEND_ABI,
    .struct_size = sizeof(struct freeonce_backend),
    .name = "host",
    .alloc = host_alloc,
    .free = host_free,
};
