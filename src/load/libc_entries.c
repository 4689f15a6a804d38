/* libc's free, realloc, reallocarray and malloc_usable_size, which are called for millions of
 * pointers that are none of OpenSSL's: those go straight on to the functions behind us (libc's, or
 * a preloaded jemalloc's).  The others are answered by mixing.c.
 *
 * free() is called before any constructor ran, by the dynamic linker too, so the functions behind
 * us are looked up at the first call of each. */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "backend/region.h"
#include "core/registry.h"
#include "load/mixing.h"
#include "load/real.h"

static void first_free(void *p);
static void *first_realloc(void *p, size_t size);
static void *first_reallocarray(void *p, size_t count, size_t size);
static size_t first_usable_size(void *p);

/* The functions behind us. */
static struct {
    void (*free)(void *);
    void *(*realloc)(void *, size_t);
    void *(*reallocarray)(void *, size_t, size_t);
    size_t (*usable_size)(void *);
} next = {first_free, first_realloc, first_reallocarray, first_usable_size};

/* The look-up allocates nothing when it finds what it looks for; should it free something all the
 * same, that is lost. */
static FO_COLD void *find(const char *name)
{
    static __thread bool inside;

    if (inside)
        return NULL;
    inside = true;
    int saved_errno = errno;
    void *found = fo_real_dlsym(RTLD_NEXT, name);
    errno = saved_errno;
    inside = false;
    return found;
}

static void first_free(void *p)
{
    void *found = find("free");

    if (found == NULL)
        return;
    __atomic_store_n((void **)&next.free, found, __ATOMIC_RELAXED);
    next.free(p);
}

static void *first_realloc(void *p, size_t size)
{
    void *found = find("realloc");

    if (found == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    __atomic_store_n((void **)&next.realloc, found, __ATOMIC_RELAXED);
    return next.realloc(p, size);
}

static void *first_reallocarray(void *p, size_t count, size_t size)
{
    void *found = find("reallocarray");

    if (found == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    __atomic_store_n((void **)&next.reallocarray, found, __ATOMIC_RELAXED);
    return next.reallocarray(p, count, size);
}

static size_t first_usable_size(void *p)
{
    void *found = find("malloc_usable_size");

    if (found == NULL)
        return 0;
    __atomic_store_n((void **)&next.usable_size, found, __ATOMIC_RELAXED);
    return next.usable_size(p);
}

static FO_ALWAYS_INLINE bool may_be_ours(const void *p)
{
    size_t size = FO_RELAXED_LOAD(&fo_region_range.size);

    return fo_unlikely((uintptr_t)p - fo_region_range.start < size) ||
           fo_unlikely(fo_registry_may_be_near(__atomic_load_n(&fo_hot.root, __ATOMIC_ACQUIRE),
                                               (uintptr_t)p));
}

FO_EXPORT void free(void *p)
{
    if (may_be_ours(p) && fo_mixing_free(p, (uintptr_t)__builtin_return_address(0)))
        return;
    next.free(p);
}

FO_EXPORT void *realloc(void *p, size_t size)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    void *answer;

    if (may_be_ours(p) && fo_mixing_realloc(p, size, "realloc", caller, &answer))
        return answer;
    return next.realloc(p, size);
}

/* Handed on as it is: allocators that have no reallocarray (jemalloc, tcmalloc) rely on libc's,
 * which calls their realloc, also where they stand in front of us. */
FO_EXPORT void *reallocarray(void *p, size_t count, size_t size)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    void *answer;
    size_t bytes;

    if (may_be_ours(p) && !__builtin_mul_overflow(count, size, &bytes) &&
        fo_mixing_realloc(p, bytes, "reallocarray", caller, &answer))
        return answer;
    return next.reallocarray(p, count, size);
}

FO_EXPORT size_t malloc_usable_size(void *p)
{
    size_t answer;

    if (may_be_ours(p) && fo_mixing_usable_size(p, (uintptr_t)__builtin_return_address(0), &answer))
        return answer;
    return next.usable_size(p);
}
