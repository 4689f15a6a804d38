/* Can programs in this root file system be guarded: that of a container, an image, a chroot?  Its
 * files are input: each is opened so that no link leads out. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/doctor/doctor.h"
#include "cli/doctor/elf_file.h"
#include "cli/exit.h"
#include "cli/message.h"
#include "cli/systemd/unit.h"

#define LIMITS "less /usr/share/doc/freeonce/limits.md"

enum { GLIBC_NEEDED = 28, GLIBC_LAST = 99, VERSION_SIZE = 64 };

static bool is_in(const char *root, const char *path)
{
    struct fo_below file;
    bool is = fo_below_open(&file, root, path);

    if (is)
        fo_below_close(&file);
    return is;
}

/* --- the C library and the processor -----------------------------------------------------------
 */

/* A program of every system: its dynamic linker tells the C library. */
static bool check_program(struct fo_doctor *d, const char *root)
{
    static const char *const programs[] = {"/bin/sh",       "/usr/bin/env",     "/bin/busybox",
                                           "/bin/ls",       "/usr/bin/openssl", "/usr/sbin/nginx",
                                           "/sbin/ldconfig"};
    struct fo_program program;
    struct fo_below file;
    const char *reason;
    char text[PATH_MAX];
    bool fits = true, seen = false;

    for (size_t i = 0; i < sizeof programs / sizeof programs[0] && !seen; i++) {
        if (!fo_below_open(&file, root, programs[i]))
            continue;
        bool read = fo_program_read(&program, file.path);
        seen = read && program.kind != FO_PROGRAM_SCRIPT && program.kind != FO_PROGRAM_OTHER &&
               program.kind != FO_PROGRAM_STATIC;
        if (seen && fo_program_obstacle(&program, &reason, text, sizeof text)) {
            fo_row(d, FO_ROW_FAILURE, program.kind == FO_PROGRAM_LIBC ? "libc" : "machine", LIMITS,
                   "%s in it %s.", programs[i], text);
            fits = false;
        } else if (seen) {
            fo_row(d, FO_ROW_OK, "machine", NULL,
                   "%s in it is a program of glibc for this processor.", programs[i]);
        }
        fo_program_free(&program);
        fo_below_close(&file);
    }
    return fits;
}

static void check_libc(struct fo_doctor *d, const char *root)
{
    struct fo_below file;
    struct fo_elf_file f;
    char name[32];
    int minor = GLIBC_LAST;

    if (!fo_preloaded_open(root, "libc.so.6", &file)) {
        fo_row(d, FO_ROW_FAILURE, "libc",
               fo_string_format("find %s -name 'libc.so*' -o -name 'ld-*.so*'", root),
               "There is no glibc in it (libc.so.6) where the dynamic linker looks.");
        return;
    }
    bool read = fo_elf_file_read(&f, file.path);
    for (; read && minor > 0; minor--) {
        snprintf(name, sizeof name, "GLIBC_2.%d", minor);
        if (fo_elf_file_names(&f, name))
            break;
    }
    fo_elf_file_free(&f);
    fo_below_close(&file);
    if (!read || minor == 0)
        fo_row(d, FO_ROW_FAILURE, "libc", fo_string_format("find %s -name libc.so.6", root),
               "Its libc.so.6 is damaged, or for another processor.");
    else if (minor < GLIBC_NEEDED)
        fo_row(d, FO_ROW_FAILURE, "libc", LIMITS, "Its glibc is 2.%d, and the library needs 2.%d.",
               minor, GLIBC_NEEDED);
    else
        fo_row(d, FO_ROW_OK, "libc", NULL, "Its glibc is 2.%d.", minor);
}

/* --- OpenSSL -----------------------------------------------------------------------------------
 */

static void check_openssl(struct fo_doctor *d, const char *root)
{
    static const char *const names[] = {"libcrypto.so.4", "libcrypto.so.3", "libcrypto.so.1.1",
                                        "libcrypto.so.1.0.0", "libcrypto.so.10"};
    enum { NEW = 2 };
    const char *found = NULL;
    bool is_new = false;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct fo_below file;
        if (!fo_preloaded_open(root, names[i], &file))
            continue;
        fo_below_close(&file);
        is_new = is_new || i < NEW;
        if (i >= NEW && is_new)
            fo_row(d, FO_ROW_WARNING, "openssl", LIMITS,
                   "It has %s, too: the library leaves programs of that as they are.", names[i]);
        found = found != NULL ? found : names[i];
    }
    if (is_new)
        fo_row(d, FO_ROW_OK, "openssl", NULL, "It has %s.", found);
    else if (found != NULL)
        fo_row(d, FO_ROW_FAILURE, "openssl", LIMITS,
               "It has %s, older than OpenSSL 3, which the library leaves as it is.", found);
    else
        fo_row(
            d, FO_ROW_WARNING, "openssl", fo_string_format("find %s -name 'libcrypto*'", root),
            "There is no libcrypto where the dynamic linker looks: a program may bring an OpenSSL "
            "of its own.");
}

/* --- the library -------------------------------------------------------------------------------
 */

/* By all users, with each folder on the way; a link's target counts, and not the folders on its
 * way. */
static bool can_all_read(const char *root, const char *path)
{
    char part[PATH_MAX];
    struct fo_below file;
    struct stat status;

    for (const char *slash = path; slash != NULL; slash = strchr(slash + 1, '/')) {
        const char *end = strchr(slash + 1, '/');
        size_t length = end != NULL ? (size_t)(end - path) : strlen(path);
        if (length >= sizeof part)
            return false;
        snprintf(part, sizeof part, "%.*s", (int)length, path);
        if (!fo_below_open(&file, root, part))
            return false;
        bool is = fstat(file.fd, &status) == 0 &&
                  (status.st_mode & (S_ISDIR(status.st_mode) ? S_IXOTH : S_IROTH)) != 0;
        fo_below_close(&file);
        if (!is)
            return false;
    }
    return true;
}

/* The path of a libfreeonce.so in it; NULL: there is none. */
static const char *find_library(const struct fo_doctor *d, const char *root)
{
    const char *const paths[] = {d->library,
                                 "/usr/lib/" FREEONCE_MULTIARCH "/libfreeonce.so.0",
                                 "/usr/local/lib/libfreeonce.so.0",
                                 "/usr/lib/libfreeonce.so.0",
                                 "/usr/local/lib/" FREEONCE_MULTIARCH "/libfreeonce.so.0",
                                 "/opt/freeonce/lib/libfreeonce.so.0"};

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (is_in(root, paths[i]))
            return paths[i];
    return NULL;
}

static void check_library(struct fo_doctor *d, const char *root)
{
    const char *path = find_library(d, root);
    struct fo_below file;
    struct fo_elf_file f;
    char version[VERSION_SIZE];

    if (path == NULL || !fo_below_open(&file, root, path)) {
        fo_row(d, FO_ROW_WARNING, "inside",
               fo_string_format("docker run -v %s:%s:ro -e LD_PRELOAD=%s IMAGE", d->library,
                                d->library, d->library),
               "The library is not in it: put it in, or mount it.");
        return;
    }
    bool read = fo_elf_file_read(&f, file.path) &&
                fo_elf_file_text(&f, "freeonce_version", version, sizeof version);
    fo_elf_file_free(&f);
    fo_below_close(&file);
    if (!read)
        fo_row(d, FO_ROW_FAILURE, "inside", fo_string_format("readelf -h %s%s", root, path),
               "%s in it is no library of freeonce, is damaged, or cannot be read.", path);
    else if (!can_all_read(root, path))
        fo_row(d, FO_ROW_WARNING, "inside", fo_string_format("namei -l %s%s", root, path),
               "Not every user can read %s in it: a program of another user runs without it.",
               path);
    else
        fo_row(d, FO_ROW_OK, "inside", NULL, "%s in it is version %s, and every user can read it.",
               path, version);
}

int fo_doctor_root(struct fo_doctor *d, const char *folder)
{
    const char *root = strcmp(folder, "/") == 0 ? "/." : folder; /* "" would be no folder */

    if (access(folder, R_OK | X_OK) != 0) {
        fo_error("the folder %s may not be read", folder);
        return FO_EXIT_NO_PERMISSION;
    }
    if (!is_in(root, "/usr") && !is_in(root, "/lib") && !is_in(root, "/bin")) {
        fo_error("%s is no root file system: it has no /usr, /lib or /bin", folder);
        return FO_EXIT_DATA;
    }
    if (check_program(d, root)) {
        check_libc(d, root);
        check_openssl(d, root);
        check_library(d, root);
        fo_doctor_preloads(d, root, NULL);
    }
    return FO_EXIT_OK;
}
