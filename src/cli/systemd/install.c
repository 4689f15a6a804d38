/* See install.h. */
#include "cli/systemd/install.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/message.h"
#include "cli/read_all.h"
#include "cli/systemd/run.h"
#include "cli/write_all.h"

enum { DROPIN_MAX = 1 << 20 };

static const char *directory_of(const struct fo_unit *unit, const char *root)
{
    return fo_print("%s/etc/systemd/system/%s.d", root, unit->name);
}

static enum fo_exit report_refused(const char *doing, const char *path)
{
    int error = errno;
    bool permission = error == EACCES || error == EPERM;

    fo_error("%s %s: %s%s", doing, path, strerror(error), permission ? "; run it as root" : "");
    return permission ? FO_EXIT_NO_PERMISSION : FO_EXIT_CANNOT_WRITE;
}

/* The text of the drop-in.  NULL and FO_EXIT_OK: there is none.  A file that freeonce did not make
 * is an error. */
static enum fo_exit read_own(const char *path, char **text)
{
    size_t length;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

    *text = NULL;
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return FO_EXIT_OK;
    if (fd < 0 && errno != ELOOP)
        return report_refused("cannot read", path);
    if (fd < 0 || fo_read_all(fd, DROPIN_MAX, text, &length) != FO_EXIT_OK ||
        strncmp(*text, FO_DROPIN_MARKER, strlen(FO_DROPIN_MARKER)) != 0) {
        if (fd >= 0)
            close(fd);
        free(*text);
        *text = NULL;
        fo_error("%s was not made by freeonce: it is left alone. Move it away first.", path);
        return FO_EXIT_CANNOT_WRITE;
    }
    close(fd);
    return FO_EXIT_OK;
}

static enum fo_exit reload(const char *root)
{
    const char *const command[] = {"systemctl", "daemon-reload", NULL};
    struct fo_output output = {0};

    if (*root != '\0' || !fo_systemd_is_running())
        return FO_EXIT_OK;
    int status = fo_run_program(command, DROPIN_MAX, &output);
    if (status != 0)
        fo_error("systemctl daemon-reload ended with status %d: %s; run it again", status,
                 output.errors == NULL ? "" : output.errors);
    fo_output_free(&output);
    return status == 0 ? FO_EXIT_OK : FO_EXIT_OS;
}

static bool make_directories(const char *path)
{
    for (const char *at = strchr(path + 1, '/');; at = strchr(at + 1, '/')) {
        const char *part = at == NULL ? path : fo_keep(path, (size_t)(at - path));
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return false;
        if (at == NULL)
            return true;
    }
}

static bool write_whole(int fd, const char *text)
{
    return fo_write_all(fd, text) && fchmod(fd, 0644) == 0 && fsync(fd) == 0;
}

/* Written to a temporary file, then renamed: systemd never reads a part of it. */
static enum fo_exit write_file(const char *directory, const char *path, const char *text)
{
    char temporary[PATH_MAX];

    if (snprintf(temporary, sizeof temporary, "%s/.freeonce.XXXXXX", directory) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return report_refused("cannot write", path);
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return report_refused("cannot write", path);
    bool written = write_whole(fd, text);
    int error = errno;
    close(fd);
    if (!written || rename(temporary, path) != 0) {
        errno = written ? errno : error;
        enum fo_exit result = report_refused("cannot write", path);
        unlink(temporary);
        return result;
    }
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    return FO_EXIT_OK;
}

enum fo_exit fo_dropin_install(const struct fo_unit *unit, const char *root, const char *text,
                               const char *journal)
{
    const char *directory = directory_of(unit, root);
    const char *path = fo_print("%s/" FO_DROPIN_NAME, directory);
    char *before;
    enum fo_exit result = read_own(path, &before);

    if (result != FO_EXIT_OK)
        return result;
    bool same = before != NULL && strcmp(before, text) == 0;
    free(before);
    if (!same) {
        result = make_directories(directory) ? write_file(directory, path, text)
                                             : report_refused("cannot make", directory);
        if (result != FO_EXIT_OK)
            return result;
    }
    printf("%s %s\n", same ? "Already there:" : "Wrote", path);
    result = reload(root);
    printf("Next:\n  systemctl restart %s\n", unit->is_template ? "(each instance)" : unit->name);
    if (journal != NULL)
        printf("  freeonce report %s\n", journal);
    return result;
}

/* The journal's path in the drop-in; NULL: none. */
static const char *journal_of(const char *text)
{
    const char *at = strstr(text, "\nEnvironment=FREEONCE_JOURNAL=");

    if (at == NULL)
        return NULL;
    at = strstr(at, "JOURNAL=") + strlen("JOURNAL=");
    return fo_keep(at, strcspn(at, "\n"));
}

enum fo_exit fo_dropin_remove(const struct fo_unit *unit, const char *root)
{
    const char *directory = directory_of(unit, root);
    const char *path = fo_print("%s/" FO_DROPIN_NAME, directory);
    char *text;
    enum fo_exit result = read_own(path, &text);

    if (result != FO_EXIT_OK)
        return result;
    if (text == NULL) {
        printf("%s is not there: nothing to remove\n", path);
        return FO_EXIT_OK;
    }
    const char *journal = journal_of(text);
    free(text);
    if (unlink(path) != 0)
        return report_refused("cannot remove", path);
    rmdir(directory); /* fails if it has other files */
    printf("Removed %s\n", path);
    result = reload(root);
    printf("Next:\n  systemctl restart %s\n", unit->is_template ? "(each instance)" : unit->name);
    if (journal != NULL)
        printf("The journal was kept: freeonce report %s\n", journal);
    return result;
}
