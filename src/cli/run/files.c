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

/* The whole file is made here.  Otherwise the first process would make it; if there were no room,
 * its findings would be on stderr alone and the run would pass. */
static int make_file(const char *path, bool any_user)
{
    const char *reason = NULL;
    int fd = fo_open_to_write(path, O_RDWR | O_EXCL, 0600, &reason);

    if (fd < 0 || fchmod(fd, any_user ? 0666 : 0600) != 0) {
        fo_error("the journal %s cannot be made: %s", path, fd < 0 ? reason : strerror(errno));
        if (fd >= 0)
            close(fd);
        return FO_EXIT_CANNOT_WRITE;
    }
    const char *why = fo_journal_prepare(fd);
    close(fd);
    if (why == NULL)
        return FO_EXIT_OK;
    fo_error("the journal %s cannot be made: %s; it needs %zu KiB, where TMPDIR or --journal says",
             path, why, sizeof(struct fo_journal) >> 10);
    unlink(path);
    return FO_EXIT_CANNOT_WRITE;
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
    return status == FO_EXIT_OK ? make_file(files->journal, any_user) : status;
}

static bool is_refused(const char *folder)
{
    char path[PATH_MAX];
    const char *name, *why;

    snprintf(path, sizeof path, "%s/journal", folder);
    int fd = fo_open_folder(path, &name, &why);
    bool refused = fd == -1 && errno == EPERM;
    if (fd >= 0)
        close(fd);
    return refused;
}

/* In a container /tmp may be a volume of mode 0777, in which root refuses to make a journal. */
static const char *temporary(void)
{
    const char *tmp = getenv("TMPDIR");

    if (tmp == NULL || tmp[0] != '/' || strlen(tmp) > FO_TEXT_MAX - 40)
        tmp = "/tmp";
    if (!is_refused(tmp))
        return tmp;
    return is_refused("/var/tmp") ? "/dev/shm" : "/var/tmp";
}

static int make_temporary(struct fo_run_files *files, bool any_user)
{
    const char *tmp = temporary();

    fo_run_remove_orphans(tmp);
    snprintf(files->folder, sizeof files->folder, "%s/" FO_RUN_FOLDER, tmp);
    if (mkdtemp(files->folder) == NULL || (any_user && chmod(files->folder, 0711) != 0)) {
        fo_error("no folder can be made in %s (TMPDIR): %s", tmp, strerror(errno));
        files->folder[0] = '\0';
        return FO_EXIT_CANNOT_WRITE;
    }
    files->lock = fo_run_lock(files->folder);
    snprintf(files->journal, sizeof files->journal, "%.4000s/journal", files->folder);
    int status = make_file(files->journal, any_user);
    if (status != FO_EXIT_OK)
        rmdir(files->folder);
    return status;
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
