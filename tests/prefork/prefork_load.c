/* Does a server answer every client, and resume the sessions that clients offer?  Connections with
 * client certificates to tests/prefork's server, some at a time; one line of sums at the end, which
 * run.py reads. */
#include "traffic.h"

#include <argp.h>
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS_MAX = 256, MESSAGES_MAX = 8, KEY_FIRST = 0x100 };

static struct load {
    struct traffic traffic;
    const char *certs, *record;
    unsigned port, tls, count, parallel, resume, give_up;
    atomic_uint next, good, broken, hung, offered, resumed, crossed, crossed_resumed, moves;
    atomic_uint messages;
    atomic_bool stop;
} load = {
    .traffic = {.deadline = 10000, .lines = 1},
    .count = 1000,
    .parallel = 16,
};

static void on_stop(int number)
{
    (void)number;
    atomic_store(&load.stop, true);
}

static void count(unsigned connection, const struct outcome *o)
{
    static const char *const endings[] = {"good", "broken", "hung"};
    atomic_uint *const counters[] = {&load.good, &load.broken, &load.hung};

    unsigned failed = atomic_fetch_add(counters[o->ending], 1) + 1;
    atomic_fetch_add(&load.moves, o->moves);
    if (o->ending != ENDING_GOOD) {
        if (atomic_fetch_add(&load.messages, 1) < MESSAGES_MAX)
            fprintf(stderr, "prefork_load: connection %u %s: %s\n", connection, endings[o->ending],
                    o->why);
        if (load.give_up != 0 && failed >= load.give_up)
            atomic_store(&load.stop, true);
        return;
    }
    atomic_fetch_add(&load.offered, o->offered);
    atomic_fetch_add(&load.resumed, o->resumed);
    atomic_fetch_add(&load.crossed, o->crossed);
    atomic_fetch_add(&load.crossed_resumed, o->crossed && o->resumed);
}

static void *run_clients(void *argument)
{
    struct outcome outcome;

    while (!atomic_load(&load.stop)) {
        unsigned number = atomic_fetch_add(&load.next, 1);
        if (number >= load.count)
            break;
        bool offer = (number + 1) * load.resume / 100 != number * load.resume / 100;
        traffic_run(&load.traffic, offer, &outcome);
        count(number, &outcome);
    }
    OPENSSL_thread_stop();
    return argument;
}

#define NUMBER(name, at, unit, help)                                                               \
    {                                                                                              \
        name, unit, help, &load.at, NULL                                                           \
    }
#define TEXT(name, at, unit, help)                                                                 \
    {                                                                                              \
        name, unit, help, NULL, &load.at                                                           \
    }
static const struct row {
    const char *name, *unit, *help;
    unsigned *number;
    const char **text;
} rows[] = {
    NUMBER("port", port, "N", "of 127.0.0.1"),
    TEXT("certs", certs, "DIR", "folder of make-certs.sh"),
    NUMBER("tls", tls, "12|13", "this version only"),
    NUMBER("count", count, "N", "connections (default 1000)"),
    NUMBER("parallel", parallel, "N", "at a time (default 16)"),
    NUMBER("resume", resume, "PERCENT", "so many offer a session that was made before"),
    NUMBER("lines", traffic.lines, "N", "are asked in each connection (default 1)"),
    NUMBER("deadline", traffic.deadline, "MS", "for one read or write (default 10000)"),
    NUMBER("give-up", give_up, "N", "stop after N of a kind that are not good"),
    TEXT("record", record, "FILE", "write the server's random numbers into it"),
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static error_t take(int key, char *text, struct argp_state *state)
{
    char *end;

    if (key == ARGP_KEY_END && (load.certs == NULL || load.port == 0 || load.port > 65535))
        argp_error(state, "--port and --certs are needed");
    if (key < KEY_FIRST || key >= KEY_FIRST + ROWS)
        return ARGP_ERR_UNKNOWN;
    const struct row *row = &rows[key - KEY_FIRST];
    if (row->text != NULL) {
        *row->text = text;
        return 0;
    }
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || end == text || value > 100000000)
        argp_error(state, "--%s: this is no number: %s", row->name, text);
    *row->number = (unsigned)value;
    return 0;
}

static void parse(int argc, char **argv)
{
    struct argp_option options[ROWS + 1] = {0};

    for (int i = 0; i < ROWS; i++)
        options[i] = (struct argp_option){
            .name = rows[i].name, .key = KEY_FIRST + i, .arg = rows[i].unit, .doc = rows[i].help};
    struct argp argp = {.options = options, .parser = take, .doc = "Clients for prefork."};
    if (argp_parse(&argp, argc, argv, 0, NULL, NULL) != 0)
        exit(64);
}

static double clock_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS_MAX];
    double start = clock_seconds();

    parse(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_stop);
    signal(SIGINT, on_stop);
    load.traffic.server = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((in_port_t)load.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    traffic_open(&load.traffic, load.certs, load.tls);
    if (load.record != NULL)
        record_open(&load.traffic, load.record);
    unsigned parallel = load.parallel < THREADS_MAX ? load.parallel : THREADS_MAX;
    for (unsigned i = 0; i < parallel; i++)
        if ((errno = pthread_create(&threads[i], NULL, run_clients, NULL)) != 0)
            err(2, "pthread_create");
    for (unsigned i = 0; i < parallel; i++)
        pthread_join(threads[i], NULL);
    printf("prefork_load: good %u broken %u hung %u offered %u resumed %u crossed %u"
           " crossed_resumed %u moves %u seconds %.2f\n",
           load.good, load.broken, load.hung, load.offered, load.resumed, load.crossed,
           load.crossed_resumed, load.moves, clock_seconds() - start);
    return load.good == load.count ? 0 : 1;
}
