/* How does a worker serve?  One connection at a time, from the common listening socket or from
 * another worker.  It stops for SIGTERM between connections only. */
#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { LINE_BYTES = 256, HELD_MAX = 256, MESSAGES_MAX = 5 };

struct connection {
    SSL *ssl;
    int fd;
};

static volatile sig_atomic_t stopping;
static struct server *server;
static unsigned number;     /* of this worker's place */
static struct place *place; /* in the page */
static unsigned served, messages, held_next;
static struct connection held[HELD_MAX];

static void count(word *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* A failed handshake leaves its reasons in the error queue; a server reads them for its log. */
static void drain_errors(const char *doing, int saved_errno)
{
    bool say = server->settings.verbose && messages++ < MESSAGES_MAX;
    const char *file, *function, *data;
    char text[200];
    int line, flags;
    unsigned long code, some = 0;

    while ((code = ERR_get_error_all(&file, &line, &function, &data, &flags)) != 0) {
        some = code;
        ERR_error_string_n(code, text, sizeof text);
        if (say)
            dprintf(STDERR_FILENO, "prefork: worker %u, %s: %s (%s:%d) %s\n", number, doing, text,
                    file, line, (flags & ERR_TXT_STRING) != 0 ? data : "");
    }
    if (some == 0 && say)
        dprintf(STDERR_FILENO, "prefork: worker %u, %s: %s\n", number, doing,
                strerror(saved_errno));
}

static void end(struct connection c, bool politely)
{
    place_enter(place, PHASE_CLOSE);
    if (politely)
        (void)SSL_shutdown(c.ssl);
    SSL_free(c.ssl);
    if (c.fd >= 0)
        close(c.fd);
    ERR_clear_error();
}

static void failed(struct connection c, const char *doing)
{
    int saved = errno;

    count(&place->failures);
    drain_errors(doing, saved);
    end(c, false);
}

/* The last few connections stay open; a new one replaces the oldest. */
static void hold(struct connection c)
{
    unsigned room = server->settings.hold < HELD_MAX ? server->settings.hold : HELD_MAX;

    if (room == 0) {
        end(c, true);
        return;
    }
    struct connection oldest = held[held_next];
    held[held_next] = c;
    held_next = (held_next + 1) % room;
    if (oldest.ssl != NULL)
        end(oldest, true);
}

/* 1: a line, 0: the client closed the connection, -1: the connection broke */
static int read_line(SSL *ssl)
{
    char line[LINE_BYTES];
    int length = 0;

    place_enter(place, PHASE_READ);
    errno = 0;
    do {
        int got = SSL_read(ssl, line + length, LINE_BYTES - length);
        if (got <= 0)
            return length == 0 && SSL_get_error(ssl, got) == SSL_ERROR_ZERO_RETURN ? 0 : -1;
        length += got;
    } while (memchr(line, '\n', (size_t)length) == NULL && length < LINE_BYTES);
    return 1;
}

static bool answer(SSL *ssl)
{
    char line[LINE_BYTES];
    int length = snprintf(line, sizeof line, "worker %u pid %d resumed %d\n", number, (int)getpid(),
                          SSL_session_reused(ssl));

    place_enter(place, PHASE_ANSWER);
    errno = 0;
    return SSL_write(ssl, line, length) == length;
}

static bool hand_over(struct connection c)
{
    unsigned next = (number + 1) % server->settings.workers;

    place_enter(place, PHASE_HAND_OVER);
    if (handover_send(server, next, c.ssl, c.fd) != 0) {
        count(&place->kept); /* the queue is full; a wait could be a deadlock */
        return false;
    }
    count(&place->handed);
    close(c.fd);
    return true;
}

static void converse(struct connection c)
{
    for (;;) {
        int got = read_line(c.ssl);
        if (got == 0) {
            hold(c);
            return;
        }
        if (got < 0) {
            failed(c, "read");
            return;
        }
        if (server->settings.hand_over && hand_over(c))
            return;
        if (!answer(c.ssl)) {
            failed(c, "write");
            return;
        }
        count(&place->answers);
    }
}

/* Another worker read a line: answer it, and serve the connection. */
static void continue_connection(struct connection c)
{
    place_enter(place, PHASE_CONTINUE);
    count(&place->continued);
    if (SSL_set_fd(c.ssl, c.fd) != 1 || !answer(c.ssl)) {
        failed(c, "continue");
        return;
    }
    count(&place->answers);
    converse(c);
}

static void serve(int fd)
{
    unsigned ms = server->settings.timeout;
    struct timeval timeout = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000L};
    struct connection c = {NULL, fd};

    count(&place->accepted);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    place_enter(place, PHASE_HANDSHAKE);
    errno = 0;
    c.ssl = SSL_new(server->context);
    if (c.ssl == NULL || SSL_set_fd(c.ssl, fd) != 1 || SSL_accept(c.ssl) != 1) {
        failed(c, "handshake");
        return;
    }
    count(&place->handshakes);
    if (SSL_session_reused(c.ssl))
        count(&place->resumptions);
    converse(c);
}

static void park(void)
{
    place_enter(place, PHASE_PARKED);
    while (atomic_load(&server->page->pause) != 0 && !stopping)
        usleep(1000);
    place_enter(place, PHASE_IDLE);
}

static void serve_next(const sigset_t *while_waiting)
{
    struct pollfd sources[] = {{.fd = server->listener, .events = POLLIN},
                               {.fd = server->queues[number][1], .events = POLLIN}};
    struct connection c = {NULL, -1};

    place_enter(place, PHASE_IDLE);
    if (atomic_load(&server->page->pause) != 0)
        park();
    if (ppoll(sources, 2, NULL, while_waiting) <= 0 || stopping)
        return;
    if (sources[1].revents != 0 && (c.ssl = handover_receive(server, number, &c.fd)) != NULL) {
        continue_connection(c);
        return;
    }
    int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return; /* another worker was quicker */
    served++;
    serve(fd);
}

static void on_stop(int signal_number)
{
    (void)signal_number;
    stopping = 1;
}

static void on_wake(int signal_number)
{
    (void)signal_number;
}

static void clean_up(void)
{
    place_enter(place, PHASE_LEAVING);
    for (unsigned i = 0; i < HELD_MAX; i++)
        if (held[i].ssl != NULL)
            end(held[i], true);
    place_enter(place, PHASE_LEAVING);
    if (!server->settings.keep_context)
        SSL_CTX_free(server->context);
}

void worker_run(struct server *of, unsigned at)
{
    struct sigaction stop = {.sa_handler = on_stop}, wake = {.sa_handler = on_wake};
    sigset_t while_waiting;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    server = of;
    number = at;
    place = &of->page->places[at];
    atomic_store(&place->pid, (uint64_t)getpid());
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGUSR1, &wake, NULL);
    sigemptyset(&while_waiting);
    while (!stopping && (of->settings.lifetime == 0 || served < of->settings.lifetime))
        serve_next(&while_waiting);
    clean_up();
    exit(EXIT_SUCCESS);
}
