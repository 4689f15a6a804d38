/* See preload.h. */
#include "cli/preload.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The folder /usr/$LIB exists on each system with glibc.  There are more ".." than it is deep: they
 * lead to the root, whose parent is the root.  Any absolute path may follow. */
#define TO_ROOT "/usr/$LIB/../../../../../../../.."

/* The system's folder of libraries. */
#define SYSTEM_FOLDER                                                                              \
    (sizeof FREEONCE_MULTIARCH > 1 ? "/usr/lib/" FREEONCE_MULTIARCH "/"                            \
                                   : "/usr/" FREEONCE_LIBDIR "/")

/* Can the dynamic linker find it?  With RTLD_NOLOAD, a file that exists and is not loaded is no
 * error. */
static bool is_found(const char *word)
{
    dlerror();
    void *handle = dlopen(word, RTLD_LAZY | RTLD_NOLOAD);

    if (handle == NULL)
        return dlerror() == NULL;
    dlclose(handle);
    return true;
}

void fo_preload_word(const char *library, char *out, size_t size)
{
    int n = snprintf(out, size, TO_ROOT "%s", library);

    if (n < 0 || (size_t)n >= size || !is_found(out))
        snprintf(out, size, "%s", library);
}

void fo_preload_short_word(const char *library, char *out, size_t size)
{
    const char *folder = SYSTEM_FOLDER, *slash = strrchr(library, '/');
    size_t length = strlen(folder);

    if (slash != NULL && (size_t)(slash + 1 - library) == length &&
        memcmp(library, folder, length) == 0) {
        snprintf(out, size, "/usr/$LIB%s", slash);
        if (is_found(out))
            return;
    }
    fo_preload_word(library, out, size);
}
