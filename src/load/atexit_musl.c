/* Cure `exit`, as in atexit.c.  musl's atexit(3) calls no function that can be interposed, so it is
 * interposed itself. */
#include <stdlib.h>

#include "base/real.h"
#include "load/openssl.h"

typedef int atexit_function(void (*)(void));

int __cxa_atexit(void (*function)(void *), void *argument, void *module);

static void clean_up(void *openssl)
{
    const struct fo_openssl *o = openssl;

    fo_openssl_cleanup(o, o->cleanup);
}

FO_EXPORT int atexit(void (*function)(void))
{
    static void *slot;
    atexit_function *real;

    *(void **)&real = fo_real(&slot, "atexit");
    struct fo_openssl *o = fo_openssl_with_cleanup(*(void **)&function);
    return o != NULL ? __cxa_atexit(clean_up, o, NULL) : real(function);
}
