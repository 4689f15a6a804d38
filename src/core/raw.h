/* System calls that are no cancellation points, for everything that runs within an allocation, a
 * free, a report or a fork.  glibc's open, write, poll and many more act on a pending
 * pthread_cancel(3) and then never return; syscall(2) does not.  Errors are in errno as usual.
 * unit.cancellation looks for those of glibc in the library's object files. */
#ifndef FO_CORE_RAW_H
#define FO_CORE_RAW_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline int fo_raw_open(const char *path, int flags, mode_t mode)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static inline int fo_raw_close(int fd)
{
    return (int)syscall(SYS_close, fd);
}

static inline ssize_t fo_raw_read(int fd, void *data, size_t size)
{
    return syscall(SYS_read, fd, data, size);
}

static inline ssize_t fo_raw_write(int fd, const void *data, size_t size)
{
    return syscall(SYS_write, fd, data, size);
}

static inline int fo_raw_connect(int fd, const struct sockaddr *to, socklen_t size)
{
    return (int)syscall(SYS_connect, fd, to, size);
}

/* A close-on-exec duplicate, `least` or higher. */
static inline int fo_raw_duplicate(int fd, int least)
{
    return (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, least);
}

/* Can this descriptor be written to at this moment?  True also when that cannot be asked. */
static inline bool fo_raw_is_writable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLOUT};
#ifdef SYS_poll
    return syscall(SYS_poll, &one, 1, 0) != 0;
#else
    struct timespec now = {0, 0};
    return syscall(SYS_ppoll, &one, 1, &now, NULL, 0) != 0;
#endif
}

/* Take a pending signal out of this set, of the kernel's size, if there is one. */
static inline void fo_raw_take_signal(const sigset_t *set)
{
    struct timespec now = {0, 0};

    syscall(SYS_rt_sigtimedwait, set, NULL, &now, _NSIG / 8);
}

static inline void fo_raw_sleep(long ns)
{
    syscall(SYS_nanosleep, &(struct timespec){.tv_nsec = ns}, NULL);
}

#endif
