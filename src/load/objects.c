/* See objects.h.  libcrypto's own calls may come through here too (Debian's is not linked
 * -Bsymbolic), thousands a handshake: a healthy call reads one byte of the registry. */
#include "load/objects.h"

#include <dlfcn.h>
#include <errno.h>

#include "core/hot.h"
#include "core/registry.h"
#include "core/verdict.h"
#include "fork/process.h"
#include "load/library.h"
#include "load/openssl.h"
#include "load/real.h"
#include "report/output.h"

/* All texts in one piece, found by their offsets: pointers would have to be relocated at the start
 * of every process. */
static const struct texts {
#define FO_OBJECT(name, type, shape, part, since3, since4)                                         \
    char name##_name[sizeof #name], name##_type[sizeof type];
#include "load/objects.def"
#undef FO_OBJECT
} texts = {
#define FO_OBJECT(name, type, shape, part, since3, since4) #name, type,
#include "load/objects.def"
#undef FO_OBJECT
};

#define OPERATION_FREE      FO_OPERATION_FREE
#define OPERATION_FREE_INT  FO_OPERATION_FREE
#define OPERATION_POP_FREE  FO_OPERATION_FREE
#define OPERATION_ITEM_FREE FO_OPERATION_FREE
#define OPERATION_REFERENCE FO_OPERATION_REFERENCE
#define OPERATION_CHAIN     FO_OPERATION_REFERENCE

static const struct row {
    uint16_t name, type; /* in texts */
    uint8_t part, operation;
} rows[] = {
#define FO_OBJECT(name, type, shape, part, since3, since4)                                         \
    {offsetof(struct texts, name##_name), offsetof(struct texts, name##_type), FO_PART_##part,     \
     OPERATION_##shape},
#include "load/objects.def"
#undef FO_OBJECT
};
_Static_assert(sizeof texts < UINT16_MAX, "offsets fit");

/* Any of OpenSSL's functions: on x86-64 and arm64 an argument that is not expected is not seen, and
 * a result that is not there is not looked at. */
typedef void *function_of_object(void *p, const void *second);

/* OpenSSL's functions, as far as they were found and are the same for every caller. */
static function_of_object *real[FO_OBJECT_ENTRY(FO_OBJECT_COUNT, 3)];

static const char *text_at(uint16_t offset)
{
    return (const char *)&texts + offset;
}

static unsigned major_of(unsigned entry)
{
    return 3 + (entry & 1);
}

void fo_objects_forget(void)
{
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++)
        __atomic_store_n(&real[i], NULL, __ATOMIC_SEQ_CST);
}

/* Where OpenSSL has no such function. */
static void *nothing(void *p, const void *second)
{
    (void)p;
    (void)second;
    return NULL;
}

/* In no OpenSSL of that version.  Then the call meant somebody else, whom the dynamic linker may
 * know: our definitions are hidden from a search without a version. */
static function_of_object *find_elsewhere(const char *name)
{
    function_of_object *found;

    *(void **)&found = fo_real_dlsym(RTLD_NEXT, name);
    if (found == NULL)
        *(void **)&found = fo_real_dlsym(RTLD_DEFAULT, name);
    if (found != NULL)
        return found;
    fo_say_words("there is no ", name, " behind libfreeonce.so; the object is left alone", NULL);
    return nothing;
}

static function_of_object *find_real(unsigned entry, uintptr_t caller)
{
    const struct row *row = &rows[entry >> 1];
    const char *name = text_at(row->name);
    bool for_good, still;
    function_of_object *found;

    *(void **)&found = fo_library_function(row->part, major_of(entry), name, caller, &for_good);
    if (found == NULL)
        return find_elsewhere(name);
    if (!for_good)
        return found;
    __atomic_store_n(&real[entry], found, __ATOMIC_SEQ_CST);
    /* If a library came meanwhile, its fo_objects_forget() may have been too early. */
    if (fo_library_function(row->part, major_of(entry), name, caller, &still) == NULL || !still)
        __atomic_store_n(&real[entry], NULL, __ATOMIC_SEQ_CST);
    return found;
}

/* Is there a free of this pointer that was not followed by an allocation?  If it says so, that is
 * still to be judged. */
static inline bool seems_freed(const void *p)
{
    enum { FREED = 1 << FO_SLOT_FREED | 1 << FO_SLOT_BUSY | 1 << FO_SLOT_GONE };
    const uint8_t *slot = fo_registry_slot((uintptr_t)p);

    return slot != NULL && (FREED >> __atomic_load_n(slot, __ATOMIC_ACQUIRE) & 1) != 0;
}

static bool is_freed(const void *p, unsigned entry)
{
    const struct row *row = &rows[entry >> 1];
    int saved_errno = errno;
    bool freed = fo_freed_object((uintptr_t)p, text_at(row->type), row->operation,
                                 fo_openssl_all_ours(major_of(entry)));

    errno = saved_errno;
    return freed;
}

/* The frees inside a call are recorded with the program's code that called, not with OpenSSL's. */
static inline void *call(function_of_object *function, void *p, const void *second,
                         uintptr_t caller)
{
    if (fo_thread.caller != 0)
        return function(p, second);
    fo_thread.caller = caller;
    void *answer = function(p, second);
    fo_thread.caller = 0;
    return answer;
}

static FO_COLD void *call_slowly(void *p, const void *second, unsigned entry, uintptr_t caller)
{
    if (fo_hot.objects && seems_freed(p)) {
        bool outermost = fo_thread.caller == 0;
        fo_thread.caller = outermost ? caller : fo_thread.caller;
        bool freed = is_freed(p, entry);
        fo_thread.caller = outermost ? 0 : fo_thread.caller;
        if (freed)
            return NULL;
    }
    function_of_object *function = __atomic_load_n(&real[entry], __ATOMIC_ACQUIRE);
    if (function == NULL)
        function = find_real(entry, caller);
    return fo_hot.objects ? call(function, p, second, caller) : function(p, second);
}

void *fo_object_call(void *p, const void *second, unsigned entry, uintptr_t caller)
{
    function_of_object *function = __atomic_load_n(&real[entry], __ATOMIC_ACQUIRE);

    if (fo_unlikely(function == NULL) || fo_unlikely(!fo_hot.objects) ||
        fo_unlikely(seems_freed(p)))
        return call_slowly(p, second, entry, caller);
    return call(function, p, second, caller);
}
