/* Findings, and what happens to descriptor 2 around them.  Each argument is a step:
 *
 *   find, find=N        one double free, or N different ones
 *   file=PATH           descriptor 2 becomes this file, as of a database that opens the lowest free
 *   socket              or a socket, of whose other end nothing may be read at the end
 *   pipe                or a pipe, the same
 *   close               it is closed
 *   closefrom=N         as daemons do
 *   open=PATH           the lowest free descriptor becomes this file
 *   chroot=DIR
 *   wait                "ready" on stdout, then until a byte comes on stdin
 *   blocking            it still is as its owner opened it
 */
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reports.h"

static int other_end = -1; /* of what became descriptor 2 */

static void find(int times)
{
    static int line;

    while (times-- > 0) {
        void *p = CRYPTO_malloc(40, "where", 1);
        CRYPTO_free(p, "where", 2);
        CRYPTO_free(p, "where", 100 + line++);
    }
}

static void become_standard_error(int fd)
{
    CHECK(fd == STDERR_FILENO || (dup2(fd, STDERR_FILENO) == STDERR_FILENO && close(fd) == 0));
}

static void be_file(const char *path)
{
    CHECK(path != NULL);
    close(STDERR_FILENO);
    become_standard_error(open(path, O_RDWR | O_CREAT, 0600));
    CHECK(write(STDERR_FILENO, "RECORD\n", 7) == 7);
}

static void be_socket(void)
{
    int ends[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    become_standard_error(ends[0]);
    other_end = ends[1];
}

static void be_pipe(void)
{
    int ends[2];

    CHECK(pipe(ends) == 0);
    become_standard_error(ends[1]);
    other_end = ends[0];
}

static void wait_for_runner(void)
{
    char byte;

    printf("ready\n");
    fflush(stdout);
    CHECK(read(STDIN_FILENO, &byte, 1) == 1);
}

static void step(const char *name, const char *value)
{
    if (strcmp(name, "find") == 0)
        find(value != NULL ? atoi(value) : 1);
    else if (strcmp(name, "file") == 0)
        be_file(value);
    else if (strcmp(name, "socket") == 0)
        be_socket();
    else if (strcmp(name, "pipe") == 0)
        be_pipe();
    else if (strcmp(name, "close") == 0)
        close(STDERR_FILENO);
    else if (strcmp(name, "closefrom") == 0)
        CHECK(value != NULL && close_range((unsigned)atoi(value), ~0u, 0) == 0);
    else if (strcmp(name, "open") == 0)
        CHECK(value != NULL && open(value, O_RDWR | O_CREAT, 0600) >= 0);
    else if (strcmp(name, "chroot") == 0)
        CHECK(value != NULL && chroot(value) == 0 && chdir("/") == 0);
    else if (strcmp(name, "wait") == 0)
        wait_for_runner();
    else if (strcmp(name, "blocking") == 0)
        CHECK((fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) == 0);
    else
        UNKNOWN(name);
}

void run_where(char **steps)
{
    char byte;

    for (; *steps != NULL; steps++) {
        char *value = strchr(*steps, '=');
        if (value != NULL)
            *value++ = '\0';
        step(*steps, value);
    }
    if (other_end >= 0) {
        close(STDERR_FILENO);
        CHECK(read(other_end, &byte, 1) == 0);
    }
}
