/* The three targets of output.h. */
#include "report/output.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/options.h"
#include "report/journal.h"

/* Servers close the low descriptors when they become daemons, and hand their numbers out again. */
enum { HIGH_FD = 200, SYSLOG_DAEMON_ERR = 3 * 8 + 3 };

static struct {
    int fd; /* -1: stderr */
    bool syslog, per_process;
    dev_t device; /* of the file: is the descriptor still ours? */
    ino_t inode;
} target = {.fd = -1};

static int move_up(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    if (high < 0)
        return fd;
    close(fd);
    return high;
}

static void remember(int fd)
{
    struct stat st;

    target.fd = fd;
    if (fstat(fd, &st) == 0) {
        target.device = st.st_dev;
        target.inode = st.st_ino;
    }
}

/* FREEONCE_LOG with %p replaced. */
static void path_of(char *out, size_t size)
{
    struct fo_text t = {out, size - 1, 0};

    for (const char *at = fo_options.log; *at != '\0'; at++)
        if (at[0] == '%' && at[1] == 'p') {
            fo_put_dec(&t, (uint64_t)fo_getpid());
            at++;
        } else {
            fo_put_char(&t, *at);
        }
    out[t.used] = '\0';
}

static bool open_file(void)
{
    char path[FO_TEXT_MAX + 32];

    path_of(path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd < 0)
        return false;
    remember(move_up(fd));
    return true;
}

static bool open_syslog(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return false;
    }
    remember(move_up(fd));
    target.syslog = true;
    return true;
}

void fo_output_open(void)
{
    int saved_errno = errno;
    const char *log = fo_options.log;

    target.fd = -1;
    target.syslog = target.per_process = false;
    if (strcmp(log, "syslog") == 0) {
        if (!open_syslog())
            fo_say_words("FREEONCE_LOG=syslog: no daemon listens at /dev/log (",
                         strerrorname_np(errno), "), reports go to stderr", NULL);
    } else if (strcmp(log, "stderr") != 0 && strcmp(log, "journal") != 0) {
        target.per_process = strstr(log, "%p") != NULL;
        if (!open_file())
            fo_say_words("FREEONCE_LOG=", log, " cannot be opened (", strerrorname_np(errno),
                         "), reports go to stderr", NULL);
    }
    errno = saved_errno;
}

void fo_output_forked(void)
{
    if (!target.per_process)
        return;
    int saved_errno = errno, before = target.fd;
    if (open_file() && before >= 0)
        close(before);
    errno = saved_errno;
}

/* The descriptor, if it still is what was opened.  A daemon that closed it and left the place of
 * its root alone gets the file again by name. */
static int current_fd(void)
{
    struct stat st;

    if (target.fd < 0)
        return STDERR_FILENO;
    if (fstat(target.fd, &st) == 0 ? st.st_dev == target.device && st.st_ino == target.inode
                                   : errno != EBADF) /* a sandbox that forbids to ask */
        return target.fd;
    target.fd = -1;
    if (target.syslog ? !open_syslog() : !open_file())
        return STDERR_FILENO;
    return target.fd;
}

void fo_output_before_fork(void)
{
    int saved_errno = errno;

    if (target.fd >= 0)
        current_fd();
    errno = saved_errno;
}

/* 0, or the errno of what could not be written. */
static int write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, text, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        text += n;
        length -= (size_t)n;
    }
    return 0;
}

static int write_syslog(int fd, const char *text, size_t length)
{
    int failed = 0;

    while (length > 0) {
        const char *end = memchr(text, '\n', length);
        size_t n = end != NULL ? (size_t)(end - text) : length;
        char line[1024];
        struct fo_text t = FO_TEXT(line);

        fo_put(&t, "<");
        fo_put_dec(&t, SYSLOG_DAEMON_ERR);
        fo_put(&t, ">");
        fo_put(&t, program_invocation_short_name);
        fo_put(&t, "[");
        fo_put_dec(&t, (uint64_t)fo_getpid());
        fo_put(&t, "]: ");
        for (size_t i = 0; i < n; i++)
            fo_put_char(&t, text[i]);
        int why = write_all(fd, line, t.used);
        failed = why != 0 ? why : failed;
        n += end != NULL;
        text += n;
        length -= n;
    }
    return failed;
}

/* The signal of a write that failed, if it is ours.  In a sandbox it stays blocked: sshd's refuses
 * fstat, and kills for the system calls that would take the signal back. */
static void take_back(int number, int fd, sigset_t *before)
{
    sigset_t one, pending;
    struct stat st;

    if (sigismember(before, number))
        return;
    if (fstat(fd, &st) != 0) {
        sigaddset(before, number);
        return;
    }
    sigemptyset(&one);
    sigaddset(&one, number);
    if (sigpending(&pending) == 0 && sigismember(&pending, number))
        sigtimedwait(&one, NULL, &(struct timespec){0, 0});
}

/* A pipe without a reader, or a limit of the size of files, must not kill a program that would not
 * have written: SIGPIPE and SIGXFSZ are blocked meanwhile, and taken back if they are ours. */
static bool write_quietly(int fd, const char *text, size_t length)
{
    sigset_t ours, before;

    sigemptyset(&ours);
    sigaddset(&ours, SIGPIPE);
    sigaddset(&ours, SIGXFSZ);
    bool blocked = pthread_sigmask(SIG_BLOCK, &ours, &before) == 0;
    bool syslog = target.syslog && fd == target.fd;
    int failed = syslog ? write_syslog(fd, text, length) : write_all(fd, text, length);
    if (blocked && failed == EPIPE)
        take_back(SIGPIPE, fd, &before);
    if (blocked && failed == EFBIG)
        take_back(SIGXFSZ, fd, &before);
    if (blocked)
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed == 0;
}

bool fo_output_has_findings(void)
{
    return fo_journal == NULL || strcmp(fo_options.log, "journal") != 0;
}

void fo_output_write(const char *text, size_t length)
{
    int saved_errno = errno, fd = current_fd();

    if (!write_quietly(fd, text, length) && fd != STDERR_FILENO)
        write_quietly(STDERR_FILENO, text, length);
    errno = saved_errno;
}

void fo_say(const struct fo_text *text)
{
    char line[1024];
    struct fo_text t = {line, sizeof line - 1, 0};

    fo_put(&t, "freeonce: ");
    for (size_t i = 0; i < text->used; i++)
        fo_put_char(&t, text->data[i]);
    line[t.used] = '\n';
    fo_output_write(line, t.used + 1);
}

void fo_say_words(const char *first, ...)
{
    char words[900];
    struct fo_text t = FO_TEXT(words);
    va_list more;

    va_start(more, first);
    for (const char *word = first; word != NULL; word = va_arg(more, const char *))
        fo_put(&t, word);
    va_end(more);
    fo_say(&t);
}
