/* OpenSSL's names of the functions in uses.def, for callers of OpenSSL 3 and of OpenSSL 4.  Some
 * are called hundreds of times in a handshake: the fast path is three comparisons and one jump.
 *
 * As in openssl_api.c, the versions are hidden (one @): only callers of OpenSSL are bound to these
 * entries. */
#include "load/named.h"
#include "load/uses.h"

static FO_COLD void *judge(void *p, void *second, void *third, void *fourth, void *fifth,
                           size_t entry, uintptr_t caller)
{
    return fo_use_judge(p, entry, caller)(p, second, third, fourth, fifth);
}

#define ENTRY(name, major)                                                                         \
    __asm__(FO_NAMED("fo_use_of_" #name "_" #major, #name, #major ".0.0"));                        \
    FO_EXPORT fo_use_function fo_use_of_##name##_##major;                                          \
    void *fo_use_of_##name##_##major(void *p, void *second, void *third, void *fourth,             \
                                     void *fifth)                                                  \
    {                                                                                              \
        enum { AT = FO_USE_SLOT(FO_USE_##name, major) };                                           \
        fo_use_function *real = FO_HOT_LOAD(&fo_use_real[AT]);                                     \
                                                                                                   \
        if (!fo_unlikely(fo_use_is_of_freed(p)) && fo_likely(real != NULL))                        \
            return real(p, second, third, fourth, fifth);                                          \
        return judge(p, second, third, fourth, fifth, AT, (uintptr_t)__builtin_return_address(0)); \
    }

#define FO_USE(name, type, when, part) ENTRY(name, 3) ENTRY(name, 4)
#include "load/uses.def"
