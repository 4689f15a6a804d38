/* See confine.h.  A seccomp filter or a container can refuse each step: then nothing is read. */
#include "cli/symbols/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* AddressSanitizer maps terabytes, so the address space cannot be limited. */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_SHADOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SHADOW 1
#endif
#endif
#ifndef HAS_SHADOW
#define HAS_SHADOW 0
#endif

enum { DESCRIPTORS = 16, CAPABILITY_WORDS = 2, CLOSED_MAX = 65536 };

/* A lower limit is kept. */
static bool limit_at(__rlimit_resource_t resource, rlim_t now, rlim_t most)
{
    struct rlimit limit;

    if (getrlimit(resource, &limit) != 0)
        return false;
    limit.rlim_max = limit.rlim_max < most ? limit.rlim_max : most;
    limit.rlim_cur = limit.rlim_cur < limit.rlim_max ? limit.rlim_cur : limit.rlim_max;
    limit.rlim_cur = limit.rlim_cur < now ? limit.rlim_cur : now;
    return setrlimit(resource, &limit) == 0;
}

static bool limit(__rlimit_resource_t resource, rlim_t most)
{
    return limit_at(resource, most, most);
}

/* The bytes of address space in use, mostly by libraries. */
static rlim_t used_memory(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file == NULL || fscanf(file, "%lu", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* By the blocks in use: a file with holes may be small and have any size. */
static rlim_t memory_for(int file)
{
    struct stat st;
    rlim_t size = 0;

    if (fstat(file, &st) == 0)
        size = (rlim_t)(st.st_blocks * 512 < st.st_size ? st.st_blocks * 512 : st.st_size);
    return size < FO_CONFINE_MEMORY ? size * FO_CONFINE_MEMORY_TIMES : FO_CONFINE_MEMORY;
}

static bool limit_all(rlim_t memory)
{
    return (HAS_SHADOW || limit_at(RLIMIT_AS, memory, FO_CONFINE_MEMORY)) &&
           limit(RLIMIT_CPU, FO_CONFINE_SECONDS) && limit(RLIMIT_CORE, 0) &&
           limit(RLIMIT_FSIZE, 0) && limit(RLIMIT_NOFILE, DESCRIPTORS);
}

/* Close all other descriptors: they are the command's, such as those of its outputs. */
static bool keep_two_descriptors(int socket, int file)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int high_socket = fcntl(socket, F_DUPFD, FO_CONFINE_FILE + 1);
    int high_file = fcntl(file, F_DUPFD, FO_CONFINE_FILE + 1);

    for (int i = 0; i < FO_CONFINE_SOCKET; i++)
        if (null < 0 || dup2(null, i) < 0)
            close(i);
    if (dup2(high_socket, FO_CONFINE_SOCKET) < 0 || dup2(high_file, FO_CONFINE_FILE) < 0)
        return false;
    if (syscall(__NR_close_range, FO_CONFINE_FILE + 1, ~0U, 0) != 0) /* before Linux 5.9 */
        for (int i = FO_CONFINE_FILE + 1; i < CLOSED_MAX; i++)
            close(i);
    return true;
}

/* A process that is not root may have capabilities, too. */
static bool drop_capabilities(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[CAPABILITY_WORDS];

    memset(none, 0, sizeof none);
    return syscall(SYS_capset, &head, none) == 0;
}

static bool drop_root(void)
{
    if (geteuid() != 0 && getuid() != 0)
        return true;
    return setgroups(0, NULL) == 0 &&
           setresgid(FO_CONFINE_USER, FO_CONFINE_USER, FO_CONFINE_USER) == 0 &&
           setresuid(FO_CONFINE_USER, FO_CONFINE_USER, FO_CONFINE_USER) == 0;
}

const char *fo_confine(int socket, int file)
{
    static char why[128];
    const char *what = NULL;
    rlim_t memory = used_memory() + FO_CONFINE_MEMORY_BASE + memory_for(file);

    if (!keep_two_descriptors(socket, file))
        what = "its other descriptors cannot be closed";
    else if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !drop_root() || !drop_capabilities())
        what = "its rights cannot be dropped";
    else if (!limit_all(memory))
        what = "its memory and time cannot be limited";
    if (what != NULL) {
        snprintf(why, sizeof why, "%s (%s)", what, strerror(errno));
        return why;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* the change of user has cleared it */
    fo_confine_descriptors(0);
    return NULL;
}

void fo_confine_add_memory(int file)
{
    struct rlimit limit;
    rlim_t more = memory_for(file);

    if (HAS_SHADOW || getrlimit(RLIMIT_AS, &limit) != 0)
        return;
    limit.rlim_cur =
        more < limit.rlim_max - limit.rlim_cur ? limit.rlim_cur + more : limit.rlim_max;
    setrlimit(RLIMIT_AS, &limit);
}

unsigned long fo_confine_memory(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_AS, &limit) == 0 ? limit.rlim_cur : 0;
}

void fo_confine_descriptors(int allowed)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = allowed ? limit.rlim_max : 0;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}
