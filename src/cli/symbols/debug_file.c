/* See debug_file.h.  Names and build-ids come from an ELF file: they are input. */
#include "cli/symbols/debug_file.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/message.h"

#define DEBUG_FOLDER "/usr/lib/debug"

enum { BUILD_ID_MIN = 6 }; /* digits */

/* One search through the candidates. */
struct walk {
    struct fo_debug_search *search;
    struct fo_trusted_file *found;
    uint32_t from, at;
};

/* Is this candidate to be tried: none is found yet, and it was not tried before? */
static bool is_next(struct walk *w)
{
    return w->found->fd < 0 && w->at++ >= w->from;
}

static void warn_refused(struct walk *w, const char *path)
{
    if (w->found->refused[0] != '\0' && !w->search->has_reported)
        fo_warning("symbols of %s: its debug file %s is not read: %s", w->search->module, path,
                   w->found->refused);
    w->search->has_reported |= w->found->refused[0] != '\0';
}

static void drop(struct fo_trusted_file *file)
{
    close(file->fd);
    file->fd = -1;
}

__attribute__((format(printf, 2, 3))) static void try_path(struct walk *w, const char *format, ...)
{
    char path[PATH_MAX];
    va_list arguments;

    if (!is_next(w))
        return;
    va_start(arguments, format);
    int length = vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    if (length < 0 || length >= (int)sizeof path)
        return;
    if (!fo_trusted_file_open(w->found, path, w->search->all))
        warn_refused(w, path);
    else if (w->found->device == w->search->file->device &&
             w->found->inode == w->search->file->inode)
        drop(w->found); /* a link to itself */
}

static bool is_build_id(const char *text)
{
    size_t length = strspn(text, "0123456789abcdef");

    return text[length] == '\0' && length >= BUILD_ID_MIN && length % 2 == 0;
}

static void try_build_id(struct walk *w, const char *build_id)
{
    if (is_build_id(build_id))
        try_path(w, DEBUG_FOLDER "/.build-id/%.2s/%s.debug", build_id, build_id + 2);
}

/* In a folder of debug files; also by the module's own name, if the name of its link is guessed. */
static void try_names(struct walk *w, const char *folder, const char *link, const char *base)
{
    try_path(w, "%s/%s", folder, link);
    if (base != NULL)
        try_path(w, "%s/%s", folder, base);
}

/* The debug file of the module at `path`. */
static void try_link(struct walk *w, const char *path, const char *link)
{
    const char *base = basename(path), *guessed = link == NULL ? base : NULL;
    char folder[PATH_MAX], place[PATH_MAX + 32], name[NAME_MAX + 8];

    if (link != NULL && (strchr(link, '/') != NULL || *link == '\0'))
        return;
    snprintf(name, sizeof name, "%s%s", link == NULL ? base : link, link == NULL ? ".debug" : "");
    snprintf(folder, sizeof folder, "%.*s", base == path ? 1 : (int)(base - path - 1),
             base == path ? "." : path);
    try_path(w, "%s/%s", folder, name);
    snprintf(place, sizeof place, "%s/.debug", folder);
    try_names(w, place, name, guessed);
    if (*path != '/')
        return;
    for (const char *rest = folder; rest != NULL; rest = strchr(rest + 1, '/')) {
        snprintf(place, sizeof place, DEBUG_FOLDER "%s", rest);
        try_names(w, place, name, guessed);
    }
    try_names(w, DEBUG_FOLDER, name, guessed);
}

static void try_alt(struct walk *w, const char *real, const char *link)
{
    if (*link == '/')
        try_path(w, "%s", link);
    else if (*real != '\0')
        try_path(w, "%.*s%s", (int)(basename(real) - real), real, link);
    try_path(w, DEBUG_FOLDER "/%s", basename(link));
    try_path(w, DEBUG_FOLDER "/.dwz/%s", basename(link));
}

/* libdebuginfod is loaded only if the user has set a server. */
static int fetch(const char *build_id)
{
    static int (*find)(void *client, const unsigned char *id, int length, char **path);
    static void *client;
    const char *urls = getenv("DEBUGINFOD_URLS");

    if (client == NULL && urls != NULL && *urls != '\0') {
        void *library = dlopen("libdebuginfod.so.1", RTLD_LAZY);
        void *(*begin)(void) = NULL;
        if (library != NULL) {
            *(void **)&begin = dlsym(library, "debuginfod_begin");
            *(void **)&find = dlsym(library, "debuginfod_find_debuginfo");
        }
        if (begin != NULL && find != NULL)
            client = begin();
    }
    /* A length of 0: the build-id is in digits. */
    return client != NULL ? find(client, (const unsigned char *)build_id, 0, NULL) : -1;
}

static void try_servers(struct walk *w, const char *build_id)
{
    if (!is_build_id(build_id) || !is_next(w))
        return;
    *w->found = (struct fo_trusted_file){.fd = fetch(build_id)};
    if (w->found->fd >= 0 && !fo_trusted_file_check(w->found, w->search->all)) {
        warn_refused(w, "of debuginfod");
        drop(w->found);
    }
}

bool fo_debug_file_open(struct fo_debug_search *search, bool alt, const char *link,
                        const char *build_id, uint32_t *next, struct fo_trusted_file *found)
{
    struct walk w = {search, found, *next, 0};
    const char *real = search->file->real;

    found->fd = -1;
    try_build_id(&w, build_id);
    if (alt && link != NULL) {
        try_alt(&w, real, link);
    } else if (!alt) {
        try_link(&w, search->module, link);
        if (strcmp(search->module, real) != 0 && *real != '\0')
            try_link(&w, real, link);
    }
    try_servers(&w, build_id);
    *next = w.at;
    return found->fd >= 0;
}
