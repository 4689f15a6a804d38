/* See own_file.h. */
#include "cli/systemd/own_file.h"

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
#include "cli/systemd/unit.h"
#include "cli/write_all.h"

enum { FILE_MAX = 1 << 20 };

enum fo_exit fo_own_file_refused(const char *doing, const char *path)
{
    int error = errno;
    bool permission = error == EACCES || error == EPERM;

    fo_error("%s %s: %s%s", doing, path, strerror(error), permission ? "; run it as root" : "");
    return permission ? FO_EXIT_NO_PERMISSION : FO_EXIT_CANNOT_WRITE;
}

enum fo_exit fo_own_file_read(const char *path, char **text)
{
    size_t length;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

    *text = NULL;
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return FO_EXIT_OK;
    if (fd < 0 && errno != ELOOP)
        return fo_own_file_refused("cannot read", path);
    if (fd < 0 || fo_read_all(fd, FILE_MAX, text, &length) != FO_EXIT_OK ||
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

enum fo_exit fo_systemctl(const char *const *command)
{
    struct fo_output output = {0};
    int status = fo_run_program(command, FILE_MAX, &output);

    if (status != 0)
        fo_error("systemctl %s ended with status %d: %s; run it again", command[1], status,
                 output.errors == NULL ? "" : output.errors);
    fo_output_free(&output);
    return status == 0 ? FO_EXIT_OK : FO_EXIT_OS;
}

enum fo_exit fo_systemd_reload(const char *root)
{
    const char *const command[] = {"systemctl", "daemon-reload", NULL};

    return *root != '\0' || !fo_systemd_is_running() ? FO_EXIT_OK : fo_systemctl(command);
}

static bool make_directories(const char *path)
{
    for (const char *at = strchr(path + 1, '/');; at = strchr(at + 1, '/')) {
        const char *part = at == NULL ? path : fo_string_copy(path, (size_t)(at - path));
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

static enum fo_exit write_file(const char *directory, const char *path, const char *text)
{
    char temporary[PATH_MAX];

    if (snprintf(temporary, sizeof temporary, "%s/.freeonce.XXXXXX", directory) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return fo_own_file_refused("cannot write", path);
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return fo_own_file_refused("cannot write", path);
    bool written = write_whole(fd, text);
    int error = errno;
    close(fd);
    if (!written || rename(temporary, path) != 0) {
        errno = written ? errno : error;
        enum fo_exit result = fo_own_file_refused("cannot write", path);
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

enum fo_exit fo_own_file_write(const char *directory, const char *path, const char *text,
                               bool *same)
{
    char *before;
    enum fo_exit result = fo_own_file_read(path, &before);

    if (result != FO_EXIT_OK)
        return result;
    *same = before != NULL && strcmp(before, text) == 0;
    free(before);
    if (*same)
        return FO_EXIT_OK;
    return make_directories(directory) ? write_file(directory, path, text)
                                       : fo_own_file_refused("cannot make", directory);
}
