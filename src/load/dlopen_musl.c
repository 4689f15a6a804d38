/* dlopen(3): which libraries have OpenSSL's names now?  With glibc versions say whose a call is,
 * and dlopen is not interposed, since it depends on its caller (DT_RUNPATH).  musl's does not. */
#include <dlfcn.h>

#include "base/real.h"
#include "load/library.h"
#include "load/openssl.h"

typedef void *dlopen_function(const char *file, int mode);

FO_EXPORT void *dlopen(const char *file, int mode)
{
    static void *slot;
    dlopen_function *real;

    *(void **)&real = fo_real(&slot, "dlopen");
    void *handle = real(file, mode);
    if (handle != NULL) {
        fo_libraries_check();
        fo_openssl_check_neighbours("loaded by dlopen");
    }
    return handle;
}
