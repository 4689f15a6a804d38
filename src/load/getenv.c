/* How the library sees a libcrypto that is being loaded by dlopen: its initialisation reads
 * OPENSSL_ia32cap (x86-64) or OPENSSL_armcap (arm64) before the program can use it.  dlopen itself
 * is not wrapped: that would break DT_RUNPATH, which depends on the caller. */
#include <string.h>

#include "base/real.h"
#include "load/openssl.h"

typedef char *getenv_function(const char *);

char *getenv(const char *name);
char *secure_getenv(const char *name);

static inline void check_name(const char *name, const void *caller)
{
    if (fo_likely(name[0] != 'O' || strncmp(name, "OPENSSL_", 8) != 0))
        return;
    if (strcmp(name, "OPENSSL_ia32cap") == 0 || strcmp(name, "OPENSSL_armcap") == 0)
        fo_openssl_found_at((uintptr_t)caller);
}

FO_EXPORT char *getenv(const char *name)
{
    static void *slot;
    getenv_function *real;

    *(void **)&real = fo_real(&slot, "getenv");
    check_name(name, __builtin_return_address(0));
    return real(name);
}

FO_EXPORT char *secure_getenv(const char *name)
{
    static void *slot;
    getenv_function *real;

    *(void **)&real = fo_real(&slot, "secure_getenv");
    check_name(name, __builtin_return_address(0));
    return real(name);
}
