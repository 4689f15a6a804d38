/* Where should somebody look first?  The program's own code if it is known, OpenSSL's if not. */
#include <string.h>

#include "cli/model/model.h"

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Code of ours, of OpenSSL or of the C library: not where a program's mistake is. */
static bool library(const struct fo_code *code)
{
    static const char *const names[] = {"libcrypto.so", "libssl.so",     "libfreeonce",
                                        "libc.so",      "libpthread.so", "ld-linux"};
    const char *name = code->module != NULL ? code->module : "", *slash = strrchr(name, '/');

    if (slash != NULL)
        name = slash + 1;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (starts(name, names[i]))
            return true;
    return false;
}

/* The call sites that OpenSSL records are of its own tree, or of a program that uses its macros. */
static bool openssl_file(const char *file)
{
    static const char *const folders[] = {"crypto/",  "ssl/",  "providers/",
                                          "engines/", "apps/", "include/"};
    const char *tree = strstr(file, "/openssl");

    while (starts(file, "./") || starts(file, "../"))
        file = strchr(file, '/') + 1;
    if (tree != NULL && (tree = strchr(tree + 1, '/')) != NULL && *file == '/')
        file = tree + 1; /* built by an absolute path */
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (starts(file, folders[i]))
            return true;
    return false;
}

static bool usable(const struct fo_code *code)
{
    return code->file != NULL && code->line != 0 && !library(code);
}

struct fo_location fo_place_location(const struct fo_place_shown *place)
{
    const struct fo_code *code = usable(&place->caller) ? &place->caller : NULL;
    const char *function = library(&place->caller) ? NULL : place->caller.function;

    for (size_t i = 0; code == NULL && i < place->frames; i++)
        if (usable(&place->stack[i]))
            code = &place->stack[i];
    if (code != NULL)
        return (struct fo_location){code->file, code->line, code->function, false};
    if (place->file == NULL)
        return (struct fo_location){NULL, 0, function, false};
    if (openssl_file(place->file))
        return (struct fo_location){place->file, place->line, NULL, true};
    return (struct fo_location){place->file, place->line, function, false};
}
