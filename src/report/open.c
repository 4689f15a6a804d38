/* See open.h.  For root each folder is opened and checked before the next name is looked up in it;
 * symbolic links on the way are resolved here, and only where no other user can have made them. */
#include "report/open.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "core/raw.h"
#include "report/format.h"

enum { LINKS_MAX = 16, PATH_SIZE = 512 };

/* Who can make, rename and remove names in a folder? */
enum folder {
    FOLDER_OF_ROOT,
    FOLDER_STICKY, /* all users; but only root can remove or rename what is root's */
    FOLDER_OF_GROUP,
    FOLDER_OF_OTHERS,
};

struct walk {
    int folder; /* opened by us; -1: the working directory, not looked at */
    enum folder kind;
    unsigned links;
    char left[PATH_SIZE]; /* of the path: what has not been walked */
    char *name;           /* within left: the last one */
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
    const char *name = strerrorname_np(errno);

    *why = name != NULL ? name : "unknown error";
    return -1;
}

/* --- folders ---------------------------------------------------------------------------------- */

static enum folder kind_of(const struct stat *st)
{
    if (st->st_uid != 0)
        return FOLDER_OF_OTHERS;
    bool group = (st->st_mode & S_IWGRP) != 0 && st->st_gid != 0;
    if ((st->st_mode & S_IWOTH) == 0 && !group)
        return FOLDER_OF_ROOT;
    if ((st->st_mode & S_ISVTX) != 0)
        return FOLDER_STICKY;
    return (st->st_mode & S_IWOTH) != 0 ? FOLDER_OF_OTHERS : FOLDER_OF_GROUP;
}

static void leave_folder(struct walk *w)
{
    int saved_errno = errno;

    if (w->folder >= 0)
        fo_raw_close(w->folder);
    w->folder = -1;
    errno = saved_errno;
}

/* From now on names are looked up in `fd`. */
static bool enter_folder(struct walk *w, int fd, const struct stat *st)
{
    leave_folder(w);
    w->folder = fd;
    w->kind = kind_of(st);
    if (w->kind != FOLDER_OF_OTHERS)
        return true;
    refuse(&w->why, EPERM, "a folder on its way belongs to another user or can be written by all");
    return false;
}

static bool enter_first(struct walk *w, const char *name)
{
    struct stat st;
    int fd = fo_raw_open(name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);

    if (fd < 0 || fo_raw_stat(fd, &st) != 0) {
        refuse_as_kernel(&w->why);
        if (fd >= 0)
            fo_raw_close(fd);
        return false;
    }
    return enter_folder(w, fd, &st);
}

/* What the symbolic link `fd` says comes before what is left. */
static bool follow(struct walk *w, int fd, const char *rest)
{
    char whole[PATH_SIZE];
    size_t more = strlen(rest) + 1;

    if (w->kind != FOLDER_OF_ROOT || ++w->links > LINKS_MAX) {
        refuse(&w->why, ELOOP, "a symbolic link on its way lies where another user can make one");
        return false;
    }
    ssize_t n = fo_raw_read_link(fd, whole, sizeof whole);
    if (n <= 0 || (size_t)n + 1 + more > sizeof whole) {
        refuse(&w->why, ENAMETOOLONG, "its name is too long");
        return false;
    }
    whole[n] = '/';
    memcpy(whole + n + 1, rest, more);
    memcpy(w->left, whole, (size_t)n + 1 + more);
    return w->left[0] != '/' || enter_first(w, "/");
}

/* One name further. */
static bool step(struct walk *w, const char *name, const char *rest)
{
    struct stat st;
    int fd = fo_raw_open_at(w->folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);

    if (fd < 0) {
        refuse_as_kernel(&w->why);
        return false;
    }
    bool further = false;
    if (fo_raw_stat(fd, &st) != 0) {
        refuse_as_kernel(&w->why);
    } else if (S_ISDIR(st.st_mode)) {
        memmove(w->left, rest, strlen(rest) + 1);
        return enter_folder(w, fd, &st);
    } else if (S_ISLNK(st.st_mode)) {
        further = follow(w, fd, rest);
    } else {
        refuse(&w->why, ENOTDIR, "ENOTDIR");
    }
    int saved_errno = errno;
    fo_raw_close(fd);
    errno = saved_errno;
    return further;
}

static bool walk(struct walk *w)
{
    if (!enter_first(w, w->left[0] == '/' ? "/" : "."))
        return false;
    for (;;) {
        char *name = w->left + strspn(w->left, "/"), *slash = strchr(name, '/');
        w->name = name;
        if (slash == NULL)
            break;
        *slash = '\0';
        if (!step(w, name, slash + 1))
            return false;
    }
    if (w->kind != FOLDER_OF_GROUP)
        return true;
    refuse(&w->why, EPERM, "its folder can be written by a group");
    return false;
}

/* --- the file --------------------------------------------------------------------------------- */

static const char *judge(const struct stat *st)
{
    if (S_ISLNK(st->st_mode))
        return "it is a symbolic link";
    if (!S_ISREG(st->st_mode))
        return "it is no regular file";
    if (st->st_nlink != 1)
        return "it has several names (hard links)";
    if (st->st_uid != 0 && st->st_uid != fo_raw_euid())
        return "it belongs to another user";
    return NULL;
}

/* Looked at before it is opened: a device may do something when it is. */
static int open_existing(int folder, const char *name, int flags, mode_t mode, const char **why)
{
    struct stat st;

    if (fo_raw_stat_at(folder, name, &st) == 0 && (*why = judge(&st)) != NULL)
        return refuse(why, EPERM, *why);
    /* O_CREAT also where the file is there: then the kernel refuses one that another user has put
     * into a folder like /tmp (fs.protected_regular). */
    int fd = fo_raw_open_at(folder, name, flags | O_CREAT, mode);
    if (fd < 0)
        return refuse_as_kernel(why);
    if (fo_raw_stat(fd, &st) != 0)
        refuse_as_kernel(why);
    else if ((*why = judge(&st)) == NULL)
        return fd;
    fo_raw_close(fd);
    return refuse(why, EPERM, *why);
}

static int open_last(int folder, const char *name, int flags, mode_t mode, const char **why)
{
    flags |= O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    int fd = fo_raw_open_at(folder, name, flags | O_CREAT | O_EXCL, mode);
    if (fd >= 0)
        return fd;
    return errno == EEXIST ? open_existing(folder, name, flags, mode, why) : refuse_as_kernel(why);
}

/* In a user namespace that maps one user, root is an ordinary user outside, alone inside, and "/"
 * belongs to a user without a name. */
static bool is_root(void)
{
    char text[128];
    unsigned words = 0, alone = 0;

    if (fo_raw_euid() != 0)
        return false;
    int fd = fo_raw_open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return true;
    ssize_t n = fo_raw_read(fd, text, sizeof text - 1);
    fo_raw_close(fd);
    text[n > 0 ? n : 0] = '\0';
    for (const char *at = text; *(at += strspn(at, " \n")) != '\0'; at += strcspn(at, " \n"))
        if (++words == 3)
            alone = at[0] == '1' && strcspn(at, " \n") == 1;
    return words != 3 || !alone;
}

int fo_open_to_write(const char *path, int flags, mode_t mode, const char **why)
{
    struct walk w = {.folder = -1};
    size_t length = strlen(path);

    if (!is_root())
        return open_last(AT_FDCWD, path, flags, mode, why);
    if (length >= sizeof w.left)
        return refuse(why, ENAMETOOLONG, "its name is too long");
    memcpy(w.left, path, length + 1);
    int fd = walk(&w) ? open_last(w.folder, w.name, flags, mode, &w.why) : -1;
    *why = w.why;
    leave_folder(&w);
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
    return fd >= 0 ? fd : refuse_as_kernel(why);
}
