/* Loading a backend from a shared library; its interface is freeonce/backend.h.  Called at most
 * once, at OpenSSL's first allocation. */
#include <dlfcn.h>
#include <stdlib.h>

#include "backend/backend.h"
#include "base/moved.h"
#include "base/real.h"

static const char *refusal(const struct freeonce_backend *b)
{
    if (b == NULL)
        return "its freeonce_backend() refuses this version of the interface";
    if (b->abi != FREEONCE_BACKEND_ABI)
        return "it is made for another version of freeonce/backend.h";
    if (b->struct_size < sizeof *b)
        return "its struct freeonce_backend is too small";
    if (b->name == NULL || b->alloc == NULL || b->free == NULL)
        return "its struct freeonce_backend lacks name, alloc or free";
    if (b->start != NULL && b->start() != 0)
        return "its start() says that it cannot work here";
    void *probe = b->alloc(32, NULL, 0);
    if (probe == NULL)
        return "its alloc() has no memory for a first block of 32 bytes";
    b->free(probe, 32, NULL, 0);
    return ((uintptr_t)probe & 15) != 0 ? "its blocks are not aligned to 16 bytes" : NULL;
}

const struct freeonce_backend *fo_plugin_load(const char *path, const char **why)
{
    if (!fo_moved_has_dlopen()) {
        *why = "this program has no dlopen(3): its glibc is older than 2.34, and it is not linked "
               "to libdl";
        return NULL;
    }
    void *handle = FO_MOVED(dlopen)(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        *why = FO_MOVED(dlerror)();
        return NULL;
    }
    const struct freeonce_backend *(*entry)(uint32_t);
    *(void **)&entry = fo_real_dlsym(handle, "freeonce_backend");
    if (entry == NULL) {
        FO_MOVED(dlerror)();
        *why = "it does not export freeonce_backend()";
        return NULL;
    }
    const struct freeonce_backend *b = entry(FREEONCE_BACKEND_ABI);
    *why = refusal(b);
    return *why == NULL ? b : NULL;
}
