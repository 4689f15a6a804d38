/* OpenSSL's names of the functions in objects.def, for callers of OpenSSL 3 and of OpenSSL 4.  As
 * in openssl_api.c, the versions are hidden (one @): only callers of OpenSSL are bound to these
 * entries. */
#include "load/named.h"
#include "load/objects.h"

/* Workers may use an SSL_CTX that any process made: its free always takes the slow path.  (The
 * compiler evaluates the comparison.) */
static FO_ALWAYS_INLINE void *free_object(void *p, const void *second, fo_object_function **slot,
                                          uintptr_t caller)
{
    bool is_context = slot == &fo_object_real[FO_OBJECT_SLOT(FO_OBJECT_SSL_CTX_free, 3)] ||
                      slot == &fo_object_real[FO_OBJECT_SLOT(FO_OBJECT_SSL_CTX_free, 4)];

    return is_context ? fo_object_free(p, second, slot, caller)
                      : fo_object_free_fast(p, second, slot, caller);
}

#define DEFINE(name, major, version, result, parameters)                                           \
    __asm__(FO_NAMED("fo_" #name "_" #major, #name, version));                                     \
    FO_EXPORT result fo_##name##_##major parameters;                                               \
    result fo_##name##_##major parameters
#define ENTRY(name, major)                                                                         \
    &fo_object_real[FO_OBJECT_SLOT(FO_OBJECT_##name, major)], (uintptr_t)__builtin_return_address(0)

/* For each shape: the arguments and the result of a function. */
#define FREE(name, major, version)                                                                 \
    DEFINE(name, major, version, void, (void *p))                                                  \
    {                                                                                              \
        if (p != NULL) /* for NULL nothing is done, as OpenSSL promises */                         \
            free_object(p, NULL, ENTRY(name, major));                                              \
    }
#define FREE_INT(name, major, version)                                                             \
    DEFINE(name, major, version, int, (void *p))                                                   \
    {                                                                                              \
        return (int)(intptr_t)free_object(p, NULL, ENTRY(name, major));                            \
    }
/* libcrypto calls it with NULL hundreds of times in a handshake; it returns 1 then. */
#define FINISH(name, major, version)                                                               \
    DEFINE(name, major, version, int, (void *p))                                                   \
    {                                                                                              \
        if (p == NULL)                                                                             \
            return 1;                                                                              \
        return (int)(intptr_t)free_object(p, NULL, ENTRY(name, major));                            \
    }
#define FREE_WITH_INT(name, major, version)                                                        \
    DEFINE(name, major, version, int, (void *p, int number))                                       \
    {                                                                                              \
        const void *second = (const void *)(intptr_t)number;                                       \
        return (int)(intptr_t)free_object(p, second, ENTRY(name, major));                          \
    }
#define POP_FREE(name, major, version)                                                             \
    DEFINE(name, major, version, void, (void *p, void (*each)(void *)))                            \
    {                                                                                              \
        free_object(p, *(void **)&each, ENTRY(name, major));                                       \
    }
#define ITEM_FREE(name, major, version)                                                            \
    DEFINE(name, major, version, void, (void *p, const void *item))                                \
    {                                                                                              \
        free_object(p, item, ENTRY(name, major));                                                  \
    }
#define REFERENCE(name, major, version)                                                            \
    DEFINE(name, major, version, int, (void *p))                                                   \
    {                                                                                              \
        return (int)(intptr_t)fo_object_reference_fast(p, NULL, ENTRY(name, major));               \
    }
#define CHAIN(name, major, version)                                                                \
    DEFINE(name, major, version, void *, (void *p))                                                \
    {                                                                                              \
        return fo_object_reference_fast(p, NULL, ENTRY(name, major));                              \
    }

/* For each version in the table. */
#define AT_NO(shape, name)
#define AT_3_0_0(shape, name) shape(name, 3, "3.0.0")
#define AT_3_1_0(shape, name) shape(name, 3, "3.1.0")
#define AT_3_2_0(shape, name) shape(name, 3, "3.2.0")
#define AT_3_4_0(shape, name) shape(name, 3, "3.4.0")
#define AT_3_5_0(shape, name) shape(name, 3, "3.5.0")
#define AT_4_0_0(shape, name) shape(name, 4, "4.0.0")

#define FO_OBJECT(name, type, shape, part, since3, since4)                                         \
    AT_##since3(shape, name) AT_##since4(shape, name)
#include "load/objects.def"
