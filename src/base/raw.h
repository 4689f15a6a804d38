/* System calls that do not pass glibc's functions of the same names.
 *
 * glibc's open, write, poll and many more act on a pending pthread_cancel(3) and then never return;
 * syscall(2) does not.  So everything that runs within an allocation, a free, a report or a fork
 * uses these; unit.cancellation looks for those of glibc in the library's object files.
 *
 * Other libraries or the program may interpose glibc's functions: ThreadSanitizer's cannot be
 * called before its own start; libsocket-wrapper's open libc with dlopen(3), which starts libc
 * without its environment.  So everything that runs in the library's constructor uses these, too.
 *
 * Errors are in errno as usual. */
#ifndef FO_BASE_RAW_H
#define FO_BASE_RAW_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static inline int fo_raw_open(const char *path, int flags, mode_t mode)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static inline int fo_raw_open_at(int folder, const char *name, int flags, mode_t mode)
{
    return (int)syscall(SYS_openat, folder, name, flags, mode);
}

/* mlock2(2), which glibc has since 2.27. */
static inline int fo_raw_lock_on_fault(void *start, size_t size)
{
    return (int)syscall(SYS_mlock2, start, size, 1 /* MLOCK_ONFAULT */);
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

static inline ssize_t fo_raw_write_pieces(int fd, const struct iovec *pieces, int count)
{
    return syscall(SYS_writev, fd, pieces, count);
}

static inline ssize_t fo_raw_read_at(int fd, void *data, size_t size, off_t at)
{
    return syscall(SYS_pread64, fd, data, size, at);
}

static inline ssize_t fo_raw_write_at(int fd, const void *data, size_t size, off_t at)
{
    return syscall(SYS_pwrite64, fd, data, size, at);
}

static inline int fo_raw_resize(int fd, off_t size)
{
    return (int)syscall(SYS_ftruncate, fd, size);
}

/* The kernel's struct stat is glibc's on 64-bit systems. */
static inline int fo_raw_stat(int fd, struct stat *st)
{
    return (int)syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH);
}

/* Of the file itself, if it is a symbolic link. */
static inline int fo_raw_stat_path(const char *path, struct stat *st)
{
    return (int)syscall(SYS_newfstatat, AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

static inline int fo_raw_stat_at(int folder, const char *name, struct stat *st)
{
    return (int)syscall(SYS_newfstatat, folder, name, st, AT_SYMLINK_NOFOLLOW);
}

static inline int fo_raw_chown(int fd, uid_t owner)
{
    return (int)syscall(SYS_fchown, fd, owner, (gid_t)-1);
}

/* The target of a symbolic link that was opened with O_PATH; no NUL is added. */
static inline ssize_t fo_raw_read_link(int fd, char *out, size_t size)
{
    return syscall(SYS_readlinkat, fd, "", out, size);
}

static inline ssize_t fo_raw_read_link_path(const char *path, char *out, size_t size)
{
    return syscall(SYS_readlinkat, AT_FDCWD, path, out, size);
}

static inline int fo_raw_status_flags(int fd)
{
    return (int)syscall(SYS_fcntl, fd, F_GETFL);
}

/* fakeroot(1) answers 0 for geteuid(3). */
static inline uid_t fo_raw_euid(void)
{
    return (uid_t)syscall(SYS_geteuid);
}

/* False: the kernel has no random bytes yet, or a sandbox forbids the call. */
static inline bool fo_raw_random(void *data, size_t size)
{
    return syscall(SYS_getrandom, data, size, GRND_NONBLOCK) == (long)size;
}

/* Of the type SOCK_DGRAM. */
static inline int fo_raw_local_socket(void)
{
    return (int)syscall(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
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

/* Can this descriptor be written to at this moment?  True also if the call fails. */
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

/* Remove a pending signal of this set, which has the kernel's size, if there is one. */
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
