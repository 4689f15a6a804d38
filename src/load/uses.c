/* See uses.h.  Where calls are not judged, the entries jump to OpenSSL's function; only the first
 * call comes here, to look it up. */
#include "load/uses.h"

#include <errno.h>

#include "backend/backend.h"
#include "base/block.h"
#include "base/hot.h"
#include "block/verdict.h"
#include "load/library.h"
#include "load/objects.h"
#include "load/passed.h"
#include "process/process.h"

enum when { ONCE, OFTEN, NEVER };

/* One struct for all texts: see objects.c. */
static const struct texts {
#define FO_USE(name, type, when, part) char name##_name[sizeof #name], name##_type[sizeof type];
#include "load/uses.def"
#undef FO_USE
} texts = {
#define FO_USE(name, type, when, part) #name, type,
#include "load/uses.def"
#undef FO_USE
};

static const struct row {
    uint16_t name, type; /* in texts */
    uint8_t part, when;
} rows[] = {
#define FO_USE(name, type, when, part)                                                             \
    {offsetof(struct texts, name##_name), offsetof(struct texts, name##_type), FO_PART_##part,     \
     when},
#include "load/uses.def"
#undef FO_USE
};

FO_BEGINNING(1) fo_use_function *fo_use_real[FO_USE_COUNT * 2];
static FO_BEGINNING(1) fo_use_function *found[FO_USE_COUNT * 2]; /* also where calls are judged */
static bool has_found, has_forked;

static const char *text_at(uint16_t offset)
{
    return (const char *)&texts + offset;
}

static void forget(fo_use_function **functions)
{
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++)
        __atomic_store_n(&functions[i], NULL, __ATOMIC_SEQ_CST);
}

void fo_uses_forget(void)
{
    if (!__atomic_exchange_n(&has_found, false, __ATOMIC_SEQ_CST))
        return;
    forget(fo_use_real);
    forget(found);
}

void fo_uses_before_fork(void)
{
    /* Relaxed: the exchange decides, and each entry looks again. */
    if (!FO_RELAXED_LOAD(&has_forked) &&
        !__atomic_exchange_n(&has_forked, true, __ATOMIC_SEQ_CST) && FO_RELAXED_LOAD(&has_found))
        forget(fo_use_real);
}

/* With FREEONCE_FILL each call is judged: the registry knows what is freed, no bit of a header
 * does, and OpenSSL's use of the pattern may fail without a crash (SSL_read() of OpenSSL 3.5). */
bool fo_use_can_be_of_freed(const void *p)
{
    return fo_hot.objects && (fo_hot.fill ? fo_can_be_freed((uintptr_t)p) : fo_use_is_of_freed(p));
}

static bool is_passed(const struct row *row)
{
    if (row->when == NEVER || !__atomic_load_n(&has_forked, __ATOMIC_SEQ_CST) ||
        fo_hot.memory == NULL || FO_RELAXED_LOAD(&fo_hot.shared))
        return false;
    return row->when == ONCE ||
           fo_word_backend(fo_process_meta(fo_process_self())) == FO_BACKEND_HOST;
}

static fo_use_function *find_real(size_t entry, uintptr_t caller)
{
    const struct row *row = &rows[entry / 2];
    const char *name = text_at(row->name);
    fo_use_function *real;

    __atomic_store_n(&has_found, true, __ATOMIC_SEQ_CST);
    *(void **)&real = fo_library_function((void **)&found[entry], row->part, entry % 2 == 0 ? 3 : 4,
                                          name, caller);
    if (real == NULL)
        *(fo_object_function **)&real = fo_object_find_elsewhere(name);
    return real;
}

/* Checked again after the store: a fork, or the load of another library, may clear it between. */
static void set_direct(size_t entry, fo_use_function *real)
{
    __atomic_store_n(&fo_use_real[entry], real, __ATOMIC_SEQ_CST);
    if (fo_hot.fill || is_passed(&rows[entry / 2]) ||
        __atomic_load_n(&found[entry], __ATOMIC_SEQ_CST) != real)
        __atomic_store_n(&fo_use_real[entry], NULL, __ATOMIC_SEQ_CST);
}

void fo_use_report(const void *p, const char *type, const char *function, uintptr_t caller)
{
    bool outermost = fo_thread.caller == 0;
    int saved_errno = errno;

    if (outermost)
        fo_thread_enter(caller);
    fo_used_object((uintptr_t)p, type, function);
    if (outermost)
        fo_thread_enter(0);
    errno = saved_errno;
}

fo_use_function *fo_use_judge(const void *p, size_t entry, uintptr_t caller)
{
    const struct row *row = &rows[entry / 2];
    fo_use_function *real = __atomic_load_n(&found[entry], __ATOMIC_ACQUIRE);

    if (real == NULL)
        real = find_real(entry, caller);
    if (fo_use_can_be_of_freed(p))
        fo_use_report(p, text_at(row->type), text_at(row->name), caller);
    if (is_passed(row))
        fo_objects_check_passed(p, text_at(row->type), text_at(row->name), entry % 2 == 0 ? 3 : 4);
    else if (__atomic_load_n(&found[entry], __ATOMIC_ACQUIRE) == real)
        set_direct(entry, real);
    return real;
}
