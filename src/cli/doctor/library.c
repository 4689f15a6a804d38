/* Is our library fit to be loaded, and do others that are preloaded take the same names? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor/doctor.h"
#include "cli/doctor/elf_file.h"
#include "cli/library.h"
#include "cli/systemd/unit.h"

enum { VERSION_SIZE = 64 };

/* --- ours ----------------------------------------------------------------------------------------
 */

static void check_version(struct fo_doctor *d)
{
    struct fo_elf_file f;
    char version[VERSION_SIZE];
    bool read = fo_elf_file_read(&f, d->library);

    if (!read || !fo_elf_file_text(&f, "freeonce_version", version, sizeof version))
        fo_row(d, FO_ROW_FAILURE, "library", fo_string_format("readelf -h %s", d->library),
               "%s is no library of freeonce, or is damaged.", d->library);
    else if (strcmp(version, FREEONCE_VERSION) != 0)
        fo_row(d, FO_ROW_WARNING, "library", "freeonce --version",
               "%s is version %s, and this command is " FREEONCE_VERSION
               ": install the same version of both.",
               d->library, version);
    else
        fo_row(d, FO_ROW_OK, "library", NULL, "%s is version %s, as this command.", d->library,
               version);
    fo_elf_file_free(&f);
}

void fo_doctor_library(struct fo_doctor *d)
{
    check_version(d);
    if (!fo_library_is_readable(d->library))
        fo_row(d, FO_ROW_WARNING, "permissions", fo_string_format("namei -l %s", d->library),
               "Not every user can read %s: a program that another user starts runs without it.",
               d->library);
}

/* --- others --------------------------------------------------------------------------------------
 */

static bool defines_one(const struct fo_elf_file *f, const char *const *names)
{
    for (; *names != NULL; names++)
        if (fo_elf_file_defines(f, *names))
            return true;
    return false;
}

/* in_front: of ours. */
static void check_one(struct fo_doctor *d, const char *root, const char *word, bool in_front)
{
    static const char *const openssl[] = {"CRYPTO_set_mem_functions",
                                          "CRYPTO_malloc",
                                          "CRYPTO_free",
                                          "SSL_CTX_free",
                                          "X509_free",
                                          NULL};
    static const char *const hooks[] = {"getenv", "dlsym", "fork", NULL};
    static const char *const allocator[] = {"malloc", "free", NULL};
    const char *remove = "env -u LD_PRELOAD freeonce -- PROGRAM";
    struct fo_below file;
    struct fo_elf_file f;

    if (!fo_preloaded_open(root, word, &file)) {
        fo_row(d, FO_ROW_WARNING, "preload", fo_string_format("ls -l %s", word),
               "%s is preloaded too, and was not found.", word);
        return;
    }
    bool read = fo_elf_file_read(&f, file.path);
    if (read && fo_elf_file_defines(&f, "__asan_init"))
        fo_row(d, FO_ROW_WARNING, "preload", "freeonce --set QUARANTINE=0 -- PROGRAM",
               "%s is AddressSanitizer, which sees each free at once only without a quarantine.",
               word);
    else if (read && defines_one(&f, openssl))
        fo_row(d, FO_ROW_WARNING, "preload", remove,
               "%s is preloaded too and takes OpenSSL's functions: what passes it %s.", word,
               in_front ? "may not reach the library" : "is not OpenSSL's own");
    else if (read && in_front && defines_one(&f, hooks))
        fo_row(d, FO_ROW_WARNING, "preload", remove,
               "%s is preloaded in front of the library and takes a function by which the library "
               "notices OpenSSL.",
               word);
    else if (read && in_front && defines_one(&f, allocator))
        fo_row(d, FO_ROW_WARNING, "preload", "less /usr/share/doc/freeonce/libc.md",
               "%s is preloaded in front of the library: free() of a block of OpenSSL's does not "
               "reach the library.",
               word);
    else
        fo_row(d, FO_ROW_OK, "preload", NULL, "%s is preloaded too and does not disturb.", word);
    fo_elf_file_free(&f);
    fo_below_close(&file);
}

static void check_list(struct fo_doctor *d, const char *root, const char *list, bool in_front)
{
    char *copy = strdup(list), *rest = copy;

    for (char *word; rest != NULL && (word = strsep(&rest, " :\t\n")) != NULL;) {
        if (strstr(word, "libfreeonce") != NULL)
            in_front = false;
        else if (*word != '\0')
            check_one(d, root, fo_string_copy(word, strlen(word)), in_front);
    }
    free(copy);
}

void fo_doctor_preloads(struct fo_doctor *d, const char *root, const char *ld_preload)
{
    char *line = NULL;
    size_t room = 0;
    struct fo_below file;

    if (ld_preload != NULL)
        check_list(d, root, ld_preload, strstr(ld_preload, "libfreeonce") != NULL);
    if (!fo_below_open(&file, root, "/etc/ld.so.preload"))
        return;
    FILE *in = fopen(file.path, "rbe");
    for (int lines = 0; in != NULL && lines < 1000 && getline(&line, &room, in) > 0; lines++) {
        line[strcspn(line, "#")] = '\0';
        check_list(d, root, line, false);
    }
    if (in != NULL)
        fclose(in);
    free(line);
    fo_below_close(&file);
}
