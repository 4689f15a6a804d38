/* See objects.h.  libcrypto's own calls may come through here too (Debian's is not linked
 * -Bsymbolic), thousands in a handshake: for a live object a call reads one byte of the registry,
 * or the block's header (objects_fast.c). */
#include "load/objects.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <unwind.h>

#include "base/hot.h"
#include "base/real.h"
#include "base/say.h"
#include "block/registry.h"
#include "block/verdict.h"
#include "heap/region.h"
#include "load/connections.h"
#include "load/library.h"
#include "load/objects_kept.h"
#include "load/openssl.h"
#include "load/passed.h"
#include "process/process.h"
#include "shared/connections.h"
#include "shared/cures.h"
#include "shared/inherited.h"
#include "shared/shared.h"

/* One struct for all texts, found by their offsets: the dynamic linker would have to relocate
 * pointers at the start of every process. */
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

#define OPERATION_FREE          FO_OPERATION_FREE
#define OPERATION_FREE_INT      FO_OPERATION_FREE
#define OPERATION_FREE_WITH_INT FO_OPERATION_FREE
#define OPERATION_FINISH        FO_OPERATION_FREE
#define OPERATION_POP_FREE      FO_OPERATION_FREE
#define OPERATION_ITEM_FREE     FO_OPERATION_FREE
#define OPERATION_REFERENCE     FO_OPERATION_REFERENCE
#define OPERATION_CHAIN         FO_OPERATION_REFERENCE

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

/* Filled while objects are judged (FREEONCE_OBJECTS); otherwise `unguarded` is filled.  So one load
 * shows both whether to judge and what to call. */
FO_BEGINNING(3) fo_object_function *fo_object_real[FO_OBJECT_COUNT * 2];
static FO_BULKY fo_object_function *unguarded[FO_OBJECT_COUNT * 2];
static bool has_found; /* false: both are all NULL, and clearing them would touch their memory */

static const char *text_at(uint16_t offset)
{
    return (const char *)&texts + offset;
}

static unsigned major_of(size_t entry)
{
    return entry < FO_OBJECT_COUNT ? 3 : 4;
}

void fo_objects_forget(void)
{
    if (!__atomic_exchange_n(&has_found, false, __ATOMIC_SEQ_CST))
        return;
    for (size_t i = 0; i < sizeof unguarded / sizeof unguarded[0]; i++) {
        __atomic_store_n(&fo_object_real[i], NULL, __ATOMIC_SEQ_CST);
        __atomic_store_n(&unguarded[i], NULL, __ATOMIC_SEQ_CST);
    }
}

/* In place of a function that no library has. */
static void *do_nothing(void *p, const void *second)
{
    (void)p;
    (void)second;
    return NULL;
}

fo_object_function *fo_object_find_elsewhere(const char *name)
{
    fo_object_function *found;

    *(void **)&found = fo_real_dlsym(RTLD_NEXT, name);
    if (found == NULL && FO_LIBC_HAS_VERSIONS) /* else it may be the library's own */
        *(void **)&found = fo_real_dlsym(RTLD_DEFAULT, name);
    if (found != NULL)
        return found;
    fo_say_words("there is no ", name, " behind libfreeonce.so; the object is left alone", NULL);
    return do_nothing;
}

static FO_COLD fo_object_function *find_real(fo_object_function **slot, size_t entry,
                                             uintptr_t caller)
{
    const struct row *row = &rows[entry % FO_OBJECT_COUNT];
    const char *name = text_at(row->name);
    fo_object_function *found;

    __atomic_store_n(&has_found, true, __ATOMIC_SEQ_CST);
    *(void **)&found = fo_library_function((void **)slot, row->part, major_of(entry), name, caller);
    return found != NULL ? found : fo_object_find_elsewhere(name);
}

/* A C++ exception, pthread_exit(3) or a cancellation may leave call_outermost() from one of the
 * program's callbacks.  The unwinder calls this as the personality routine of its frame; the frame
 * has no landing pad, so nothing of libgcc is needed.  (Jumps: jumps.c.) */
__attribute__((used)) static _Unwind_Reason_Code
unwind_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
                   struct _Unwind_Exception *exception, struct _Unwind_Context *context)
{
    (void)version;
    (void)class;
    (void)exception;
    (void)context;
    if ((actions & _UA_CLEANUP_PHASE) != 0)
        fo_thread_abandon();
    return _URC_CONTINUE_UNWIND;
}

/* Frees inside the call are recorded with the program's code that made it, not with OpenSSL's. */
static __attribute__((noinline)) void *call_outermost(fo_object_function *function, void *p,
                                                      const void *second, uintptr_t caller)
{
    /* 0x1b: relative, 4 bytes, signed. */
    __asm__ volatile(".cfi_personality 0x1b, unwind_personality");
    fo_thread_enter(caller);
    void *answer = function(p, second);
    fo_thread_enter(0);
    return answer;
}

static inline void *call(fo_object_function *function, void *p, const void *second,
                         uintptr_t caller)
{
    return fo_thread.caller != 0 ? function(p, second)
                                 : call_outermost(function, p, second, caller);
}

static uint32_t refused; /* calls, by all threads; relaxed: a count */

uint32_t fo_objects_count_refused(void)
{
    return __atomic_load_n(&refused, __ATOMIC_RELAXED);
}

static FO_COLD bool is_freed(const void *p, size_t entry, uintptr_t caller)
{
    const struct row *row = &rows[entry % FO_OBJECT_COUNT];
    bool outermost = fo_thread.caller == 0;
    int saved_errno = errno;

    if (outermost)
        fo_thread_enter(caller);
    bool freed = fo_freed_object((uintptr_t)p, text_at(row->type), row->operation,
                                 fo_openssl_has_all_guarded(major_of(entry)));
    if (outermost)
        fo_thread_enter(0);
    errno = saved_errno;
    if (freed)
        __atomic_add_fetch(&refused, 1, __ATOMIC_RELAXED);
    return freed;
}

void fo_object_free_now(fo_object_function *function, void *p, fo_object_function **slot,
                        uintptr_t caller)
{
    if (!fo_hot.objects || !is_freed(p, (size_t)(slot - fo_object_real), caller))
        call(function, p, NULL, caller);
}

static bool is_a(const char *type, size_t entry)
{
    return strcmp(text_at(rows[entry % FO_OBJECT_COUNT].type), type) == 0;
}

/* In shared memory: did an ancestor of this process make p?  Sessions do not count: processes pass
 * them to each other. */
static bool is_inherited(const void *p, size_t entry)
{
    if (is_a("SSL_SESSION", entry))
        return false;
    return is_a("SSL", entry) ? fo_connection_is_inherited((uintptr_t)p)
                              : fo_inherited_has((uintptr_t)p);
}

/* A table of functions, such as RSA_METHOD and BIO_METHOD. */
static bool is_method(size_t entry)
{
    const char *type = text_at(rows[entry % FO_OBJECT_COUNT].type), *end = strrchr(type, '_');

    return end != NULL && strcmp(end, "_METHOD") == 0;
}

/* Do forked processes use it without a reference of their own?  Methods in a pool of the program's
 * own do not count: they still serve when a replaced SSL_CTX is freed (objects_kept.h). */
static bool outlives_forks(size_t entry)
{
    return is_a("SSL_CTX", entry) || (is_method(entry) && !fo_shared_is_pool());
}

/* Workers still use the SSL_CTX that their parent made after the parent has reloaded its files and
 * frees the old one (nginx), and the methods that the parent frees before it unloads a module
 * (Apache's mod_ssl).  A child uses the connection that its parent accepted for it. */
static bool is_in_use(const struct fo_kept *kept, size_t entry)
{
    uintptr_t p = (uintptr_t)kept->object;
    uint32_t made = 0;
    bool is_candidate = is_a("SSL", entry) ? fo_connection_is_own(p, &made)
                                           : outlives_forks(entry) && fo_inherited_is_own(p);

    return is_candidate && fo_object_keep(kept, made);
}

/* An ancestor made it.  Other processes use it, unless this free gives back a reference that this
 * process counted. */
static bool has_other_users(const struct fo_kept *kept, size_t entry)
{
    if (fo_inherited_release((uintptr_t)kept->object))
        return false;
    return !is_a("SSL_CTX", entry) || !fo_shared_is_pool() || fo_object_keep_replaced(kept);
}

/* Is the object kept, though the program frees it? */
static FO_COLD bool is_kept(fo_object_function *function, void *p, fo_object_function **slot,
                            uintptr_t caller)
{
    size_t entry = (size_t)(slot - fo_object_real);
    bool connection = is_a("SSL", entry);
    const struct fo_kept kept = {p, function, slot, caller, connection ? major_of(entry) : 0};

    if (fo_libraries_contain(caller))
        return false;
    if (connection || outlives_forks(entry))
        fo_objects_kept_free();
    bool stay = is_inherited(p, entry) ? has_other_users(&kept, entry) : is_in_use(&kept, entry);
    if (stay && connection && fo_connection_first_free((uintptr_t)p) &&
        fo_inherited_is_live((uintptr_t)p))
        fo_connection_close(p, major_of(entry), caller);
    return stay;
}

static FO_COLD void *count_reference(fo_object_function *function, void *p, const void *second,
                                     fo_object_function **slot, uintptr_t caller)
{
    void *answer = function(p, second);

    if (!fo_libraries_contain(caller) && is_inherited(p, (size_t)(slot - fo_object_real)))
        fo_inherited_reference((uintptr_t)p);
    return answer;
}

static FO_COLD void *free_unless_kept(fo_object_function *function, void *p, const void *second,
                                      fo_object_function **slot, uintptr_t caller)
{
    if (is_kept(function, p, slot, caller))
        return (void *)1; /* as if it were freed */
    return call(function, p, second, caller);
}

/* The object is live, or no block of the library. */
static inline __attribute__((always_inline)) void *forward(fo_object_function *function, void *p,
                                                           const void *second,
                                                           fo_object_function **slot,
                                                           uintptr_t caller, bool frees)
{
    if (fo_unlikely(FO_RELAXED_LOAD(&fo_hot.keeps_ancestors)) && !fo_libraries_contain(caller))
        return frees ? free_unless_kept(function, p, second, slot, caller)
                     : count_reference(function, p, second, slot, caller);
    return frees ? call(function, p, second, caller) : function(p, second);
}

static FO_COLD void check_passed(const void *p, fo_object_function **slot)
{
    const size_t entry = (size_t)(slot - fo_object_real);
    const struct row *row = &rows[entry % FO_OBJECT_COUNT];

    if (row->part != FO_PART_SSL) /* libcrypto's may be static data, or the program's memory */
        return;
    fo_objects_check_passed(p, text_at(row->type), text_at(row->name), major_of(entry));
}

/* `function`: NULL, or what dlsym(3) returned to the caller (objects_asked.c). */
static FO_COLD void *call_slow_path(fo_object_function *function, void *p, const void *second,
                                    fo_object_function **slot, uintptr_t caller)
{
    FO_VERDICT_SET_FRAME();
    size_t entry = (size_t)(slot - fo_object_real);
    bool guard = fo_hot.objects;
    bool frees = rows[entry % FO_OBJECT_COUNT].operation == FO_OPERATION_FREE;

    if (!guard)
        slot = &unguarded[entry];
    if (function == NULL)
        function = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    if (function == NULL)
        function = find_real(slot, entry, caller);
    if (frees && FO_RELAXED_LOAD(&fo_hot.keeps_ancestors) &&
        is_kept(function, p, &fo_object_real[entry], caller))
        return (void *)1;
    if (guard && is_freed(p, entry, caller))
        return NULL;
    if (!guard)
        return function(p, second);
    check_passed(p, &fo_object_real[entry]);
    if (!frees && FO_RELAXED_LOAD(&fo_hot.keeps_ancestors))
        return count_reference(function, p, second, &fo_object_real[entry], caller);
    return call(function, p, second, caller);
}

static inline __attribute__((always_inline)) void *judge(fo_object_function *function, void *p,
                                                         const void *second,
                                                         fo_object_function **slot,
                                                         uintptr_t caller, bool frees)
{
    if (fo_unlikely(function == NULL))
        return call_slow_path(NULL, p, second, slot, caller);
    const struct fo_direct *d = fo_direct_of(fo_hot.process);
    if (fo_likely(fo_direct_contains(d, (uintptr_t)p))) {
        if (fo_unlikely(fo_region_is_maybe_freed((uintptr_t)p)))
            return call_slow_path(function, p, second, slot, caller);
        return forward(function, p, second, slot, caller, frees);
    }
    if (p == NULL)
        return function(p, second);
    const uint8_t *state = fo_registry_slot_around((uintptr_t)p);
    if (state == NULL) {              /* not near any block of OpenSSL */
        if (fo_unlikely(fo_hot.fill)) /* the pattern of freed memory? */
            return call_slow_path(function, p, second, slot, caller);
        check_passed(p, slot);
        return function(p, second);
    }
    uint8_t now = __atomic_load_n(state, __ATOMIC_ACQUIRE);
    if (fo_unlikely(now > FO_SLOT_LIVE))
        return call_slow_path(function, p, second, slot, caller);
    if (fo_unlikely(now == FO_SLOT_NONE))
        check_passed(p, slot);
    return forward(function, p, second, slot, caller, frees);
}

void *fo_object_free(void *p, const void *second, fo_object_function **slot, uintptr_t caller)
{
    return judge(__atomic_load_n(slot, __ATOMIC_ACQUIRE), p, second, slot, caller, true);
}

void *fo_object_reference(void *p, const void *second, fo_object_function **slot, uintptr_t caller)
{
    return judge(__atomic_load_n(slot, __ATOMIC_ACQUIRE), p, second, slot, caller, false);
}

void *fo_object_call(fo_object_function *function, void *p, const void *second,
                     fo_object_function **slot, uintptr_t caller)
{
    size_t object = (size_t)(slot - fo_object_real) % FO_OBJECT_COUNT;

    if (!fo_hot.objects)
        return call_slow_path(function, p, second, slot, caller);
    return judge(function, p, second, slot, caller, rows[object].operation == FO_OPERATION_FREE);
}

/* The rows are in the order of the libraries and, within each, of the names. */
static int compare(const struct row *row, enum fo_part part, const char *name)
{
    return row->part != part ? (int)row->part - (int)part : strcmp(text_at(row->name), name);
}

int fo_object_named(enum fo_part part, const char *name)
{
    int first = 0, end = FO_OBJECT_COUNT;

    while (first < end) {
        int middle = first + (end - first) / 2, order = compare(&rows[middle], part, name);
        if (order == 0)
            return middle;
        if (order < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return -1;
}
