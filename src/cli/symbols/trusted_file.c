/* See trusted_file.h.  The file is checked through a descriptor of O_PATH, which opens no device
 * and waits for no FIFO; then the same file is opened through /proc. */
#include "cli/symbols/trusted_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

__attribute__((format(printf, 2, 3))) static bool refuse(struct fo_trusted_file *file,
                                                         const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(file->refused, sizeof file->refused, format, arguments);
    va_end(arguments);
    return false;
}

static bool refuse_errno(struct fo_trusted_file *file)
{
    return errno == ENOENT || errno == ENOTDIR ? false : refuse(file, "%s", strerror(errno));
}

static bool is_owner_trusted(uid_t owner)
{
    return owner == 0 || owner == geteuid();
}

static bool check(struct fo_trusted_file *file, const struct stat *st, bool all)
{
    bool is_group_others = (st->st_mode & S_IWGRP) != 0 && st->st_gid != 0;

    if (!S_ISREG(st->st_mode))
        return refuse(file, "it is no regular file");
    if (!all && !is_owner_trusted(st->st_uid))
        return refuse(file, "it belongs to user %u; --symbols=all reads it", st->st_uid);
    if (!all && st->st_uid == 0 && ((st->st_mode & S_IWOTH) != 0 || is_group_others))
        return refuse(file, "users other than root can write it; --symbols=all reads it");
    file->device = st->st_dev;
    file->inode = st->st_ino;
    return true;
}

/* A symbolic link must have a trusted owner, as with the kernel's protected_symlinks. */
static int open_path(struct fo_trusted_file *file, const char *path, bool all, struct stat *st)
{
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || fstat(fd, st) != 0) {
        refuse_errno(file);
    } else if (!S_ISLNK(st->st_mode)) {
        return fd;
    } else if (!all && !is_owner_trusted(st->st_uid)) {
        refuse(file, "it is a symbolic link of user %u; --symbols=all follows it", st->st_uid);
    } else {
        close(fd);
        fd = open(path, O_PATH | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, st) == 0)
            return fd;
        refuse_errno(file);
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Only ELF files: a file that exploits libdw could otherwise name any file as its debug file, and
 * get its contents. */
static bool is_elf(int fd)
{
    char magic[SELFMAG];

    return pread(fd, magic, SELFMAG, 0) == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0;
}

bool fo_trusted_file_open(struct fo_trusted_file *file, const char *path, bool all)
{
    char name[32];
    struct stat st;

    *file = (struct fo_trusted_file){.fd = -1};
    int fd = open_path(file, path, all, &st);
    if (fd < 0)
        return false;
    if (check(file, &st, all)) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(name, file->real, sizeof file->real);
        file->real[length > 0 && length < (ssize_t)sizeof file->real ? length : 0] = '\0';
        file->fd = open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (file->fd < 0) {
            refuse(file, "%s", length < 0 ? "/proc is not mounted" : strerror(errno));
        } else if (!is_elf(file->fd)) {
            refuse(file, "it is no ELF file");
            close(file->fd);
            file->fd = -1;
        }
    }
    close(fd);
    return file->fd >= 0;
}

bool fo_trusted_file_check(struct fo_trusted_file *file, bool all)
{
    struct stat st;

    return fstat(file->fd, &st) == 0 ? check(file, &st, all) : refuse_errno(file);
}
