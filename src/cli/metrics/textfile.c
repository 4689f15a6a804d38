/* The file that node_exporter's textfile collector reads.  See metrics.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/message.h"
#include "cli/metrics/metrics.h"
#include "cli/write_all.h"

static int refused(const char *path, int error)
{
    bool permission = error == EACCES || error == EPERM;

    fo_error("cannot write %s: %s%s", path, strerror(error),
             permission ? "; it needs the owner of the folder, or root" : "");
    return permission ? FO_EXIT_NO_PERMISSION : FO_EXIT_CANNOT_WRITE;
}

/* Another freeonce may write at this moment, or have been killed while it wrote: the temporary file
 * is locked, and what is in it is overwritten.  In a folder of another user it may be a link to a
 * file that must not be overwritten. */
static int open_temporary(const char *path, int *error)
{
    struct stat is, there;
    int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);

    *error = errno;
    if (fd < 0)
        return -1;
    *error = EEXIST;
    if (fstat(fd, &is) == 0 && S_ISREG(is.st_mode) && is.st_nlink == 1 && is.st_uid == geteuid()) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && lstat(path, &there) == 0 &&
            there.st_dev == is.st_dev && there.st_ino == is.st_ino && ftruncate(fd, 0) == 0)
            return fd;
        *error = EBUSY; /* another one writes, or has renamed it meanwhile */
    }
    close(fd);
    return -1;
}

/* node_exporter runs as another user. */
static bool write_whole(int fd, const char *text)
{
    return fo_write_all(fd, text) && fchmod(fd, 0644) == 0 && fsync(fd) == 0;
}

int fo_metrics_textfile(const char *folder, const char *text)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    int error;

    if (snprintf(path, sizeof path, "%s/" FO_METRICS_FILE, folder) >= PATH_MAX ||
        snprintf(temporary, sizeof temporary, "%s.tmp", path) >= PATH_MAX)
        return refused(folder, ENAMETOOLONG);
    int fd = open_temporary(temporary, &error);
    if (fd < 0 && error == EBUSY) {
        fo_error("another freeonce metrics is writing %s: nothing was written", path);
        return FO_EXIT_CANNOT_WRITE;
    }
    if (fd < 0)
        return refused(temporary, error);
    if (!write_whole(fd, text) || rename(temporary, path) != 0) {
        int status = refused(path, errno);
        unlink(temporary);
        close(fd);
        return status;
    }
    close(fd);
    return FO_EXIT_OK;
}
