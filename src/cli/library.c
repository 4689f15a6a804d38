/* See library.h.  The library is searched relative to the executable, not at a path fixed at build
 * time: so a build tree, a moved prefix and a package unpacked anywhere each find the library that
 * belongs to this command. */
#include "cli/library.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/message.h"

#define LIBRARY "libfreeonce.so"

enum { TRIED_MAX = 4096 };

/* Relative to the directory above that of the executable.  The first is for `cmake --install`, the
 * last for a build tree. */
static const char *const places[] = {
    FREEONCE_LIBDIR, ("lib/" FREEONCE_MULTIARCH), "lib", "lib64", ".",
};

static bool is_file(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, R_OK) == 0;
}

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#else
enum { MACHINE = EM_AARCH64 };
#endif

/* Is it a library for this machine?  The dynamic linker would ignore any other file, with a message
 * in every program. */
static bool is_shared_object(const char *path)
{
    ElfW(Ehdr) head;
    FILE *file = fopen(path, "rbe");
    bool read = file != NULL && fread(&head, sizeof head, 1, file) == 1;

    if (file != NULL)
        fclose(file);
    return read && memcmp(head.e_ident, ELFMAG, SELFMAG) == 0 && head.e_type == ET_DYN &&
           head.e_machine == MACHINE;
}

const char *fo_library_check(const char *path)
{
    static char absolute[PATH_MAX];
    char *end = absolute;

    if (path[0] != '/') { /* programs may change their directory */
        if (getcwd(absolute, PATH_MAX - 1) == NULL) {
            fo_error(
                "the current directory is not known (%s); name the library by its absolute path",
                strerror(errno));
            return NULL;
        }
        end = absolute + strlen(absolute);
        *end++ = '/';
    }
    if (strlen(path) >= (size_t)(absolute + PATH_MAX - end)) {
        fo_error("the library's path is longer than a path can be");
        return NULL;
    }
    memcpy(end, path, strlen(path) + 1);
    if (!is_file(absolute)) {
        fo_error("there is no library %s that can be read", absolute);
        return NULL;
    }
    if (strpbrk(absolute, " :") != NULL) {
        fo_error("LD_PRELOAD cannot hold %s: the dynamic linker splits it at spaces and colons; "
                 "copy or link the library to a path without them",
                 absolute);
        return NULL;
    }
    if (!is_shared_object(absolute)) {
        fo_error("%s is no shared library for this machine", absolute);
        return NULL;
    }
    return absolute;
}

bool fo_library_is_readable(const char *path)
{
    char folder[PATH_MAX];
    struct stat status;

    for (const char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(at - path), path);
        if (stat(folder, &status) == 0 && (status.st_mode & S_IXOTH) == 0)
            return false;
    }
    return stat(path, &status) != 0 || (status.st_mode & S_IROTH) != 0;
}

/* The directory above that of the executable; "" if it is not known.  Without /proc it is found
 * by the name under which it was executed. */
static void prefix_of_self(char prefix[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", prefix, PATH_MAX - 1);

    prefix[length > 0 ? length : 0] = '\0';
    if (length <= 0 && realpath((const char *)getauxval(AT_EXECFN), prefix) == NULL)
        prefix[0] = '\0';
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(prefix, '/');
        if (slash != NULL)
            *slash = '\0';
    }
}

static const char *find_beside_self(char *tried, size_t size)
{
    char prefix[PATH_MAX], path[PATH_MAX];
    size_t at = 0;

    prefix_of_self(prefix);
    tried[0] = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        for (int version = 1; version >= 0; version--) {
            const char *place = places[i], *base = place[0] == '/' ? "" : prefix;
            const char *slash = place[0] == '/' ? "" : "/";
            bool here = strcmp(place, ".") == 0;

            if (snprintf(path, sizeof path, "%s%s%s/%s%s", base, here ? "" : slash,
                         here ? "" : place, LIBRARY, version ? ".0" : "") >= (int)sizeof path)
                continue;
            if (is_file(path))
                return fo_library_check(path);
            if (at < size && strstr(tried, path) == NULL)
                at += (size_t)snprintf(tried + at, size - at, "%s %s", at != 0 ? "," : "", path);
        }
    return NULL;
}

const char *fo_library_find(void)
{
    static char tried[TRIED_MAX];
    const char *set = getenv("FREEONCE_LIBRARY");

    if (set != NULL && *set != '\0') {
        const char *found = fo_library_check(set);
        if (found == NULL)
            fo_error("FREEONCE_LIBRARY is %s; set it to the path of libfreeonce.so, or unset it",
                     set);
        return found;
    }
    const char *found = find_beside_self(tried, sizeof tried);
    if (found == NULL)
        fo_error(LIBRARY " was not found; set FREEONCE_LIBRARY to its path. Looked for%s", tried);
    return found;
}
