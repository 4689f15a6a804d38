/* SSL_new(): in shared memory, what fork/connections.h needs to hear of. */
#include "core/hot.h"
#include "fork/connections.h"
#include "load/entries.h"
#include "load/library.h"

static void *make(unsigned major, void *context, uintptr_t caller)
{
    void *(*real)(void *);

    *(void **)&real = fo_library_function(NULL, FO_PART_SSL, major, "SSL_new", caller);
    void *connection = real != NULL ? real(context) : NULL;
    if (connection != NULL && FO_RELAXED_LOAD(&fo_hot.keep))
        fo_connection_made((uintptr_t)connection);
    return connection;
}

#define DEFINE_ENTRY(major)                                                                        \
    __asm__(".symver fo_SSL_new_" #major ",SSL_new@OPENSSL_" #major ".0.0");                       \
    FO_EXPORT void *fo_SSL_new_##major(void *context)                                              \
    {                                                                                              \
        return make(major, context, (uintptr_t)__builtin_return_address(0));                       \
    }

DEFINE_ENTRY(3)
DEFINE_ENTRY(4)
