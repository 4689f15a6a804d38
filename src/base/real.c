/* Finding the real functions, at their first use: the initialisation of other libraries calls
 * interposed functions before this library's constructor runs. */
#include "base/real.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "base/elf.h"
#include "base/libc.h"
#include "base/say.h"
#include "base/wrappers.h"

/* If this library was opened with dlopen(3), no library follows it in the search order. */
static void *function_of_libc(const char *name)
{
    struct fo_module libc;

    return fo_elf_module((uintptr_t)FO_LIBC_LANDMARK, &libc)
               ? fo_elf_bound_function(&libc, name, "GLIBC_")
               : NULL;
}

/* For dlsym and dlvsym, which cannot look themselves up.  NULL: before glibc 2.34 they are in
 * libdl, and this program is not linked to that. */
static void *next_function(void **slot, const char *name)
{
    void *found = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

    if (found == NULL) {
        found = fo_next_function(name, "GLIBC_");
        if (found == NULL)
            found = function_of_libc(name);
        if (found != NULL)
            __atomic_store_n(slot, found, __ATOMIC_RELEASE);
    }
    return found;
}

/* In place of both: what the library itself asks for is a function of libc's.  Nobody has a handle
 * of dlopen(3), which is in libdl, too. */
static void *search_dlvsym(void *handle, const char *name, const char *version)
{
    return handle == RTLD_NEXT || handle == RTLD_DEFAULT ? fo_next_function(name, version) : NULL;
}

static void *search_dlsym(void *handle, const char *name)
{
    return search_dlvsym(handle, name, "GLIBC_");
}

fo_dlsym_function *fo_real_dlsym_function(void)
{
    static void *slot;
    fo_dlsym_function *function;

    *(void **)&function = next_function(&slot, "dlsym");
    return function != NULL ? function : search_dlsym;
}

fo_dlvsym_function *fo_real_dlvsym_function(void)
{
    static void *slot;
    fo_dlvsym_function *function;

    *(void **)&function = next_function(&slot, "dlvsym");
    return function != NULL ? function : search_dlvsym;
}

void *fo_real_dlsym(void *handle, const char *name)
{
    return fo_real_dlsym_function()(handle, name);
}

void *fo_real_dlvsym(void *handle, const char *name, const char *version)
{
    return version == NULL ? fo_real_dlsym(handle, name)
                           : fo_real_dlvsym_function()(handle, name, version);
}

#if defined(__x86_64__)
#define FIRST_VERSION     "GLIBC_2.2.5"
#define COND_INIT_VERSION "GLIBC_2.3.2"
#else
#define FIRST_VERSION     "GLIBC_2.17"
#define COND_INIT_VERSION FIRST_VERSION
#endif

const char *fo_real_single_threaded(void)
{
    static const char never;
    const char *found = fo_real_dlvsym(RTLD_DEFAULT, "__libc_single_threaded", "GLIBC_2.32");

    return found != NULL ? found : &never;
}

void *fo_real_malloc_function(void *handle, const char *name)
{
    void *newest = fo_real_dlsym(handle, name),
         *oldest = fo_real_dlvsym(handle, name, FIRST_VERSION);

    if (newest == oldest || oldest == NULL)
        return newest;
    return newest != NULL && fo_elf_is_first((uintptr_t)newest, (uintptr_t)oldest) ? newest
                                                                                   : oldest;
}

/* Before glibc 2.34 a program that opens OpenSSL with dlopen(3) may get libpthread with it, outside
 * of the scope that dlsym(3) searches for this library. */
static void *store(void **slot, void *found, const char *name)
{
    if (found == NULL)
        found = fo_elf_function_elsewhere(name, "GLIBC_");
    if (found == NULL) {
        fo_say_words("there is no ", name, " behind libfreeonce.so; was it opened with dlopen?",
                     NULL);
        abort();
    }
    __atomic_store_n(slot, found, __ATOMIC_RELEASE);
    return found;
}

void *fo_real(void **slot, const char *name)
{
    void *found = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

    return fo_likely(found != NULL) ? found : store(slot, fo_real_dlsym(RTLD_NEXT, name), name);
}

void *fo_real_of_both(void *by_name, void *by_version)
{
    bool versioned =
        by_version != NULL && fo_elf_is_first((uintptr_t)by_version, (uintptr_t)by_name);

    return versioned ? by_version : by_name;
}

void *fo_real_cond_init(void **slot)
{
    static const char name[] = "pthread_cond_init";
    void *found = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

    if (fo_likely(found != NULL))
        return found;
    return store(slot,
                 fo_real_of_both(fo_real_dlsym(RTLD_NEXT, name),
                                 fo_real_dlvsym(RTLD_NEXT, name, COND_INIT_VERSION)),
                 name);
}
