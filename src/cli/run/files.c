/* See files.h. */
#include "cli/run/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/message.h"
#include "cli/run/left.h"
#include "options/options.h"
#include "report/journal_format.h"
#include "report/journal_make.h"
#include "report/open.h"

#define JOURNAL_KIB (sizeof(struct fo_journal) >> 10)

/* The whole file is made here.  Otherwise the first process would make it; if there were no room,
 * its findings would be on stderr alone and the run would pass.  NULL, or why it cannot be made. */
static const char *make_file(const char *path, bool any_user)
{
    const char *why = NULL;
    int fd = fo_open_to_write(path, O_RDWR | O_EXCL, 0600, &why);

    if (fd < 0)
        return why;
    why = fchmod(fd, any_user ? 0666 : 0600) != 0 ? strerror(errno) : fo_journal_prepare(fd);
    close(fd);
    if (why != NULL)
        unlink(path);
    return why;
}

static bool is_journal(int folder, const char *name)
{
    char magic[8];
    struct stat st;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool found = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                 (st.st_size == 0 || (read(fd, magic, sizeof magic) == sizeof magic &&
                                      memcmp(magic, FO_JOURNAL_MAGIC, sizeof magic) == 0));

    if (fd >= 0)
        close(fd);
    return found;
}

/* An older journal is unlinked, not emptied: a process that still runs may have it mapped. */
static int remove_old(const char *path)
{
    struct stat st;
    const char *name, *why = NULL;
    int folder = fo_open_folder(path, &name, &why);

    if (folder != -1 && fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!is_journal(folder, name))
            why = "it is there, and no journal of freeonce; name a file that is not there yet";
        else if (unlinkat(folder, name, 0) != 0)
            why = strerror(errno);
    }
    if (folder >= 0)
        close(folder);
    if (why == NULL)
        return FO_EXIT_OK;
    fo_error("--journal %s: %s", path, why);
    return FO_EXIT_CANNOT_WRITE;
}

static int make_named(struct fo_run_files *files, const char *path, bool any_user)
{
    char folder[PATH_MAX] = "";
    int n;

    if (path[0] != '/' && getcwd(folder, sizeof folder) == NULL) {
        fo_error("the working directory has no name: %s", strerror(errno));
        return FO_EXIT_OS;
    }
    n = snprintf(files->journal, sizeof files->journal, "%s%s%s", folder, path[0] != '/' ? "/" : "",
                 path);
    if (n < 0 || n >= FO_TEXT_MAX) {
        fo_error("--journal: %s/%s is longer than %d bytes", folder, path, FO_TEXT_MAX - 1);
        return FO_EXIT_USAGE;
    }
    int status = remove_old(files->journal);
    const char *why = status == FO_EXIT_OK ? make_file(files->journal, any_user) : NULL;
    if (why == NULL)
        return status;
    fo_error("the journal %s (%zu KiB) cannot be made: %s", files->journal, JOURNAL_KIB, why);
    return FO_EXIT_CANNOT_WRITE;
}

/* For root: in a container /tmp may be a volume of mode 0777. */
static const char *check_folder(const char *folder)
{
    char path[PATH_MAX];
    const char *name, *why;

    snprintf(path, sizeof path, "%s/journal", folder);
    int fd = fo_open_folder(path, &name, &why);
    if (fd == -1)
        return why;
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* A folder of its own in `parent`, and the journal in it.  NULL, or why not. */
static const char *make_in(struct fo_run_files *files, const char *parent, bool any_user)
{
    const char *why = check_folder(parent);

    if (why != NULL)
        return why;
    fo_run_remove_orphans(parent);
    snprintf(files->folder, sizeof files->folder, "%s/" FO_RUN_FOLDER, parent);
    if (mkdtemp(files->folder) == NULL) {
        files->folder[0] = '\0';
        return strerror(errno);
    }
    files->lock = fo_run_lock(files->folder);
    snprintf(files->journal, sizeof files->journal, "%.4000s/journal", files->folder);
    why = any_user && chmod(files->folder, 0711) != 0 ? strerror(errno)
                                                      : make_file(files->journal, any_user);
    if (why == NULL)
        return NULL;
    fo_run_files_remove(files);
    files->folder[0] = '\0';
    return why;
}

/* XDG_RUNTIME_DIR is of mode 0700; `sudo -E` hands on that of another user. */
static const char *check_runtime_folder(const char *folder, bool any_user)
{
    struct stat st;

    if (any_user)
        return "other users cannot enter it (--any-user)";
    if (stat(folder, &st) != 0)
        return strerror(errno);
    if (!S_ISDIR(st.st_mode))
        return "it is no folder";
    return st.st_uid == geteuid() ? NULL : "it belongs to another user";
}

/* A container may have a /tmp that is read-only or full, or none. */
static int make_temporary(struct fo_run_files *files, bool any_user)
{
    const char *const folders[] = {getenv("TMPDIR"), "/tmp", "/var/tmp", getenv("XDG_RUNTIME_DIR"),
                                   "/dev/shm"};
    enum { TMPDIR, TMP, RUNTIME = 3, COUNT = 5 };
    char tried[COUNT * 200] = "";
    size_t used = 0;

    for (size_t i = 0; i < COUNT; i++) {
        const char *why = NULL, *folder = folders[i];
        if (folder == NULL || folder[0] != '/' || strlen(folder) > FO_TEXT_MAX - 40)
            continue;
        if (i == TMP && used > 0 && strcmp(folder, folders[TMPDIR]) == 0)
            continue;
        if (i == RUNTIME)
            why = check_runtime_folder(folder, any_user);
        if (why == NULL && (why = make_in(files, folder, any_user)) == NULL)
            return FO_EXIT_OK;
        used += (size_t)snprintf(tried + used, sizeof tried - used, "%s%.100s: %.80s",
                                 used > 0 ? "; " : "", folder, why);
    }
    fo_error("the journal (%zu KiB) cannot be made (set TMPDIR, or --journal): %s", JOURNAL_KIB,
             tried);
    return FO_EXIT_CANNOT_WRITE;
}

int fo_run_files_make(struct fo_run_files *files, const char *path, bool any_user)
{
    files->folder[0] = '\0';
    files->lock = -1;
    return path != NULL ? make_named(files, path, any_user) : make_temporary(files, any_user);
}

void fo_run_files_remove(const struct fo_run_files *files)
{
    if (files->folder[0] == '\0')
        return;
    unlink(files->journal);
    rmdir(files->folder);
    if (files->lock >= 0)
        close(files->lock);
}
