/* Cure `exit`, for a libcrypto that is linked -Bsymbolic: it registers its own OPENSSL_cleanup with
 * atexit(3), which calls __cxa_atexit here.  The function that is registered instead first checks
 * whether this process may clean up.  All other functions are registered unchanged. */
#include "base/real.h"
#include "load/openssl.h"

typedef int cxa_atexit_function(void (*)(void *), void *, void *);

int __cxa_atexit(void (*function)(void *), void *argument, void *module);

static void clean_up(void *openssl)
{
    const struct fo_openssl *o = openssl;

    fo_openssl_cleanup(o, o->cleanup);
}

FO_EXPORT int __cxa_atexit(void (*function)(void *), void *argument, void *module)
{
    static void *slot;
    cxa_atexit_function *real;

    *(void **)&real = fo_real(&slot, "__cxa_atexit");
    struct fo_openssl *o = fo_openssl_with_cleanup(*(void **)&function);
    return o != NULL ? real(clean_up, o, module) : real(function, argument, module);
}
