/* Backend `libc`: malloc of the process, whichever that is (glibc, a preloaded jemalloc, ASan,
 * valgrind). */
#include <stdlib.h>

#include "backend/backend.h"
#include "base/libc_memory.h"

static void *libc_alloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void libc_free(void *block, size_t size, const char *file, int line)
{
    (void)size;
    (void)file;
    (void)line;
    fo_libc_memory.free(block);
}

const struct freeonce_backend fo_libc_backend = {
    .abi = FREEONCE_BACKEND_ABI,
    .struct_size = sizeof(struct freeonce_backend),
    .name = "libc",
    .alloc = libc_alloc,
    .free = libc_free,
};
