/* Calls that reach the library's entries and belong to OpenSSL 1.1, LibreSSL or another library
 * with the same names (library.h): see openssl.h. */
#include <dlfcn.h>

#include "base/elf.h"
#include "base/real.h"
#include "load/library.h"
#include "load/openssl.h"

void *fo_openssl_find_other(unsigned major, const char *name, uintptr_t caller)
{
    void *function = fo_library_own_function(FO_PART_CRYPTO, major, name, caller);

    return function != NULL && fo_openssl_of((uintptr_t)function) == NULL ? function : NULL;
}

static bool is_own(const void *function)
{
    struct fo_module other, this_one;

    return fo_elf_module((uintptr_t)function, &other) &&
           fo_elf_module((uintptr_t)is_own, &this_one) && other.start == this_one.start;
}

/* The second search sets dlerror(3). */
bool fo_openssl_names_only_own(const char *name, void *handle)
{
    return (handle == RTLD_NEXT || is_own(fo_real_dlsym(handle, name))) &&
           fo_real_dlsym(RTLD_NEXT, name) == NULL;
}
