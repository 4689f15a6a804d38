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
#include "core/options.h"
#include "report/journal_format.h"
#include "report/journal_make.h"
#include "report/open.h"

/* Made here and whole: were it left to the first process that uses it, one that has no room for it
 * would have its findings on stderr alone, and the run be green. */
static int make_file(const char *path, bool any_user)
{
    const char *reason = NULL;
    int fd = fo_open_to_write(path, O_RDWR, 0600, &reason);

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

/* An older journal is put aside and not emptied: a process that still runs may have it mapped. */
static int remove_old(const char *path)
{
    char magic[8];
    struct stat st;

    if (lstat(path, &st) != 0)
        return FO_EXIT_OK;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    bool is_ours = fd >= 0 && S_ISREG(st.st_mode) &&
                   (st.st_size == 0 || (read(fd, magic, sizeof magic) == sizeof magic &&
                                        memcmp(magic, FO_JOURNAL_MAGIC, sizeof magic) == 0));
    if (fd >= 0)
        close(fd);
    if (is_ours && unlink(path) == 0)
        return FO_EXIT_OK;
    fo_error("--journal %s: %s; name a file that is not there yet", path,
             is_ours ? strerror(errno) : "it is there, and no journal of freeonce");
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

int fo_run_files_make(struct fo_run_files *files, const char *path, bool any_user)
{
    const char *tmp = getenv("TMPDIR");

    files->folder[0] = '\0';
    files->lock = -1;
    if (path != NULL)
        return make_named(files, path, any_user);
    if (tmp == NULL || tmp[0] != '/' || strlen(tmp) > FO_TEXT_MAX - 40)
        tmp = "/tmp";
    fo_run_remove_left(tmp);
    snprintf(files->folder, sizeof files->folder, "%s/" FO_RUN_FOLDER, tmp);
    if (mkdtemp(files->folder) == NULL || (files->lock = fo_run_lock(files->folder)) < 0 ||
        (any_user && chmod(files->folder, 0711) != 0)) {
        fo_error("no folder can be made in %s (TMPDIR): %s", tmp, strerror(errno));
        files->folder[0] = '\0';
        return FO_EXIT_CANNOT_WRITE;
    }
    snprintf(files->journal, sizeof files->journal, "%.4000s/journal", files->folder);
    int status = make_file(files->journal, any_user);
    if (status != FO_EXIT_OK)
        rmdir(files->folder);
    return status;
}

void fo_run_files_remove(const struct fo_run_files *files)
{
    if (files->folder[0] == '\0')
        return;
    unlink(files->journal);
    rmdir(files->folder);
    close(files->lock);
}
