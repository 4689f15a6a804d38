/* A preloaded library that wraps system calls of libc, and finds the real ones with dlopen, as
 * libsocket-wrapper does.  A call before libc's own start would start libc without its environment.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../libc.h"

static void *real(const char *name)
{
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_DEEPBIND);

    return dlsym(libc, name);
}

int open(const char *path, int flags, ...)
{
    int (*function)(const char *, int, mode_t);
    va_list more;

    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    *(void **)&function = real("open");
    return function(path, flags, mode);
}

#define WRAP(type, name, parameters, arguments)                                                    \
    type name parameters                                                                           \
    {                                                                                              \
        type(*function) parameters;                                                                \
        *(void **)&function = real(#name);                                                         \
        return function arguments;                                                                 \
    }
WRAP(int, close, (int fd), (fd))
WRAP(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size))
WRAP(int, fstat, (int fd, struct stat *st), (fd, st))
WRAP(pid_t, getpid, (void), ())
