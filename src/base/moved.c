/* See moved.h. */
#include "base/moved.h"

#include <errno.h>

#include "base/elf.h"
#include "base/wrappers.h"

static void *functions[FO_MOVED_COUNT];

#define NAME(name) #name,
static const char *const names[] = {FO_MOVED_FUNCTIONS(NAME)};

static int is_missing(void)
{
    return ENOSYS;
}

/* libpthread comes later than the program's own libraries if OpenSSL does. */
static void *find(unsigned number)
{
    void *found = fo_next_function(names[number], "GLIBC_");

    if (found == NULL)
        found = fo_elf_function_elsewhere(names[number], "GLIBC_");
    if (found != NULL)
        __atomic_store_n(&functions[number], found, __ATOMIC_RELEASE);
    return found;
}

void *fo_moved_function(unsigned number)
{
    void *found = __atomic_load_n(&functions[number], __ATOMIC_ACQUIRE);

    if (fo_unlikely(found == NULL))
        found = find(number);
    return found != NULL ? found : (void *)is_missing;
}

/* What was loaded with the program is searched without a lock, when it is needed. */
void fo_moved_find(void)
{
    if (fo_next_function(names[FO_MOVED_pthread_key_create], "GLIBC_") != NULL)
        return;
    for (unsigned i = 0; i < FO_MOVED_COUNT; i++)
        (void)fo_moved_function(i);
}

bool fo_moved_has_dlopen(void)
{
    return fo_moved_function(FO_MOVED_dlopen) != (void *)is_missing;
}
