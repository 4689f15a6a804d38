/* See libc_memory.h. */
#include "base/libc_memory.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "base/elf.h"
#include "base/real.h"

static bool is_own(const void *function)
{
    struct fo_module other, this_one;

    return fo_elf_module((uintptr_t)function, &other) &&
           fo_elf_module((uintptr_t)&fo_libc_memory, &this_one) && other.start == this_one.start;
}

/* The function to which the library's calls of malloc are bound, unless it is the library's own
 * entry. */
static void *find(const char *name)
{
    void *first = fo_real_malloc_function(RTLD_DEFAULT, name);

    return first != NULL && !is_own(first) ? first : fo_real_malloc_function(RTLD_NEXT, name);
}

void fo_libc_memory_find(void)
{
    *(void **)&fo_libc_memory.free = find("free");
    *(void **)&fo_libc_memory.realloc = find("realloc");
}

static void first_free(void *p)
{
    fo_libc_memory_find();
    fo_libc_memory.free(p);
}

static void *first_realloc(void *p, size_t size)
{
    fo_libc_memory_find();
    return fo_libc_memory.realloc(p, size);
}

struct fo_libc_memory fo_libc_memory = {first_free, first_realloc};
