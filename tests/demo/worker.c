/* How does a worker serve? It takes one connection at a time from the shared listening socket,
 * makes an SSL object from the inherited context, echoes one line, and frees the object. Called by
 * sipd.c after fork. */
#include "worker.h"
#include "plant.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 16384 };

static volatile sig_atomic_t stopping;

static void on_stop(int signal_number)
{
    (void)signal_number;
    stopping = 1;
}

/* Every failed handshake leaves its reasons, with strings from OpenSSL's heap, in the error queue.
 * A server reads them out for its log; doing so is part of what goes wrong when the queue is
 * shared. */
static void drain_errors(bool verbose)
{
    const char *file, *function, *data;
    int line, flags;
    unsigned long code;
    while ((code = ERR_get_error_all(&file, &line, &function, &data, &flags)) != 0) {
        if (!verbose)
            continue;
        char text[256];
        ERR_error_string_n(code, text, sizeof text);
        dprintf(STDERR_FILENO, "sipd: worker %d: %s (%s:%d) %s\n", (int)getpid(), text, file, line,
                (flags & ERR_TXT_STRING) != 0 ? data : "");
    }
}

static bool echo_line(SSL *ssl)
{
    char line[LINE_MAX_BYTES];
    int length = 0;
    do {
        int got = SSL_read(ssl, line + length, LINE_MAX_BYTES - length);
        if (got <= 0)
            return false;
        length += got;
    } while (memchr(line, '\n', (size_t)length) == NULL && length < LINE_MAX_BYTES);
    return SSL_write(ssl, line, length) == length;
}

static void serve(int connection, const struct service *service)
{
    struct timeval timeout = {.tv_sec = service->timeout_ms / 1000,
                              .tv_usec = service->timeout_ms % 1000 * 1000L};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);

    SSL *ssl = SSL_new(service->ctx);
    if (ssl != NULL && SSL_set_fd(ssl, connection) == 1 && SSL_accept(ssl) == 1 && echo_line(ssl)) {
        atomic_fetch_add(&service->counters->served, 1);
        SSL_shutdown(ssl);
    }
    drain_errors(service->verbose);
    SSL_free(ssl);
}

/* SIGTERM is delivered in ppoll alone, so that a stop interrupts no handshake. */
static void wait_for_client(int listener, const sigset_t *while_waiting)
{
    struct pollfd poll_fd = {.fd = listener, .events = POLLIN};
    ppoll(&poll_fd, 1, NULL, while_waiting);
}

void worker_run(const struct service *service)
{
    /* If the parent is killed, no other process stops this one. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);

    struct sigaction stop = {.sa_handler = on_stop};
    sigaction(SIGTERM, &stop, NULL);
    sigset_t while_waiting;
    sigprocmask(SIG_BLOCK, NULL, &while_waiting);
    sigdelset(&while_waiting, SIGTERM);

    while (!stopping) {
        wait_for_client(service->listener, &while_waiting);
        if (stopping)
            break;
        int connection = accept(service->listener, NULL, NULL);
        if (connection < 0)
            continue; /* another worker was quicker, or the client is gone already */
        atomic_fetch_add(&service->counters->accepted, 1);
        if (service->plant)
            plant_on_connection();
        serve(connection, service);
        close(connection);
    }
    exit(EXIT_SUCCESS);
}
