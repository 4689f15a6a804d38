/* See replace_file.h. */
#include "cli/replace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/message.h"
#include "cli/write_all.h"

static enum fo_exit refuse(const char *path)
{
    fo_error("cannot write %s: %s", path, strerror(errno));
    return FO_EXIT_CANNOT_WRITE;
}

static bool write_there(int fd, const void *bytes, size_t size)
{
    mode_t mask = umask(0);

    umask(mask);
    return fo_write_bytes(fd, bytes, size) && fchmod(fd, 0666 & ~mask) == 0 && fsync(fd) == 0;
}

enum fo_exit fo_replace_file(const char *path, const char *text)
{
    return fo_replace_file_bytes(path, text, strlen(text));
}

enum fo_exit fo_replace_file_bytes(const char *path, const void *bytes, size_t size)
{
    char beside[PATH_MAX];
    struct stat there;

    if (lstat(path, &there) == 0 && !S_ISREG(there.st_mode)) {
        fo_error("cannot write %s: it is no regular file, and it stays what it is", path);
        return FO_EXIT_CANNOT_WRITE;
    }
    if (snprintf(beside, sizeof beside, "%s.XXXXXX", path) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return refuse(path);
    }
    int fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0)
        return refuse(path);
    bool written = write_there(fd, bytes, size);
    int error = errno;
    close(fd);
    if (written && rename(beside, path) == 0)
        return FO_EXIT_OK;
    errno = written ? errno : error;
    enum fo_exit status = refuse(path);
    unlink(beside);
    return status;
}
