/* See open.h.  For root each folder is opened and looked at before the next name is looked up in
 * it; symbolic links on the way are resolved here, and only where root has made them. */
#include "report/open.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/errors.h"
#include "base/format.h"
#include "base/raw.h"

enum { LINKS_MAX = 16, PATH_SIZE = 1024 };

struct walk {
    int folder;     /* opened here; AT_FDCWD: none */
    struct stat is; /* that folder */
    uid_t root;     /* the owner of "/": not 0 where root's number is unknown (user namespaces) */
    unsigned links;
    char left[PATH_SIZE]; /* the part of the path that has not been walked */
    const char *name;     /* the last name of the path */
    const char *why;
};

static int refuse(const char **why, int error, const char *words)
{
    *why = words;
    errno = error;
    return -1;
}

static int refuse_as_kernel(const char **why)
{
    *why = fo_error_words(errno);
    return -1;
}

static void close_quietly(int fd)
{
    int saved_errno = errno;

    if (fd >= 0)
        fo_raw_close(fd);
    errno = saved_errno;
}

/* --- folders ---------------------------------------------------------------------------------- */

static bool is_of_root(const struct walk *w, uid_t owner)
{
    return owner == 0 || owner == w->root;
}

/* Can only root make and rename names in this folder? */
static bool is_private(const struct walk *w)
{
    bool group = (w->is.st_mode & S_IWGRP) != 0 && w->is.st_gid != 0;

    return is_of_root(w, w->is.st_uid) && !group && (w->is.st_mode & S_IWOTH) == 0;
}

/* From now on names are looked up in `fd`. */
static bool enter_folder(struct walk *w, int fd, const struct stat *st)
{
    close_quietly(w->folder);
    w->folder = fd;
    w->is = *st;
    if ((st->st_mode & S_IWOTH) == 0 || (st->st_mode & S_ISVTX) != 0)
        return true;
    refuse(&w->why, EPERM, "a folder on its way can be written by all users (chmod +t)");
    return false;
}

static bool enter_first(struct walk *w, const char *name)
{
    struct stat st;
    int fd = fo_raw_open(name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);

    if (fd >= 0 && fo_raw_stat(fd, &st) == 0)
        return enter_folder(w, fd, &st);
    refuse_as_kernel(&w->why);
    close_quietly(fd);
    return false;
}

/* Put the target of the symbolic link `fd` in front of the rest of the path.  A link with several
 * names is refused: another user may have made a name for it where it leads elsewhere. */
static bool follow(struct walk *w, int fd, const struct stat *st, const char *rest)
{
    size_t more = strlen(rest) + 1;
    char *end = w->left + sizeof w->left - more;

    if (!is_private(w) && (!is_of_root(w, st->st_uid) || st->st_nlink != 1)) {
        refuse(&w->why, EPERM, "a symbolic link on its way may be another user's");
        return false;
    }
    if (++w->links > LINKS_MAX) {
        refuse(&w->why, ELOOP, "Too many levels of symbolic links");
        return false;
    }
    memmove(end, rest, more);
    ssize_t n = fo_raw_read_link(fd, w->left, (size_t)(end - w->left));
    if (n <= 0 || n >= end - w->left) {
        refuse(&w->why, ENAMETOOLONG, "its name is too long");
        return false;
    }
    w->left[n] = '/';
    memmove(w->left + n + 1, end, more);
    return w->left[0] != '/' || enter_first(w, "/");
}

/* Walk one name further. */
static bool step(struct walk *w, const char *name, const char *rest)
{
    struct stat st;
    bool further = false;
    int fd = fo_raw_open_at(w->folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);

    if (fd < 0 || fo_raw_stat(fd, &st) != 0) {
        refuse_as_kernel(&w->why);
    } else if (S_ISDIR(st.st_mode)) {
        memmove(w->left, rest, strlen(rest) + 1);
        return enter_folder(w, fd, &st);
    } else if (S_ISLNK(st.st_mode)) {
        further = follow(w, fd, &st, rest);
    } else {
        refuse(&w->why, ENOTDIR, "Not a directory");
    }
    close_quietly(fd);
    return further;
}

static bool walk_as_root(struct walk *w)
{
    struct stat st;

    w->root = fo_raw_stat_path("/", &st) == 0 ? st.st_uid : 0;
    if (!enter_first(w, w->left[0] == '/' ? "/" : "."))
        return false;
    for (;;) {
        char *name = w->left + strspn(w->left, "/"), *slash = strchr(name, '/');
        if (slash == NULL)
            return true;
        *slash = '\0';
        if (!step(w, name, slash + 1))
            return false;
    }
}

/* Walk to the folder of the file, for root alone: other users have no rights that another user
 * could abuse. */
static bool walk(struct walk *w, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = strlen(path);

    w->folder = AT_FDCWD;
    w->links = 0;
    w->why = NULL;
    w->name = path;
    if (fo_raw_euid() != 0)
        return true;
    if (length >= sizeof w->left) {
        refuse(&w->why, ENAMETOOLONG, "its name is too long");
        return false;
    }
    memcpy(w->left, path, length + 1);
    w->name = slash != NULL ? slash + 1 : path;
    return walk_as_root(w);
}

int fo_open_folder(const char *path, const char **name, const char **why)
{
    struct walk w;
    bool is_found = walk(&w, path);

    *name = w.name;
    *why = w.why;
    if (!is_found)
        close_quietly(w.folder);
    return is_found ? w.folder : -1;
}

/* --- the file --------------------------------------------------------------------------------- */

/* Why the file is refused, or NULL.  `also`: a user who may own it, beside the caller. */
static const char *judge(const struct stat *st, uid_t also)
{
    if (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3)) /* /dev/null */
        return NULL;
    if (S_ISLNK(st->st_mode))
        return "it is a symbolic link";
    if (S_ISFIFO(st->st_mode))
        return "it is a FIFO";
    if (S_ISDIR(st->st_mode))
        return "it is a folder";
    if (!S_ISREG(st->st_mode))
        return "it is no regular file";
    if (st->st_nlink > 1)
        return "it has several names (hard links)";
    if (st->st_uid != fo_raw_euid() && st->st_uid != also)
        return "it belongs to another user";
    return NULL;
}

/* The file is checked before it is opened, too: the open of a device may have an effect. */
static int open_existing(struct walk *w, int flags)
{
    struct stat st;
    uid_t also = w->folder >= 0 ? w->is.st_uid : 0; /* owner of its folder; or root */

    if (fo_raw_stat_at(w->folder, w->name, &st) == 0 && (w->why = judge(&st, also)) != NULL)
        return refuse(&w->why, EPERM, w->why);
    /* O_CREAT also where the file exists: then the kernel refuses one that another user has put
     * into a folder like /tmp (fs.protected_regular). */
    int fd = fo_raw_open_at(w->folder, w->name, flags | O_CREAT, 0600);
    if (fd < 0)
        return refuse_as_kernel(&w->why);
    if (fo_raw_stat(fd, &st) != 0)
        refuse_as_kernel(&w->why);
    else if ((w->why = judge(&st, also)) == NULL)
        return fd;
    fo_raw_close(fd);
    return refuse(&w->why, EPERM, w->why);
}

bool fo_is_filtered(void)
{
    char text[4096];
    int fd = fo_raw_open("/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
    ssize_t n = fd < 0 ? -1 : fo_raw_read(fd, text, sizeof text - 1);

    close_quietly(fd);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, "\nSeccomp:\t0\n") == NULL;
}

/* A file that root makes in the folder of another user is for a service of that user: a helper of
 * the service may run as root, outside its sandbox, before the service (ExecStartPre=+). */
static void give_to_owner_of_folder(int fd, const struct walk *w)
{
    if (w->folder >= 0 && w->is.st_uid != 0 && (w->is.st_mode & S_ISVTX) == 0 && !fo_is_filtered())
        (void)fo_raw_chown(fd, w->is.st_uid);
}

static int open_last(struct walk *w, int flags, mode_t mode)
{
    flags |= O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    int fd = fo_raw_open_at(w->folder, w->name, flags | O_CREAT | O_EXCL, mode);
    if (fd >= 0)
        give_to_owner_of_folder(fd, w);
    else if (errno == EEXIST)
        fd = open_existing(w, flags);
    else
        refuse_as_kernel(&w->why);
    return fd;
}

int fo_open_to_write(const char *path, int flags, mode_t mode, const char **why)
{
    struct walk w;
    int fd = walk(&w, path) ? open_last(&w, flags, mode) : -1;

    *why = w.why;
    close_quietly(w.folder);
    return fd;
}

/* --- what was inherited ----------------------------------------------------------------------- */

int fo_open_names_descriptor(const char *path)
{
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};

    if (strcmp(path, "/dev/stderr") == 0)
        return STDERR_FILENO;
    if (strcmp(path, "/dev/stdout") == 0)
        return STDOUT_FILENO;
    for (unsigned i = 0; i < 2; i++) {
        size_t n = strlen(folders[i]), digits = strspn(path + strnlen(path, n), "0123456789");
        if (strncmp(path, folders[i], n) != 0 || digits == 0 || digits > 6 || path[n + digits] != 0)
            continue;
        int fd = 0;
        for (path += n; *path != '\0'; path++)
            fd = fd * 10 + (*path - '0');
        return fd;
    }
    return -1;
}

int fo_open_inherited(int inherited, const char **why)
{
    char path[40];
    struct fo_text t = {path, sizeof path - 1, 0};
    int flags = fo_raw_status_flags(inherited);

    if (flags < 0)
        return refuse_as_kernel(why);
    if ((flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH) != 0)
        return refuse(why, EBADF, "that descriptor is not open for writing");
    fo_put(&t, "/proc/self/fd/");
    fo_put_dec(&t, (uint64_t)inherited);
    path[t.used] = '\0';
    int fd = fo_raw_open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    if (fd < 0 && errno == ENOENT)
        return refuse(why, ENOENT, "/proc is not mounted");
    return fd >= 0 ? fd : refuse_as_kernel(why);
}
