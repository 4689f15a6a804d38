/*
 * Does a TLS server serve every good client while others misbehave?  This traffic client counts:
 * it makes a fixed, repeatable rotation of good and bad connections to a server on loopback, and
 * prints one line that the tests of tests/servers read.  client.c knows what each client does.
 */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PARALLEL = 256, MAX_HELD = 4096, MAX_MESSAGES = 5, RETRY_PAUSE = 50 * 1000 };
enum { EXIT_SERVED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct options {
    struct client_setup setup;
    const char *certs;
    unsigned count, parallel, hold, seconds, give_up, retry;
    bool mixed;
    int tls;
};

struct load {
    struct options options;
    struct timespec start;
    atomic_uint next, done, good_done, served, bad_done, admitted, messages;
    atomic_uint running; /* threads */
    atomic_bool stop;
    pthread_mutex_t lock; /* of the window of idle open connections */
    struct connection held[MAX_HELD];
    unsigned held_count, held_oldest;
};

/* Half are good; the bad kinds take turns in between. */
static enum client_kind kind_of(const struct options *options, unsigned number)
{
    unsigned bad_kinds = CLIENT_KIND_COUNT - CLIENT_STRANGER;

    if (!options->mixed || number % 2 == 0)
        return CLIENT_GOOD;
    return (enum client_kind)(CLIENT_STRANGER + number / 2 % bad_kinds);
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + 1e-9 * (double)(now.tv_nsec - start->tv_nsec);
}

/* Keeps this connection in place of the oldest one, so that there are always idle ones open. */
static void hold(struct load *load, struct connection connection)
{
    struct connection oldest = {.fd = -1};

    pthread_mutex_lock(&load->lock);
    if (load->held_count < load->options.hold) {
        load->held[load->held_count++] = connection;
    } else {
        oldest = load->held[load->held_oldest];
        load->held[load->held_oldest] = connection;
        load->held_oldest = (load->held_oldest + 1) % load->options.hold;
    }
    pthread_mutex_unlock(&load->lock);
    if (oldest.fd >= 0)
        client_close(&oldest);
}

/* The first few reasons are enough: a dead server fails all clients in the same way. */
static void complain(struct load *load, unsigned number, enum client_kind kind, const char *why)
{
    if (atomic_fetch_add(&load->messages, 1) < MAX_MESSAGES)
        fprintf(stderr, "tlsload: connection %u, %s, after %.1f s: %s\n", number,
                client_kind_text(kind), seconds_since(&load->start), why);
}

static void run_good(struct load *load, unsigned number)
{
    struct client_error error = {.text = "?"};
    struct connection kept = {.fd = -1}, *keep = load->options.hold != 0 ? &kept : NULL;
    unsigned failed, tries = 0;
    bool answered;

    while (!(answered = client_run(&load->options.setup, CLIENT_GOOD, number, keep, &error)) &&
           tries++ < load->options.retry && !atomic_load(&load->stop))
        usleep(RETRY_PAUSE);
    if (answered) {
        atomic_fetch_add(&load->served, 1);
        if (kept.fd >= 0)
            hold(load, kept);
    } else {
        complain(load, number, CLIENT_GOOD, error.text);
    }
    failed = atomic_fetch_add(&load->good_done, 1) + 1 - atomic_load(&load->served);
    /* Others may be served between the two reads; the sum is then low, never negative. */
    if (load->options.give_up != 0 && (int)failed >= (int)load->options.give_up)
        atomic_store(&load->stop, true);
}

static void *run_clients(void *argument)
{
    struct load *load = argument;

    while (!atomic_load(&load->stop)) {
        unsigned number = atomic_fetch_add(&load->next, 1);
        enum client_kind kind = kind_of(&load->options, number);

        if (number >= load->options.count)
            break;
        if (kind == CLIENT_GOOD) {
            run_good(load, number);
        } else {
            struct client_error error;
            if (client_run(&load->options.setup, kind, number, NULL, &error)) {
                atomic_fetch_add(&load->admitted, 1);
                complain(load, number, kind, "was answered like a good client");
            }
            atomic_fetch_add(&load->bad_done, 1);
        }
        atomic_fetch_add(&load->done, 1);
    }
    atomic_fetch_sub(&load->running, 1);
    return NULL;
}

/* A tenth of a second, or less if a signal stops the program; false when it is time to end. */
static bool may_go_on(struct load *load, const sigset_t *signals)
{
    const struct timespec tick = {.tv_nsec = 100000000};

    if (sigtimedwait(signals, NULL, &tick) > 0 ||
        seconds_since(&load->start) > (double)load->options.seconds)
        atomic_store(&load->stop, true);
    return !atomic_load(&load->stop);
}

static void show_progress(struct load *load, bool last)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\rtlsload: %u of %u connections, %u served%s", atomic_load(&load->done),
                load->options.count, atomic_load(&load->served), last ? "\n" : "");
}

/* Has the server ended this connection?  What it still sends is read and ignored. */
static bool is_over(int fd)
{
    char bytes[512];
    ssize_t got;

    do
        got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    while (got > 0);
    return got == 0 || (errno != EAGAIN && errno != EINTR);
}

/* Waits until the server has ended every held connection, a signal comes, or the time is over. */
static void keep_window(struct load *load, const sigset_t *signals)
{
    unsigned open = load->held_count;

    while (open > 0 && may_go_on(load, signals)) {
        for (unsigned at = 0; at < load->held_count; at++) {
            struct connection *held = &load->held[at];
            if (held->fd >= 0 && is_over(held->fd)) {
                client_close(held);
                open--;
            }
        }
    }
    for (unsigned at = 0; at < load->held_count; at++)
        if (load->held[at].fd >= 0)
            client_close(&load->held[at]);
}

static unsigned good_planned(const struct options *options)
{
    return options->mixed ? (options->count + 1) / 2 : options->count;
}

static int print_result(struct load *load)
{
    unsigned good = good_planned(&load->options), tried = atomic_load(&load->good_done);
    unsigned served = atomic_load(&load->served), admitted = atomic_load(&load->admitted);

    printf("tlsload: good %u tried %u served %u failed %u bad %u admitted %u seconds %.1f\n", good,
           tried, served, tried - served, atomic_load(&load->bad_done), admitted,
           seconds_since(&load->start));
    fflush(stdout);
    return served == good && admitted == 0 ? EXIT_SERVED : EXIT_FAILED;
}

static int run(struct load *load)
{
    static pthread_t threads[MAX_PARALLEL];
    sigset_t signals;
    unsigned started = 0;
    int status;

    /* Blocked in every thread: the main thread fetches them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    clock_gettime(CLOCK_MONOTONIC, &load->start);
    atomic_store(&load->running, load->options.parallel);
    for (; started < load->options.parallel; started++) {
        if (pthread_create(&threads[started], NULL, run_clients, load) != 0) {
            fprintf(stderr, "tlsload: cannot start a thread\n");
            atomic_fetch_sub(&load->running, load->options.parallel - started);
            break;
        }
    }
    while (atomic_load(&load->running) > 0) {
        (void)may_go_on(load, &signals);
        show_progress(load, false);
    }
    for (unsigned at = 0; at < started; at++)
        pthread_join(threads[at], NULL);
    show_progress(load, true);
    status = print_result(load);
    keep_window(load, &signals);
    client_setup_close(&load->options.setup);
    return status;
}

static void print_help(FILE *out)
{
    fputs(
        "usage: tlsload --connect 127.0.0.1:PORT --certs DIR [options]\n"
        "  --count N           connections in all (default 100)\n"
        "  --parallel N        at a time (default 16, at most 256)\n"
        "  --mix good|mixed    good clients only (default), or every second one misbehaves\n"
        "  --speak sip|echo|http\n"
        "                      what a good client asks (default echo): an OPTIONS, a line of\n"
        "                      1000 bytes, GET /\n"
        "  --tls 1.2|1.3       only this version (default: both)\n"
        "  --no-client-cert    good clients present no certificate\n"
        "  --hold N            keep the last N good connections open (at most 4096), and stay\n"
        "                      after the result until the server ends them, or SIGTERM\n"
        "  --give-up N         stop after N good clients that were not served (default: never)\n"
        "  --retry N           a good client that was not served tries again N times (default 0)\n"
        "  --io-timeout S      seconds for one read or write (default 10)\n"
        "  --seconds S         seconds in all (default 600)\n"
        "Prints: tlsload: good G tried N served S failed F bad B admitted A seconds T\n"
        "(tried: fewer than good ones if the time was up or --give-up stopped it; failed: tried "
        "and\n"
        "not served; admitted: bad clients that were answered like good ones)\n"
        "Exit status: 0 all good clients served and no bad one admitted, 1 not, 2 usage.\n",
        out);
}

_Noreturn static void usage(const char *what, const char *value)
{
    fprintf(stderr, "tlsload: %s: %s\n", what, value);
    print_help(stderr);
    exit(EXIT_USAGE);
}

static unsigned parse_number(const char *name, const char *text, unsigned low, unsigned high)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || value < low || value > high)
        usage(name, text);
    return (unsigned)value;
}

/* Loopback only, so that this program cannot attack another machine. */
static void parse_server(struct sockaddr_in *server, const char *text)
{
    char host[32];
    const char *colon = strrchr(text, ':');

    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        usage("not an address and port", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    server->sin_family = AF_INET;
    server->sin_port = htons((uint16_t)parse_number("bad port", colon + 1, 1, 65535));
    if (inet_pton(AF_INET, host, &server->sin_addr) != 1)
        usage("not an IPv4 address", host);
    if (ntohl(server->sin_addr.s_addr) >> 24 != 127)
        usage("not an address of loopback (127.0.0.0/8)", host);
}

static unsigned parse_choice(const char *name, const char *text, const char *const *choices)
{
    for (unsigned at = 0; choices[at] != NULL; at++)
        if (strcmp(choices[at], text) == 0)
            return at;
    usage(name, text);
}

/* clang-format off */
static const struct option long_options[] = {
    {"connect", required_argument, NULL, 'c'},    {"certs", required_argument, NULL, 'd'},
    {"count", required_argument, NULL, 'n'},      {"parallel", required_argument, NULL, 'p'},
    {"mix", required_argument, NULL, 'm'},        {"speak", required_argument, NULL, 's'},
    {"tls", required_argument, NULL, 't'},        {"seconds", required_argument, NULL, 'S'},
    {"io-timeout", required_argument, NULL, 'i'}, {"hold", required_argument, NULL, 'h'},
    {"give-up", required_argument, NULL, 'g'},    {"no-client-cert", no_argument, NULL, 'N'},
    {"retry", required_argument, NULL, 'r'},      {"help", no_argument, NULL, 'H'},
    {NULL, 0, NULL, 0},
};
/* clang-format on */

/* The options whose value is a number, with the limits of each. */
static bool parse_number_option(struct options *options, int letter)
{
    const struct {
        int letter;
        unsigned *where, low, high;
    } rows[] = {
        {'n', &options->count, 1, 100000000}, {'p', &options->parallel, 1, MAX_PARALLEL},
        {'S', &options->seconds, 1, 86400},   {'i', &options->setup.io_timeout, 1, 3600},
        {'h', &options->hold, 0, MAX_HELD},   {'g', &options->give_up, 0, 100000000},
        {'r', &options->retry, 0, 1000},
    };

    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++) {
        if (rows[at].letter == letter) {
            *rows[at].where = parse_number("bad number", optarg, rows[at].low, rows[at].high);
            return true;
        }
    }
    return false;
}

static void parse_option(struct options *options, int letter)
{
    static const char *const mixes[] = {"good", "mixed", NULL};
    static const char *const protocols[] = {"sip", "echo", "http", NULL};
    static const char *const versions[] = {"1.2", "1.3", NULL};
    static const int version_numbers[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    if (parse_number_option(options, letter))
        return;
    if (letter == 'c') {
        parse_server(&options->setup.server, optarg);
    } else if (letter == 'd') {
        options->certs = optarg;
    } else if (letter == 'm') {
        options->mixed = parse_choice("unknown mix", optarg, mixes) == 1;
    } else if (letter == 's') {
        options->setup.speak =
            (enum client_protocol)parse_choice("unknown protocol", optarg, protocols);
    } else if (letter == 't') {
        options->tls = version_numbers[parse_choice("unknown version", optarg, versions)];
    } else if (letter == 'N') {
        options->setup.good_needs_none = true;
    } else {
        print_help(letter == 'H' ? stdout : stderr);
        exit(letter == 'H' ? EXIT_SERVED : EXIT_USAGE);
    }
}

int main(int argc, char **argv)
{
    static struct load load = {
        .options = {.setup = {.speak = CLIENT_SPEAKS_ECHO, .io_timeout = 10},
                    .count = 100,
                    .parallel = 16,
                    .seconds = 600},
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    struct options *options = &load.options;
    struct client_error error;
    int letter;

    while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        parse_option(options, letter);
    if (optind < argc)
        usage("unexpected argument", argv[optind]);
    if (options->setup.server.sin_port == 0)
        usage("missing option", "--connect");
    if (options->certs == NULL)
        usage("missing option", "--certs");
    if (!client_setup_open(&options->setup, options->certs, options->tls, &error)) {
        fprintf(stderr, "tlsload: %s: %s\n", options->certs, error.text);
        return EXIT_USAGE;
    }
    return run(&load);
}
