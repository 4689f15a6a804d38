/* Does a finding made in a worker of a real server arrive?  Preloaded beside the library, this
 * module plants one: in each process whose name matches the glob PLANT_PROGRAM, the first read from
 * a TCP connection allocates a block of OpenSSL's and frees it twice.  The read itself is passed
 * on. Used by tests/servers:  LD_PRELOAD="libfreeonce.so plant.so" PLANT_PROGRAM=smtpd
 * PLANT_UID=33 leaves alone who does not run as this user: processes that keep their privileges. */
#include <dlfcn.h>
#include <errno.h>
#include <fnmatch.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "tests/tools/plant.c" /* in reports, wherever it was built */

enum { KNOWN_FDS = 256, PLANTED_SIZE = 40 };

typedef void *malloc_function(size_t size, const char *file, int line);
typedef void free_function(void *block, const char *file, int line);

static bool
    wanted; /* decided at start: sshd and others clear their environment, and rename themselves */
static long wanted_uid = -1;
static atomic_int planted_by;            /* the pid: a forked child plants again */
static atomic_bool known_tcp[KNOWN_FDS]; /* a sandboxed child may no longer ask */

__attribute__((constructor)) static void start(void)
{
    const char *program = getenv("PLANT_PROGRAM"), *uid = getenv("PLANT_UID");

    wanted = program != NULL && fnmatch(program, program_invocation_short_name, 0) == 0;
    wanted_uid = uid != NULL ? atol(uid) : -1;
}

/* fstat first: sshd's sandbox answers it with EACCES, and kills for getpeername. */
static bool is_tcp_connection(int fd)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof peer;
    struct stat status;
    bool tcp;

    if (fd < 0 || fd >= KNOWN_FDS)
        return false;
    if (fstat(fd, &status) != 0)
        return atomic_load(&known_tcp[fd]);
    tcp = S_ISSOCK(status.st_mode) && getpeername(fd, (struct sockaddr *)&peer, &length) == 0 &&
          (peer.ss_family == AF_INET || peer.ss_family == AF_INET6);
    atomic_store(&known_tcp[fd], tcp);
    return tcp;
}

/* Modules that were loaded with RTLD_LOCAL (Apache, Dovecot) are not in the default scope. */
static void *find_in_libcrypto(const char *name)
{
    void *libcrypto, *found = dlsym(RTLD_DEFAULT, name);

    if (found != NULL)
        return found;
    libcrypto = dlopen("libcrypto.so.3", RTLD_NOLOAD | RTLD_LAZY);
    return libcrypto != NULL ? dlsym(libcrypto, name) : NULL;
}

static bool free_twice(void)
{
    malloc_function *allocate = (malloc_function *)find_in_libcrypto("CRYPTO_malloc");
    free_function *release = (free_function *)find_in_libcrypto("CRYPTO_free");
    void *block;

    if (allocate == NULL || release == NULL)
        return false;
    block = allocate(PLANTED_SIZE, FILE_NAME, __LINE__);
    release(block, FILE_NAME, __LINE__);
    release(block, FILE_NAME, __LINE__);
    return true;
}

static void before_read(int fd)
{
    int error = errno, self, before;
    bool tcp;

    if (!wanted)
        return;
    self = getpid();
    before = atomic_load(&planted_by);
    tcp = before != self && is_tcp_connection(fd); /* asked by parents too: a child may not ask */
    if (tcp && (wanted_uid < 0 || (long)getuid() == wanted_uid) &&
        atomic_compare_exchange_strong(&planted_by, &before, self) && !free_twice())
        atomic_store(&planted_by, 0); /* libcrypto may be loaded by the next time */
    errno = error;
}

/* --- the interposed functions: whichever a server reads with --- */

ssize_t read(int fd, void *buffer, size_t size)
{
    static ssize_t (*real)(int, void *, size_t);

    before_read(fd);
    if (real == NULL)
        real = (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    return real(fd, buffer, size);
}

ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
    static ssize_t (*real)(int, void *, size_t, int);

    before_read(fd);
    if (real == NULL)
        real = (ssize_t(*)(int, void *, size_t, int))dlsym(RTLD_NEXT, "recv");
    return real(fd, buffer, size, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    static ssize_t (*real)(int, struct msghdr *, int);

    before_read(fd);
    if (real == NULL)
        real = (ssize_t(*)(int, struct msghdr *, int))dlsym(RTLD_NEXT, "recvmsg");
    return real(fd, message, flags);
}
