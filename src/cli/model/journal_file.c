/* See journal_file.h. */
#include "cli/model/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/message.h"

/* -1: it cannot be opened, after a message. */
static int open_regular(const char *path, int *status)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    *status = FO_EXIT_NO_INPUT;
    if (fd < 0) {
        fo_error("%s cannot be opened: %s%s", path, strerror(errno),
                 errno == EACCES ? "; run it as root, or as the user who started the server"
                 : errno == ENOENT
                     ? "; the first process that has OpenSSL makes it: was the service restarted?"
                     : "");
        return -1;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        fo_error("%s is no regular file; give the file that FREEONCE_JOURNAL names", path);
        close(fd);
        return -1;
    }
    return fd;
}

/* The number of bytes read, at most size; -1: an error, in errno. */
static ssize_t read_all(int fd, void *out, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = read(fd, (char *)out + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static bool is_zero(const struct fo_journal_head *head)
{
    static const char zero[sizeof head->magic];

    return memcmp(head->magic, zero, sizeof zero) == 0;
}

/* Is it the head of a journal that this version can read?  Else a message says why not. */
static bool check_head(const char *path, const struct fo_journal_head *head, size_t size)
{
    if (size == 0)
        fo_error("%s is empty: no process has written to it; was the command run with "
                 "FREEONCE_JOURNAL, and with libfreeonce.so in LD_PRELOAD?",
                 path);
    else if (size >= sizeof *head && is_zero(head))
        fo_error("%s was not made to its end: the process that made it was killed at start; the "
                 "next one that uses it finishes it",
                 path);
    else if (size < sizeof *head || memcmp(head->magic, FO_JOURNAL_MAGIC, sizeof head->magic) != 0)
        fo_error("%s is no journal of freeonce", path);
    else if (head->version != FO_JOURNAL_VERSION)
        fo_error("%s is a journal of format %u, and this is freeonce " FREEONCE_VERSION
                 ", which reads format %d; use the freeonce that came with the library",
                 path, head->version, FO_JOURNAL_VERSION);
    else if (head->size != sizeof(struct fo_journal) ||
             head->head_size != offsetof(struct fo_journal, strings))
        fo_error("%s: its head is damaged", path);
    else
        return true;
    return false;
}

struct fo_journal *fo_journal_file_read(const char *path, int *status)
{
    /* Aligned for its type.  One byte more is read, to notice a file that is too long. */
    enum { ALIGNMENT = _Alignof(struct fo_journal) };
    char *data = aligned_alloc(ALIGNMENT, sizeof(struct fo_journal) + ALIGNMENT);
    if (data != NULL)
        memset(data, 0, sizeof(struct fo_journal) + ALIGNMENT);
    int fd = open_regular(path, status);
    ssize_t n = data != NULL && fd >= 0 ? read_all(fd, data, sizeof(struct fo_journal) + 1) : -1;
    int error = errno;

    if (fd >= 0)
        close(fd);
    if (data == NULL) {
        fo_error("no memory to read %s", path);
        *status = FO_EXIT_SOFTWARE;
    } else if (fd >= 0 && n < 0) {
        fo_error("%s cannot be read: %s", path, strerror(error));
    } else if (fd >= 0) {
        *status = FO_EXIT_DATA;
        if (check_head(path, (const struct fo_journal_head *)data, (size_t)n)) {
            if (n == sizeof(struct fo_journal))
                *status = FO_EXIT_OK;
            else if (n > (ssize_t)sizeof(struct fo_journal))
                fo_error("%s has something behind its end, which is not shown", path);
            else
                fo_error("%s is truncated (%zd of %zu bytes); what is whole is shown", path, n,
                         sizeof(struct fo_journal));
            return (struct fo_journal *)data;
        }
    }
    free(data);
    return NULL;
}
