/* How does an empty file become a journal, and is a file one?  Called by every process that opens
 * it, and by the command `freeonce run`, which makes it before it starts a program. */
#include "report/journal_make.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/raw.h"
#include "report/journal_format.h"

uint64_t fo_journal_now(void)
{
    struct timespec t = {0, 0};

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The process that holds the lock lays the file out; a killed holder loses it.  The wait for a
 * stopped holder has an end. */
static bool lock(int fd)
{
    for (int i = 0; i < 200; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return false;
        fo_raw_sleep(5000000);
    }
    return false;
}

/* All blocks are allocated now: if the disk became full later, a write to the mapping would end the
 * process. */
static const char *lay_out(int fd)
{
    struct fo_journal_head head = {.version = FO_JOURNAL_VERSION,
                                   .head_size = offsetof(struct fo_journal, strings),
                                   .size = sizeof(struct fo_journal),
                                   .created = fo_journal_now(),
                                   .library = FREEONCE_VERSION};
    struct rlimit limit;

    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < sizeof(struct fo_journal))
        return "File too large, see ulimit -f"; /* the kernel would send SIGXFSZ */
    int error = posix_fallocate(fd, 0, sizeof(struct fo_journal));
    if (error != 0) {
        if (fo_raw_resize(fd, 0) != 0)
            return "Input/output error";
        return fo_error_words(error);
    }
    memcpy(head.magic, FO_JOURNAL_MAGIC, sizeof head.magic);
    size_t rest = offsetof(struct fo_journal_head, version);
    if (fo_raw_write_at(fd, (char *)&head + rest, sizeof head - rest, (off_t)rest) < 0 ||
        fo_raw_write_at(fd, &head, rest, 0) < 0)
        return fo_error_words(errno);
    return NULL;
}

/* NULL: it is a journal of this version. */
static const char *check_head(int fd)
{
    struct fo_journal_head head;

    if (fo_raw_read_at(fd, &head, sizeof head, 0) != (ssize_t)sizeof head ||
        memcmp(head.magic, FO_JOURNAL_MAGIC, sizeof head.magic) != 0)
        return "it is no journal";
    if (head.version != FO_JOURNAL_VERSION || head.size != sizeof(struct fo_journal))
        return "it is the journal of another version of freeonce";
    return NULL;
}

/* A maker that was killed leaves zeros where the magic belongs. */
static bool is_unfinished(int fd, off_t size)
{
    char magic[8];
    static const char zero[8];

    return size == 0 || (size == sizeof(struct fo_journal) &&
                         fo_raw_read_at(fd, magic, 8, 0) == 8 && memcmp(magic, zero, 8) == 0);
}

const char *fo_journal_prepare(int fd)
{
    struct stat st;

    if (fo_raw_stat(fd, &st) != 0)
        return fo_error_words(errno);
    if (!S_ISREG(st.st_mode))
        return "it is no regular file";
    if (st.st_nlink > 1)
        return "it has several names (hard links)";
    if (is_unfinished(fd, st.st_size)) {
        if (!lock(fd))
            return "it is locked";
        const char *why =
            fo_raw_stat(fd, &st) == 0 && is_unfinished(fd, st.st_size) ? lay_out(fd) : NULL;
        flock(fd, LOCK_UN);
        if (why != NULL)
            return why;
    }
    const char *why = check_head(fd);
    if (why == NULL && (fo_raw_stat(fd, &st) != 0 || st.st_size != sizeof(struct fo_journal)))
        return "it is a journal that was truncated";
    return why;
}
