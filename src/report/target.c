/* See target.h.
 *
 * Descriptor 2 is shared with the program and with its parents, so O_NONBLOCK must not be set on
 * it.  Instead poll(2) is called before each piece of a report.  Pieces are of at most PIPE_BUF
 * bytes: a pipe that is ready takes that many, and in one piece.  A terminal may take less than a
 * piece before it blocks, so it is opened anew, non-blocking, where that is allowed. */
#include "report/target.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "base/format.h"
#include "base/raw.h"

enum { SYSLOG_DAEMON_ERR = 3 * 8 + 3, MAJOR_MEMORY = 1 /* /dev/null and its like */ };

bool fo_target_record(struct fo_target *t, int fd)
{
    struct stat st;

    t->known = fo_raw_stat(fd, &st) == 0;
    if (!t->known)
        return false;
    t->type = st.st_mode & S_IFMT;
    t->device = st.st_dev;
    t->special = st.st_rdev;
    t->inode = st.st_ino;
    return true;
}

enum fo_still fo_target_check(const struct fo_target *t, int fd)
{
    struct stat st;

    if (!t->known)
        return FO_STILL_NOT;
    if (fo_raw_stat(fd, &st) != 0)
        return errno == EBADF ? FO_STILL_NOT : FO_STILL_UNKNOWN;
    return st.st_dev == t->device && st.st_ino == t->inode && st.st_rdev == t->special &&
                   (st.st_mode & S_IFMT) == t->type
               ? FO_STILL_SAME
               : FO_STILL_NOT;
}

/* --- pieces -------------------------------------------------------------------------------------
 */

/* At most PIPE_BUF bytes, of whole lines if possible. */
static size_t piece_of(const char *text, size_t length)
{
    if (length <= PIPE_BUF)
        return length;
    const char *end = memrchr(text, '\n', PIPE_BUF);
    return end != NULL ? (size_t)(end - text) + 1 : PIPE_BUF;
}

/* How a descriptor takes text. */
struct sink {
    int fd;
    bool pieces;    /* a file takes a report as a whole */
    bool is_polled; /* before each piece, poll(2): would a write wait? */
};

/* 0, or the errno of the write that failed; EAGAIN: a write would wait. */
static int write_all(const struct sink *to, const char *text, size_t length)
{
    while (length > 0) {
        if (to->is_polled && !fo_raw_is_writable(to->fd))
            return EAGAIN;
        ssize_t n = fo_raw_write(to->fd, text, to->pieces ? piece_of(text, length) : length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        text += n;
        length -= (size_t)n;
    }
    return 0;
}

static int write_lines_to_syslog(int fd, const char *text, size_t length)
{
    while (length > 0) {
        const char *end = memchr(text, '\n', length);
        size_t n = end != NULL ? (size_t)(end - text) : length;
        char line[1024];
        struct fo_text t = FO_TEXT(line);

        fo_put(&t, "<");
        fo_put_dec(&t, SYSLOG_DAEMON_ERR);
        fo_put(&t, ">");
        fo_put_clean(&t, program_invocation_short_name, sizeof line);
        fo_put(&t, "[");
        fo_put_dec(&t, (uint64_t)fo_getpid());
        fo_put(&t, "]: ");
        for (size_t i = 0; i < n; i++)
            fo_put_char(&t, text[i]);
        int why = write_all(&(struct sink){.fd = fd}, line, t.used);
        if (why != 0)
            return why;
        n += end != NULL;
        text += n;
        length -= n;
    }
    return 0;
}

/* --- signals ------------------------------------------------------------------------------------
 */

/* A pipe without a reader, a limit of the size of files, or a terminal of another job must not kill
 * or stop a program because the library writes.  sigprocmask(2) changes this thread alone on Linux;
 * pthread_sigmask(3) is in libpthread before glibc 2.32. */
static bool block_signals(sigset_t *before)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGXFSZ);
    sigaddset(&signals, SIGTTOU);
    return sigprocmask(SIG_BLOCK, &signals, before) == 0;
}

/* The signal of the write that failed is discarded, unless the program had blocked it.  In a
 * sandbox it stays blocked: sshd's refuses fstat, and kills the process for the system call that
 * would discard the signal. */
static void restore_signals(sigset_t *before, int failed, bool sandbox)
{
    int number = failed == EPIPE ? SIGPIPE : failed == EFBIG ? SIGXFSZ : 0;
    sigset_t one;

    if (number != 0 && !sigismember(before, number)) {
        sigemptyset(&one);
        sigaddset(&one, number);
        if (sandbox)
            sigaddset(before, number);
        else
            fo_raw_take_signal(&one);
    }
    sigprocmask(SIG_SETMASK, before, NULL);
}

static enum fo_written outcome_of(int failed)
{
    return failed == 0 ? FO_WRITTEN : failed == EAGAIN ? FO_WRITTEN_NOT_NOW : FO_WRITTEN_NOT;
}

/* --- opening ------------------------------------------------------------------------------------
 */

void fo_target_path(const char *pattern, char *out, size_t size)
{
    struct fo_text t = {out, size - 1, 0};

    for (const char *at = pattern; *at != '\0'; at++)
        if (at[0] == '%' && at[1] == 'p') {
            fo_put_dec(&t, (uint64_t)fo_getpid());
            at++;
        } else {
            fo_put_char(&t, *at);
        }
    out[t.used] = '\0';
}

int fo_target_connect(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct fo_text name = {to.sun_path, sizeof to.sun_path - 1, 0};
    int fd = fo_raw_local_socket();

    fo_put(&name, path);
    if (fd >= 0 && fo_raw_connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        int why = errno;
        fo_raw_close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* --- writing ------------------------------------------------------------------------------------
 */

/* A new descriptor for the terminal at `fd`; -1: it cannot be opened. */
static int open_terminal(int fd)
{
    char path[40];
    struct fo_text t = {path, sizeof path - 1, 0};

    fo_put(&t, "/proc/self/fd/");
    fo_put_dec(&t, (uint64_t)fd);
    path[t.used] = '\0';
    return fo_raw_open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
}

static bool is_terminal(const struct fo_target *t)
{
    return t->type == S_IFCHR && major(t->special) != MAJOR_MEMORY;
}

enum fo_written fo_target_write(int fd, const struct fo_target *t, bool sandbox, const char *text,
                                size_t length)
{
    bool waits = !t->is_own && t->type != S_IFREG;
    struct sink to = {.fd = fd, .pieces = t->type != S_IFREG, .is_polled = waits};
    sigset_t before;

    if (waits && !fo_raw_is_writable(fd))
        return FO_WRITTEN_NOT_NOW;
    int terminal = waits && !sandbox && is_terminal(t) ? open_terminal(fd) : -1;
    if (terminal >= 0)
        to = (struct sink){.fd = terminal, .pieces = true};
    bool blocked = block_signals(&before);
    int failed = write_all(&to, text, length);
    if (blocked)
        restore_signals(&before, failed, sandbox);
    if (terminal >= 0)
        fo_raw_close(terminal);
    return outcome_of(failed);
}

enum fo_written fo_target_syslog(int fd, bool sandbox, const char *text, size_t length)
{
    sigset_t before;
    bool blocked = block_signals(&before);
    int failed = write_lines_to_syslog(fd, text, length);

    if (blocked)
        restore_signals(&before, failed, sandbox);
    return outcome_of(failed);
}

enum fo_written fo_target_datagram(int fd, bool sandbox, const struct iovec *pieces, int count)
{
    sigset_t before;
    bool blocked = block_signals(&before);
    ssize_t n;

    do
        n = fo_raw_write_pieces(fd, pieces, count);
    while (n < 0 && errno == EINTR);
    int failed = n < 0 ? errno : 0;
    if (blocked)
        restore_signals(&before, failed, sandbox);
    return outcome_of(failed);
}
