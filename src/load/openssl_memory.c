/* OpenSSL's names CRYPTO_malloc, CRYPTO_zalloc and CRYPTO_free, for callers of OpenSSL 3 and 4.
 * OpenSSL's own functions call the library's through the hook.  A call by name, from libssl, or
 * from libcrypto if it is not linked -Bsymbolic, comes here directly, which is faster; nothing else
 * depends on it.  As in openssl_api.c, the versions are hidden (one @). */
#include <string.h>

#include "backend/backend.h"
#include "base/real.h"
#include "block/hooks.h"
#include "block/fast.h"
#include "block/sample.h"
#include "heap/direct.h"
#include "load/entries.h"
#include "load/library.h"
#include "load/named.h"
#include "load/openssl.h"
#include "options/options.h"

/* The functions of another library in front of OpenSSL, for OpenSSL 3 and 4. */
static struct wrappers {
    fo_malloc_function *malloc, *zalloc;
    fo_free_function *free;
} wrappers[2];

void fo_memory_find_wrappers(unsigned major)
{
    if (major > 4)
        return;
    struct wrappers *w = &wrappers[major - 3];
    *(void **)&w->malloc = fo_library_wrapper(FO_PART_CRYPTO, major, "CRYPTO_malloc");
    *(void **)&w->zalloc = fo_library_wrapper(FO_PART_CRYPTO, major, "CRYPTO_zalloc");
    *(void **)&w->free = fo_library_wrapper(FO_PART_CRYPTO, major, "CRYPTO_free");
    if (w->malloc != NULL || w->zalloc != NULL || w->free != NULL)
        fo_direct_wrapped = true;
}

/* OpenSSL's own, which calls the hook; if no OpenSSL is known yet, the next definition in the
 * process. */
static FO_COLD fo_malloc_function *real_malloc(unsigned major)
{
    static void *slot;
    const struct fo_openssl *o = fo_openssl_chosen(major);
    fo_malloc_function *real = o != NULL ? o->default_malloc : NULL;

    if (wrappers[major - 3].malloc != NULL)
        return wrappers[major - 3].malloc;
    if (real == NULL)
        *(void **)&real = fo_real(&slot, "CRYPTO_malloc");
    return real;
}

static FO_COLD fo_free_function *real_free(unsigned major)
{
    static void *slot;
    const struct fo_openssl *o = fo_openssl_chosen(major);
    fo_free_function *real = o != NULL ? o->default_free : NULL;

    if (wrappers[major - 3].free != NULL)
        return wrappers[major - 3].free;
    if (real == NULL)
        *(void **)&real = fo_real(&slot, "CRYPTO_free");
    return real;
}

/* --- allocations -------------------------------------------------------------------------------
 */

/* Without memory, OpenSSL's own function is called: it adds an error to the error queue. */
static FO_ALWAYS_INLINE void *allocate(size_t size, const char *file, int line, unsigned major)
{
    void *p = fo_malloc_refill(size, file, line);

    return fo_likely(p != NULL) ? p : real_malloc(major)(size, file, line);
}

static void *allocate_3(size_t size, const char *file, int line)
{
    return allocate(size, file, line, 3);
}

static void *allocate_4(size_t size, const char *file, int line)
{
    return allocate(size, file, line, 4);
}

static void *allocate_shared_3(size_t size, const char *file, int line)
{
    void *p = fo_malloc_shared(size, file, line);

    return fo_likely(p != NULL) ? p : allocate_3(size, file, line);
}

static void *allocate_shared_4(size_t size, const char *file, int line)
{
    void *p = fo_malloc_shared(size, file, line);

    return fo_likely(p != NULL) ? p : allocate_4(size, file, line);
}

static fo_malloc_function *direct_path(unsigned major)
{
    if (fo_layout.shared)
        return major == 4 ? allocate_shared_4 : allocate_shared_3;
    return major == 4 ? allocate_4 : allocate_3;
}

/* The same with FREEONCE_SAMPLE. */
static fo_malloc_function *unsampled[2];

static void *allocate_sampled_3(size_t size, const char *file, int line)
{
    return fo_sample_counted(unsampled[0](size, file, line), size);
}

static void *allocate_sampled_4(size_t size, const char *file, int line)
{
    return fo_sample_counted(unsampled[1](size, file, line), size);
}

static fo_malloc_function *sampled(fo_malloc_function *path, unsigned major)
{
    if (fo_options.sample == 0)
        return path;
    unsampled[major - 3] = path;
    return major == 4 ? allocate_sampled_4 : allocate_sampled_3;
}

/* Called when the fast path fails, for OpenSSL 3 and 4; NULL: not known yet.  Relaxed, as is
 * fo_direct_by_name: each function serves at any time, an old one more slowly. */
static fo_malloc_function *slow_path[2];

static FO_COLD void *allocate_first(size_t size, const char *file, int line, unsigned major)
{
    fo_malloc_function *real = real_malloc(major);
    bool decided = fo_hot_is_chosen(__atomic_load_n(&fo_hot.alloc, __ATOMIC_ACQUIRE));

    if (decided && FO_RELAXED_LOAD(&fo_hot.recycle) && FO_RELAXED_LOAD(&fo_direct_by_name))
        FO_RELAXED_STORE(&slow_path[major - 3],
                         sampled(fo_malloc_slow, major)); /* if malloc(3) fails, so does the call */
    else if (decided && FO_RELAXED_LOAD(&fo_hot.direct) && FO_RELAXED_LOAD(&fo_direct_by_name))
        FO_RELAXED_STORE(&slow_path[major - 3], sampled(direct_path(major), major));
    else if (decided)
        FO_RELAXED_STORE(&slow_path[major - 3], real);
    return real(size, file, line);
}

static FO_ALWAYS_INLINE void *allocate_short(size_t size, const char *file, int line)
{
    const struct fo_direct *d = fo_direct_of(fo_hot.process);

    return fo_malloc_fast(d, FO_HOT_LOAD(&d->by_name), size, file, line, false);
}

static FO_ALWAYS_INLINE void *allocate_long(size_t size, const char *file, int line, unsigned major)
{
    fo_malloc_function *function = FO_RELAXED_LOAD(&slow_path[major - 3]);

    return function != NULL ? function(size, file, line) : allocate_first(size, file, line, major);
}

static FO_ALWAYS_INLINE void *by_name(size_t size, const char *file, int line, unsigned major)
{
    void *p = allocate_short(size, file, line);

    return fo_likely(p != NULL) ? p : allocate_long(size, file, line, major);
}

void fo_memory_set_by_name(bool all_ours)
{
    all_ours = all_ours && !fo_direct_wrapped;
    FO_RELAXED_STORE(&fo_direct_by_name, all_ours);
    FO_RELAXED_STORE(&slow_path[0], NULL);
    FO_RELAXED_STORE(&slow_path[1], NULL);
    if (FO_RELAXED_LOAD(&fo_direct_of(fo_hot.process)->size) != 0)
        FO_RELAXED_STORE(&fo_direct_of(fo_hot.process)->by_name, all_ours ? FO_REGION_SMALL : 0);
}

static FO_ALWAYS_INLINE void zero16(char *at)
{
    __builtin_memset(at, 0, 16);
}

/* From both ends, overlapping in the middle: a payload of the region has room up to the next
 * multiple of 16 bytes. */
static FO_ALWAYS_INLINE void zero(char *p, size_t size)
{
    char *end = p + ((size + 15) & ~(size_t)15);

    if (fo_unlikely(size > 128)) {
        memset(p, 0, size);
        return;
    }
    zero16(p);
    zero16(end - 16);
    if (size <= 32)
        return;
    zero16(p + 16);
    zero16(end - 32);
    if (size <= 64)
        return;
    zero16(p + 32);
    zero16(p + 48);
    zero16(end - 48);
    zero16(end - 64);
}

static __attribute__((noinline)) void *zeroed_long(size_t size, const char *file, int line,
                                                   unsigned major)
{
    if (fo_unlikely(wrappers[major - 3].zalloc != NULL))
        return wrappers[major - 3].zalloc(size, file, line);
    void *p = allocate_long(size, file, line, major);

    return p != NULL ? memset(p, 0, size) : NULL;
}

static FO_ALWAYS_INLINE void *zeroed(size_t size, const char *file, int line, unsigned major)
{
    void *p = allocate_short(size, file, line);

    if (fo_unlikely(p == NULL))
        return zeroed_long(size, file, line, major);
    zero(p, size);
    return p;
}

/* --- frees -------------------------------------------------------------------------------------
 */

static __attribute__((noinline)) void free_slow(uintptr_t payload, const char *file, int line,
                                                unsigned major)
{
    if (FO_RELAXED_LOAD(&fo_direct_by_name))
        fo_free_slow(payload, fo_site_pack(file, line));
    else
        real_free(major)((void *)payload, file, line);
}

#define ENTRY(name, major)                                                                         \
    __asm__(FO_NAMED("fo_" #name "_" #major, #name, #major ".0.0"));                               \
    FO_EXPORT

#define DEFINE_ENTRIES(major)                                                                      \
    void *fo_CRYPTO_malloc_##major(size_t size, const char *file, int line);                       \
    void *fo_CRYPTO_zalloc_##major(size_t size, const char *file, int line);                       \
    void fo_CRYPTO_free_##major(void *p, const char *file, int line);                              \
    ENTRY(CRYPTO_malloc, major)                                                                    \
    FO_HOT void *fo_CRYPTO_malloc_##major(size_t size, const char *file, int line)                 \
    {                                                                                              \
        return by_name(size, file, line, major);                                                   \
    }                                                                                              \
    ENTRY(CRYPTO_zalloc, major)                                                                    \
    FO_HOT void *fo_CRYPTO_zalloc_##major(size_t size, const char *file, int line)                 \
    {                                                                                              \
        return zeroed(size, file, line, major);                                                    \
    }                                                                                              \
    static inline void free_slow_##major(uintptr_t payload, const char *file, int line)            \
    {                                                                                              \
        if (payload != 0)                                                                          \
            free_slow(payload, file, line, major);                                                 \
    }                                                                                              \
    ENTRY(CRYPTO_free, major)                                                                      \
    FO_HOT void fo_CRYPTO_free_##major(void *p, const char *file, int line)                        \
    {                                                                                              \
        fo_free_fast(p, file, line, free_slow_##major);                                            \
    }
DEFINE_ENTRIES(3)
DEFINE_ENTRIES(4)

void *fo_memory_entry(const struct fo_openssl *o, const void *real)
{
    if (!FO_LIBC_HAS_VERSIONS) /* the entries are not exported: exports_musl.map */
        return (void *)(uintptr_t)real;
    if (real == *(void *const *)&o->default_malloc)
        return o->major == 4 ? (void *)fo_CRYPTO_malloc_4 : (void *)fo_CRYPTO_malloc_3;
    if (real == *(void *const *)&o->default_free)
        return o->major == 4 ? (void *)fo_CRYPTO_free_4 : (void *)fo_CRYPTO_free_3;
    return NULL;
}
