/* See excluded.h. */
#include "cli/run/excluded.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/message.h"
#include "report/journal_format.h"

/* A new name for each run: no later run has it while processes of this one are running. */
static bool choose_name(char name[FO_RUN_NAME_SIZE])
{
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return false;
    snprintf(name, FO_RUN_NAME_SIZE, "freeonce-run-%016" PRIx64, random);
    return true;
}

static int bind_to(const char *name)
{
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(own.sun_path + 1, name, n);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, size) == 0)
        return fd;
    close(fd);
    return -1;
}

int fo_run_listen(char name[FO_RUN_NAME_SIZE])
{
    int fd = choose_name(name) ? bind_to(name) : -1;

    if (fd >= 0) {
        /* Without /proc a process does not know whether a filter of system calls would kill it for
         * the connection, and makes none. */
        if (access("/proc/self/status", R_OK) != 0)
            fo_warning("/proc is not mounted here: processes that cannot write the journal will "
                       "not be noticed");
        return fd;
    }
    fo_warning("processes that cannot write the journal will not be noticed: %s", strerror(errno));
    name[0] = '\0';
    return -1;
}

/* More than the kernel queues (net.unix.max_dgram_qlen).  Any process can write to the socket, and
 * one that does not stop must not keep this loop running. */
enum { EXCLUDED_MOST = 4096 };

static uint64_t count(int socket)
{
    uint64_t n = 0;
    char byte;

    while (n < EXCLUDED_MOST && recv(socket, &byte, 1, 0) >= 0)
        n++;
    return n;
}

void fo_run_count_excluded(int socket, const char *journal)
{
    const off_t place = (off_t)(offsetof(struct fo_journal, counters) +
                                offsetof(struct fo_journal_counters, excluded));
    uint64_t n = socket >= 0 ? count(socket) : 0;

    if (socket >= 0)
        close(socket);
    if (n == 0)
        return;
    int fd = open(journal, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || pwrite(fd, &n, sizeof n, place) != sizeof n)
        fo_error("%s: %s", journal, strerror(errno));
    if (fd >= 0)
        close(fd);
}
