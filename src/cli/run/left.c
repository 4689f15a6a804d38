/* See left.h. */
#include "cli/run/left.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/journal_format.h"

/* Waits: another run may hold the lock while it checks this folder. */
int fo_run_lock(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    while (fd >= 0 && flock(fd, LOCK_EX) != 0)
        if (errno != EINTR) {
            close(fd);
            return -1;
        }
    return fd;
}

static bool has_name(const char *name)
{
    static const char pattern[] = FO_RUN_FOLDER;
    size_t fixed = strcspn(pattern, "X");

    return strlen(name) == sizeof pattern - 1 && strncmp(name, pattern, fixed) == 0;
}

/* Is there a regular file of this user that is a journal, or an unfinished one? */
static bool has_journal(int folder)
{
    char magic[8], zero[8] = "";
    struct stat st;
    int fd = openat(folder, "journal", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return false;
    bool is_own =
        fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink == 1;
    if (is_own && st.st_size != 0)
        is_own = pread(fd, magic, sizeof magic, 0) == sizeof magic &&
                 (memcmp(magic, FO_JOURNAL_MAGIC, sizeof magic) == 0 ||
                  memcmp(magic, zero, sizeof magic) == 0);
    close(fd);
    return is_own;
}

/* rmdir(2) would refuse a folder with other files, and then the journal must stay, too. */
static bool has_nothing_else(int folder)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *all = copy >= 0 ? fdopendir(copy) : NULL;
    unsigned entries = 0;

    if (all == NULL) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    while (readdir(all) != NULL)
        entries++;
    closedir(all);
    return entries == 3; /* ".", "..", "journal" */
}

static void remove_one(int tmp, const char *name)
{
    struct stat st;

    int folder = openat(tmp, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return;
    if (fstat(folder, &st) == 0 && st.st_uid == geteuid() &&
        (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 && flock(folder, LOCK_EX | LOCK_NB) == 0 &&
        has_journal(folder) && has_nothing_else(folder) && unlinkat(folder, "journal", 0) == 0)
        unlinkat(tmp, name, AT_REMOVEDIR);
    close(folder);
}

void fo_run_remove_orphans(const char *tmp)
{
    DIR *all = opendir(tmp);

    if (all == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(all)) != NULL;)
        if (has_name(entry->d_name))
            remove_one(dirfd(all), entry->d_name);
    closedir(all);
}
