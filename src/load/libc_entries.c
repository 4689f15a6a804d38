/* libc's free, realloc, reallocarray and malloc_usable_size.  Most calls are for pointers that are
 * not OpenSSL's: they are passed on to the next functions (libc's, or a preloaded jemalloc's).
 * Calls with OpenSSL's blocks are handled by mixing.c.
 *
 * free() is called before any constructor runs, by the dynamic linker too, so each next function is
 * looked up at its first call, or else in the constructor.  Later dlsym(3) may wait for a thread
 * that loads a library, or that did so when this process was forked.
 *
 * The next functions are relaxed: all threads find the same ones, whose code is loaded before. */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "base/real.h"
#include "block/registry.h"
#include "heap/direct.h"
#include "heap/region.h"
#include "load/mixing.h"

static void first_free(void *p);
static void *first_realloc(void *p, size_t size);
static void *first_reallocarray(void *p, size_t count, size_t size);
static size_t first_usable_size(void *p);

/* The next functions: libc's, or another allocator's. */
static struct {
    void (*free)(void *);
    void *(*realloc)(void *, size_t);
    void *(*reallocarray)(void *, size_t, size_t);
    size_t (*usable_size)(void *);
} next = {first_free, first_realloc, first_reallocarray, first_usable_size};

enum age { OLD, YOUNG }; /* OLD: in every version of the C library */

/* A look-up that succeeds allocates nothing.  If it frees something all the same, that memory is
 * lost. */
static FO_COLD void *find(const char *name, enum age age)
{
    static __thread bool inside;

    if (inside)
        return NULL;
    inside = true;
    int saved_errno = errno;
    void *found =
        age == OLD ? fo_real_malloc_function(RTLD_NEXT, name) : fo_real_dlsym(RTLD_NEXT, name);
    errno = saved_errno;
    inside = false;
    return found;
}

static void first_free(void *p)
{
    void *found = find("free", OLD);

    if (found == NULL)
        return;
    __atomic_store_n((void **)&next.free, found, __ATOMIC_RELAXED);
    next.free(p);
}

static void *first_realloc(void *p, size_t size)
{
    void *found = find("realloc", OLD);

    if (found == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    __atomic_store_n((void **)&next.realloc, found, __ATOMIC_RELAXED);
    return next.realloc(p, size);
}

static void *first_reallocarray(void *p, size_t count, size_t size)
{
    void *found = find("reallocarray", YOUNG);

    if (found == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    __atomic_store_n((void **)&next.reallocarray, found, __ATOMIC_RELAXED);
    return next.reallocarray(p, count, size);
}

static size_t first_usable_size(void *p)
{
    void *found = find("malloc_usable_size", OLD);

    if (found == NULL)
        return 0;
    __atomic_store_n((void **)&next.usable_size, found, __ATOMIC_RELAXED);
    return next.usable_size(p);
}

__attribute__((constructor)) static void find_all(void)
{
    static const struct {
        void *slot;
        const char *name;
        enum age age;
    } all[] = {
        {&next.free, "free", OLD},
        {&next.realloc, "realloc", OLD},
        {&next.reallocarray, "reallocarray", YOUNG},
        {&next.usable_size, "malloc_usable_size", OLD},
    };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        void *found = find(all[i].name, all[i].age);
        if (found != NULL)
            __atomic_store_n((void **)all[i].slot, found, __ATOMIC_RELAXED);
    }
}

/* Seven instructions without OpenSSL, or while the registry has no entry; about ten where no block
 * was ever near p. */
static FO_ALWAYS_INLINE bool can_be_near(const void *p)
{
    const struct fo_root *root = __atomic_load_n(&fo_hot.entered, __ATOMIC_ACQUIRE);
    size_t size = FO_RELAXED_LOAD(&fo_region_range.size);

    if ((uintptr_t)p - fo_region_range.start < size)
        return true;
    return fo_unlikely(root != NULL) && fo_root_can_find(root, (uintptr_t)p);
}

static FO_ALWAYS_INLINE bool can_be_block(const void *p)
{
    size_t size = FO_RELAXED_LOAD(&fo_region_range.size);

    return (uintptr_t)p - fo_region_range.start < size ||
           fo_registry_can_be_near(__atomic_load_n(&fo_hot.entered, __ATOMIC_ACQUIRE),
                                   (uintptr_t)p);
}

/* Each entry ends in a jump: to the next function, which then returns to the program, as without
 * the library; or to the next check.  Each check is a function of its own, so that none saves
 * registers for a later one. */
#define STEP static __attribute__((noinline))

STEP void free_block(void *p, uintptr_t caller)
{
    if (!fo_mixing_free(p, caller))
        next.free(p);
}

STEP void free_near(void *p, uintptr_t caller)
{
    if (fo_unlikely(can_be_block(p)))
        free_block(p, caller);
    else
        next.free(p);
}

FO_EXPORT void free(void *p)
{
    if (fo_unlikely(can_be_near(p)))
        free_near(p, (uintptr_t)__builtin_return_address(0));
    else
        next.free(p);
}

STEP void *realloc_block(void *p, size_t size, uintptr_t caller)
{
    void *answer;

    return fo_mixing_realloc(p, size, "realloc", caller, &answer) ? answer : next.realloc(p, size);
}

STEP void *realloc_near(void *p, size_t size, uintptr_t caller)
{
    return fo_unlikely(can_be_block(p)) ? realloc_block(p, size, caller) : next.realloc(p, size);
}

FO_EXPORT void *realloc(void *p, size_t size)
{
    return fo_unlikely(can_be_near(p))
               ? realloc_near(p, size, (uintptr_t)__builtin_return_address(0))
               : next.realloc(p, size);
}

STEP void *reallocarray_near(void *p, size_t count, size_t size, uintptr_t caller)
{
    size_t bytes;
    void *answer;

    if (can_be_block(p) && !__builtin_mul_overflow(count, size, &bytes) &&
        fo_mixing_realloc(p, bytes, "reallocarray", caller, &answer))
        return answer;
    return next.reallocarray(p, count, size);
}

/* Passed on as reallocarray: allocators without one (jemalloc, tcmalloc) rely on libc's, which
 * calls their realloc, also if they are preloaded in front of the library. */
FO_EXPORT void *reallocarray(void *p, size_t count, size_t size)
{
    return fo_unlikely(can_be_near(p))
               ? reallocarray_near(p, count, size, (uintptr_t)__builtin_return_address(0))
               : next.reallocarray(p, count, size);
}

STEP size_t usable_size_near(void *p, uintptr_t caller)
{
    size_t answer;

    return can_be_block(p) && fo_mixing_usable_size(p, caller, &answer) ? answer
                                                                        : next.usable_size(p);
}

FO_EXPORT size_t malloc_usable_size(void *p)
{
    return fo_unlikely(can_be_near(p)) ? usable_size_near(p, (uintptr_t)__builtin_return_address(0))
                                       : next.usable_size(p);
}
