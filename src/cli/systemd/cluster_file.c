/* See cluster_file.h.  The folder is opened once, as the library opens a log (report/open.h): no
 * name is looked up again in a folder that another user has exchanged. */
#include "cli/systemd/cluster_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cli/message.h"
#include "cli/read_all.h"
#include "cli/systemd/unit.h"
#include "cli/write_all.h"
#include "report/open.h"

enum { TEXT_MAX = 1 << 20 };

static const char *name_of(const struct fo_cluster_file *file)
{
    return strrchr(file->path, '/') + 1;
}

static enum fo_exit refused(const char *doing, const struct fo_cluster_file *file)
{
    int error = errno;
    bool permission = error == EACCES || error == EPERM;

    fo_error("cannot %s %s: %s%s", doing, file->path, strerror(error),
             permission ? "; run it as root" : "");
    return permission ? FO_EXIT_NO_PERMISSION : FO_EXIT_CANNOT_WRITE;
}

bool fo_cluster_file_exists(const struct fo_cluster_file *file)
{
    struct stat st;

    return lstat(file->path, &st) == 0;
}

static bool open_folder(struct fo_cluster_file *file)
{
    const char *name, *why = NULL;

    file->folder = fo_open_folder(file->path, &name, &why);
    if (file->folder == AT_FDCWD) {
        const char *folder = fo_string_copy(file->path, (size_t)(name_of(file) - file->path));
        file->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        why = strerror(errno);
    }
    file->is_open = file->folder >= 0;
    if (!file->is_open && errno == ENOENT)
        fo_error("there is no such cluster: %s is missing", file->path);
    else if (!file->is_open)
        fo_error("%s is not changed: %s", file->path, why);
    return file->is_open;
}

/* What another user than root has put there must not make root copy what that user cannot read. */
static const char *judge(const struct fo_cluster_file *file)
{
    struct stat folder;

    if (!S_ISREG(file->is.st_mode))
        return "it is no regular file";
    if (file->is.st_nlink != 1)
        return "it has several names (hard links)";
    if (fstat(file->folder, &folder) != 0 ||
        (folder.st_uid != 0 && file->is.st_uid != 0 && file->is.st_uid != folder.st_uid &&
         file->is.st_uid != geteuid()))
        return "it belongs to another user";
    return NULL;
}

enum fo_exit fo_cluster_file_read(struct fo_cluster_file *file)
{
    const char *why;
    size_t length;

    if (!open_folder(file))
        return FO_EXIT_NO_INPUT;
    int fd = openat(file->folder, name_of(file),
                    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &file->is) != 0) {
        enum fo_exit result = refused("read", file);
        if (fd >= 0)
            close(fd);
        return result;
    }
    why = judge(file);
    if (why == NULL && (fo_read_all(fd, TEXT_MAX, &file->text, &length) != FO_EXIT_OK ||
                        strlen(file->text) != length))
        why = "it is no text of up to 1 MiB";
    close(fd);
    if (why == NULL)
        return FO_EXIT_OK;
    fo_error("%s is not changed: %s", file->path, why);
    return FO_EXIT_CANNOT_WRITE;
}

static bool write_whole(const struct fo_cluster_file *file, int fd, const char *text)
{
    return fo_write_all(fd, text) && fchown(fd, file->is.st_uid, file->is.st_gid) == 0 &&
           fchmod(fd, file->is.st_mode & 0777) == 0 && fsync(fd) == 0;
}

enum fo_exit fo_cluster_file_write(const struct fo_cluster_file *file, const char *text)
{
    char beside[64];
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return refused("write", file);
    snprintf(beside, sizeof beside, ".freeonce.%016" PRIx64, random);
    int fd =
        openat(file->folder, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return refused("write", file);
    bool written = write_whole(file, fd, text) &&
                   renameat(file->folder, beside, file->folder, name_of(file)) == 0;
    enum fo_exit result = written ? FO_EXIT_OK : refused("write", file);
    close(fd);
    if (!written)
        unlinkat(file->folder, beside, 0);
    return result;
}

void fo_cluster_file_close(struct fo_cluster_file *file)
{
    free(file->text);
    if (file->is_open)
        close(file->folder);
}
