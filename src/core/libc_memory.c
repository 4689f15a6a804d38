/* See libc_memory.h. */
#include "core/libc_memory.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "load/elf.h"
#include "load/real.h"

static bool is_ours(const void *function)
{
    struct fo_module its, mine;

    return fo_elf_module((uintptr_t)function, &its) &&
           fo_elf_module((uintptr_t)&fo_libc_memory, &mine) && its.start == mine.start;
}

/* As the library's calls of malloc are bound, unless that is an entry of ours. */
static void *find(const char *name)
{
    void *first = fo_real_dlsym(RTLD_DEFAULT, name);

    return first != NULL && !is_ours(first) ? first : fo_real_dlsym(RTLD_NEXT, name);
}

static void find_free(void *p)
{
    *(void **)&fo_libc_memory.free = find("free");
    fo_libc_memory.free(p);
}

static void *find_realloc(void *p, size_t size)
{
    *(void **)&fo_libc_memory.realloc = find("realloc");
    return fo_libc_memory.realloc(p, size);
}

struct fo_libc_memory fo_libc_memory = {find_free, find_realloc};
