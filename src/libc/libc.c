/* libc's free, realloc, reallocarray and malloc_usable_size, which are called for millions of
 * pointers that are none of OpenSSL's: those go straight on to the functions behind us (libc's, or
 * a preloaded jemalloc's).  The others go to libfreeonce.so; see load/mixing.h.
 *
 * free() is called before any constructor ran, by the dynamic linker too, so the functions behind
 * us are looked up at the first call. */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "core/registry.h"
#include "load/mixing.h"

/* Weak: without libfreeonce.so there is none, and nothing is ours. */
#pragma weak freeonce_mixing

static struct {
    void (*free)(void *);
    void *(*realloc)(void *, size_t);
    size_t (*usable_size)(void *);
} behind;

static uint8_t **const no_root;
static uint8_t **const *root = &no_root;
static const struct fo_region_range no_region;
static const struct fo_region_range *region = &no_region;
static const struct fo_mixing *mixing;

/* dlsym(3) allocates nothing when it finds what it looks for; if it should free something all the
 * same, that is lost. */
static FO_COLD bool find_behind(void)
{
    static __thread bool inside;

    if (inside)
        return false;
    inside = true;
    int saved_errno = errno;
    void *found[] = {dlsym(RTLD_NEXT, "realloc"), dlsym(RTLD_NEXT, "malloc_usable_size"),
                     dlsym(RTLD_NEXT, "free")};
    *(void **)&behind.realloc = found[0];
    *(void **)&behind.usable_size = found[1];
    if (mixing == NULL && freeonce_mixing != NULL)
        mixing = freeonce_mixing(FO_MIXING_VERSION);
    if (mixing != NULL)
        root = mixing->root, region = mixing->region;
    *(void **)&behind.free = found[2]; /* last: with it all others are there */
    errno = saved_errno;
    inside = false;
    return behind.free != NULL;
}

/* Before a second thread runs. */
__attribute__((constructor)) static void begin(void)
{
    find_behind();
}

static inline bool ready(void)
{
    return fo_likely(behind.free != NULL) || find_behind();
}

static inline bool may_be_ours(const void *p)
{
    size_t size = FO_RELAXED_LOAD(&region->size);

    return fo_unlikely((uintptr_t)p - region->start < size) ||
           fo_unlikely(
               fo_registry_may_be_near(__atomic_load_n(root, __ATOMIC_ACQUIRE), (uintptr_t)p));
}

FO_EXPORT void free(void *p)
{
    if (may_be_ours(p) && mixing->free(p, (uintptr_t)__builtin_return_address(0)))
        return;
    if (ready())
        behind.free(p);
}

static inline void *reallocate(void *p, size_t size, const char *function, const void *caller)
{
    void *answer;

    if (may_be_ours(p) && mixing->realloc(p, size, function, (uintptr_t)caller, &answer))
        return answer;
    if (ready())
        return behind.realloc(p, size);
    if (p == NULL)
        return malloc(size);
    errno = ENOMEM;
    return NULL;
}

FO_EXPORT void *realloc(void *p, size_t size)
{
    return reallocate(p, size, "realloc", __builtin_return_address(0));
}

FO_EXPORT void *reallocarray(void *p, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return reallocate(p, bytes, "reallocarray", __builtin_return_address(0));
}

FO_EXPORT size_t malloc_usable_size(void *p)
{
    size_t answer;

    if (may_be_ours(p) && mixing->usable_size(p, (uintptr_t)__builtin_return_address(0), &answer))
        return answer;
    return ready() ? behind.usable_size(p) : 0;
}
