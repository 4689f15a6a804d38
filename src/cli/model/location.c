/* The source line to look at first: of the program's own code if it is known, else OpenSSL's. */
#include <string.h>

#include "cli/model/model.h"

static bool has_prefix(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Code of libfreeonce, of OpenSSL or of the C library: a program's mistake is not there. */
static bool is_library(const struct fo_code *code)
{
    static const char *const names[] = {"libcrypto.so", "libssl.so",     "libfreeonce",
                                        "libc.so",      "libpthread.so", "ld-linux"};
    const char *name = code->module != NULL ? code->module : "", *slash = strrchr(name, '/');

    if (slash != NULL)
        name = slash + 1;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (has_prefix(name, names[i]))
            return true;
    return false;
}

/* A call site that OpenSSL records is in OpenSSL's tree, or in a program that uses its macros. */
static bool is_openssl_file(const char *file)
{
    static const char *const folders[] = {"crypto/",  "ssl/",  "providers/",
                                          "engines/", "apps/", "include/"};
    const char *tree = strstr(file, "/openssl");

    while (has_prefix(file, "./") || has_prefix(file, "../"))
        file = strchr(file, '/') + 1;
    if (tree != NULL && (tree = strchr(tree + 1, '/')) != NULL && *file == '/')
        file = tree + 1; /* built by an absolute path */
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (has_prefix(file, folders[i]))
            return true;
    return false;
}

static bool is_usable(const struct fo_code *code)
{
    return code->file != NULL && code->line != 0 && !is_library(code);
}

struct fo_location fo_place_location(const struct fo_place_shown *place)
{
    const struct fo_code *code = is_usable(&place->caller) ? &place->caller : NULL;
    const char *function = is_library(&place->caller) ? NULL : place->caller.function;

    for (size_t i = 0; code == NULL && i < place->frames; i++)
        if (is_usable(&place->stack[i]))
            code = &place->stack[i];
    if (code != NULL)
        return (struct fo_location){code->file, code->line, code->function, false};
    if (place->file == NULL)
        return (struct fo_location){NULL, 0, function, false};
    if (is_openssl_file(place->file))
        return (struct fo_location){place->file, place->line, NULL, true};
    return (struct fo_location){place->file, place->line, function, false};
}
