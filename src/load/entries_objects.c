/* OpenSSL's names of the functions in objects.def, for callers of OpenSSL 3 and of OpenSSL 4.  As
 * in openssl_api.c, the versions are hidden (one @), so that only callers of OpenSSL find us. */
#include "load/objects.h"

#define DEFINE(name, major, version, result, parameters)                                           \
    __asm__(".symver fo_" #name "_" #major "," #name "@OPENSSL_" version);                         \
    FO_EXPORT result fo_##name##_##major parameters;                                               \
    result fo_##name##_##major parameters
#define CALL(name, major, second)                                                                  \
    fo_object_call(p, second, FO_OBJECT_ENTRY(FO_OBJECT_##name, major),                            \
                   (uintptr_t)__builtin_return_address(0))

/* One for each shape: what a function takes and returns. */
#define FREE(name, major, version)                                                                 \
    DEFINE(name, major, version, void, (void *p))                                                  \
    {                                                                                              \
        CALL(name, major, NULL);                                                                   \
    }
#define FREE_INT(name, major, version)                                                             \
    DEFINE(name, major, version, int, (void *p))                                                   \
    {                                                                                              \
        return (int)(intptr_t)CALL(name, major, NULL);                                             \
    }
#define POP_FREE(name, major, version)                                                             \
    DEFINE(name, major, version, void, (void *p, void (*each)(void *)))                            \
    {                                                                                              \
        CALL(name, major, *(void **)&each);                                                        \
    }
#define ITEM_FREE(name, major, version)                                                            \
    DEFINE(name, major, version, void, (void *p, const void *item))                                \
    {                                                                                              \
        CALL(name, major, item);                                                                   \
    }
#define REFERENCE FREE_INT
#define CHAIN(name, major, version)                                                                \
    DEFINE(name, major, version, void *, (void *p))                                                \
    {                                                                                              \
        return CALL(name, major, NULL);                                                            \
    }

/* One for each version of the table. */
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
