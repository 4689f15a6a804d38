/* See libraries.h: a search as ld.so(8) describes it, without its cache, which another root may
 * not have. */
#include "cli/doctor/libraries.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/doctor/elf_file.h"
#include "cli/systemd/unit.h"

enum { LIBRARIES_MAX = 512, CONF_LINES_MAX = 1000 };

/* --- files below a root --------------------------------------------------------------------------
 */

bool fo_below_open(struct fo_below *below, const char *root, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};

    below->fd = -1;
    if (*root == '\0') {
        if (snprintf(below->path, sizeof below->path, "%s", path) >= (int)sizeof below->path) {
            errno = ENAMETOOLONG;
            return false;
        }
        return access(path, F_OK) == 0;
    }
    int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return false;
    below->fd = (int)syscall(__NR_openat2, folder, path, &how, sizeof how);
    int error = errno;
    close(folder);
    errno = error;
    if (below->fd < 0)
        return false;
    snprintf(below->path, sizeof below->path, "/proc/self/fd/%d", below->fd);
    return true;
}

void fo_below_close(struct fo_below *below)
{
    if (below->fd >= 0)
        close(below->fd);
    below->fd = -1;
}

/* --- the search ----------------------------------------------------------------------------------
 */

struct wanted {
    const char *name, *by; /* the library, and the one that needs it; "": the program */
    const char *origin;    /* the path of that one */
    const char *folders;   /* that its DT_RUNPATH or DT_RPATH names; NULL: none */
    bool runpath;          /* it has a DT_RUNPATH: the program's DT_RPATH does not count */
};

struct search {
    const char *root, *program;
    struct fo_list folders; /* of the system */
    struct wanted wanted[LIBRARIES_MAX];
    size_t count;
    const char *rpath; /* of the program, which counts for all */
};

static void add_conf(struct search *s, const char *pattern, int depth)
{
    char *line = NULL;
    size_t room = 0;
    glob_t matches = {0};
    int lines = 0;

    if (depth > 3 || glob(fo_string_format("%s%s", s->root, pattern), 0, NULL, &matches) != 0)
        return;
    for (size_t i = 0; i < matches.gl_pathc; i++) {
        struct fo_below file;
        if (!fo_below_open(&file, s->root, matches.gl_pathv[i] + strlen(s->root)))
            continue;
        FILE *in = fopen(file.path, "rbe");
        while (in != NULL && lines++ < CONF_LINES_MAX && getline(&line, &room, in) > 0) {
            char *word = line + strspn(line, " \t");
            word[strcspn(word, "#\n")] = '\0';
            if (*word == '/')
                fo_list_add(&s->folders, fo_string_copy(word, strlen(word)));
            else if (strncmp(word, "include ", 8) == 0 && word[8] == '/')
                add_conf(s, word + 8, depth + 1);
        }
        if (in != NULL)
            fclose(in);
        fo_below_close(&file);
    }
    free(line);
    globfree(&matches);
}

static void add_folders(struct search *s)
{
    static const char *const folders[] = {("/lib/" FREEONCE_MULTIARCH),
                                          ("/usr/lib/" FREEONCE_MULTIARCH),
                                          "/lib64",
                                          "/usr/lib64",
                                          "/lib",
                                          "/usr/lib"};

    add_conf(s, "/etc/ld.so.conf", 0);
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        fo_list_add(&s->folders, folders[i]);
}

/* The path in this folder, which may begin with $ORIGIN; NULL: it is not there. */
static const char *try_in(const struct search *s, const char *folder, size_t length,
                          const struct wanted *w, const char *origin, struct fo_below *found)
{
    static const char *const tokens[] = {"$ORIGIN", "${ORIGIN}"};
    const char *before = "";

    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        size_t skip = strlen(tokens[i]);
        const char *slash = strrchr(origin, '/');
        if (length < skip || strncmp(folder, tokens[i], skip) != 0)
            continue;
        before = slash == NULL ? "." : fo_string_copy(origin, (size_t)(slash - origin));
        folder += skip;
        length -= skip;
        break;
    }
    const char *path = fo_string_format("%s%.*s/%s", before, (int)length, folder, w->name);
    return fo_below_open(found, s->root, path) ? path : NULL;
}

static const char *try_list(const struct search *s, const char *list, const struct wanted *w,
                            const char *origin, struct fo_below *found)
{
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ":");
        const char *path = length != 0 ? try_in(s, at, length, w, origin, found) : NULL;
        if (path != NULL)
            return path;
        at += length;
        at += *at == ':';
    }
    return NULL;
}

static const char *find(const struct search *s, const struct wanted *w, struct fo_below *found)
{
    if (strchr(w->name, '/') != NULL)
        return fo_below_open(found, s->root, w->name) ? w->name : NULL;
    const char *path = try_list(s, w->folders, w, w->origin, found);
    if (path == NULL && !w->runpath)
        path = try_list(s, s->rpath, w, s->program, found);
    for (size_t i = 0; path == NULL && i < s->folders.count; i++)
        path = try_in(s, s->folders.items[i], strlen(s->folders.items[i]), w, "", found);
    return path;
}

bool fo_preloaded_open(const char *root, const char *word, struct fo_below *found)
{
    static const char *const folder =
        sizeof FREEONCE_MULTIARCH > 1 ? "lib/" FREEONCE_MULTIARCH : FREEONCE_LIBDIR;
    struct search s = {.root = root};
    const char *token = strstr(word, "$LIB");
    struct wanted w = {.name = word, .runpath = true};

    if (token != NULL)
        w.name =
            fo_string_format("%.*s%s%s", (int)(token - word), word, folder, token + strlen("$LIB"));
    add_folders(&s);
    bool is_there = find(&s, &w, found) != NULL;
    fo_list_free(&s.folders);
    return is_there;
}

/* --- what is linked ------------------------------------------------------------------------------
 */

static bool begins(const char *name, const char *beginning)
{
    return strncmp(name, beginning, strlen(beginning)) == 0;
}

static void set_name(char to[FO_NAME_SIZE], const char *name)
{
    if (*to == '\0')
        snprintf(to, FO_NAME_SIZE, "%s", name);
}

static void note_name(struct fo_linked *l, const char *name, const char *by)
{
    static const char *const others[] = {"libgnutls.so",  "libnss3.so",   "libmbedtls.so",
                                         "libwolfssl.so", "libnettle.so", "libbotan-"};

    if (begins(name, "libcrypto.so.3") || begins(name, "libcrypto.so.4")) {
        if (*l->crypto == '\0')
            set_name(l->by, by);
        set_name(l->crypto, name);
    } else if (begins(name, "libcrypto.so")) {
        set_name(l->older, name);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (begins(name, others[i]))
            set_name(l->other, name);
    l->sanitized = l->sanitized || begins(name, "libasan.so");
}

static const char *first_of(const struct fo_elf_file *f, int64_t tag)
{
    size_t at = 0;
    const char *text = fo_elf_file_next(f, tag, &at);

    return text != NULL ? fo_string_copy(text, strlen(text)) : NULL;
}

static bool is_wanted(const struct search *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->wanted[i].name, name) == 0)
            return true;
    return false;
}

static void add_needed(struct search *s, struct fo_linked *l, const struct fo_elf_file *f,
                       const char *by, const char *origin)
{
    const char *runpath = first_of(f, DT_RUNPATH), *rpath = first_of(f, DT_RPATH);
    size_t at = 0;

    for (const char *name; (name = fo_elf_file_next(f, DT_NEEDED, &at)) != NULL;) {
        if (s->count >= LIBRARIES_MAX || is_wanted(s, name))
            continue;
        s->wanted[s->count++] = (struct wanted){fo_string_copy(name, strlen(name)), by, origin,
                                                runpath != NULL ? runpath : rpath, runpath != NULL};
        note_name(l, name, by);
    }
}

static void look_at(struct search *s, struct fo_linked *l, const char *name, const char *path,
                    const char *at)
{
    static const char *const of_libc[] = {"libc.so", "ld-linux", "libdl.so", "libcrypto.so",
                                          "libpthread.so"};
    struct fo_elf_file f;
    bool read = fo_elf_file_read(&f, path), libc = false;

    for (size_t i = 0; i < sizeof of_libc / sizeof of_libc[0]; i++)
        libc = libc || begins(name, of_libc[i]);
    if (read)
        add_needed(s, l, &f, name, at);
    if (read && !libc)
        l->a_library_opens = l->a_library_opens || fo_elf_file_imports(&f, "dlopen");
    if (read && begins(name, "libc.so.6"))
        l->old_libc = !fo_elf_file_names(&f, "GLIBC_2.28");
    fo_elf_file_free(&f);
}

static void look_at_program(struct search *s, struct fo_linked *l, const struct fo_elf_file *f)
{
    s->rpath = first_of(f, DT_RUNPATH) == NULL ? first_of(f, DT_RPATH) : NULL;
    add_needed(s, l, f, "", s->program);
    l->opens = fo_elf_file_imports(f, "dlopen");
    l->sanitized = l->sanitized || fo_elf_file_defines(f, "__asan_init");
    if (fo_elf_file_defines(f, "CRYPTO_set_mem_functions")) {
        l->exports = fo_elf_file_defines(f, "OPENSSL_version_major");
        l->exports_older = !l->exports;
    } else if (*l->crypto == '\0' && *l->older == '\0') {
        l->holds = fo_elf_file_holds(f, "crypto/ex_data.c");
    }
}

void fo_linked_read(struct fo_linked *l, const char *root, const char *path, const char *name)
{
    struct search s = {.root = root, .program = name};
    struct fo_elf_file program;

    *l = (struct fo_linked){0};
    l->damaged = !fo_elf_file_read(&program, path);
    if (!l->damaged) {
        add_folders(&s);
        look_at_program(&s, l, &program);
    }
    fo_elf_file_free(&program);
    for (size_t i = 0; i < s.count; i++) {
        struct fo_below found;
        const char *at = find(&s, &s.wanted[i], &found);
        if (at == NULL) {
            set_name(l->missing, s.wanted[i].name);
            continue;
        }
        if (strcmp(s.wanted[i].name, l->crypto) == 0)
            snprintf(l->crypto_path, sizeof l->crypto_path, "%s", at);
        look_at(&s, l, s.wanted[i].name, found.path, at);
        fo_below_close(&found);
    }
    fo_list_free(&s.folders);
}
