/*
 * What does a TLS handshake cost? Full mutual handshakes with an echo, one after the other, both
 * ends in this process. Under callgrind it shows instructions, alone CPU time, and on request
 * allocations or the resident memory of open connections. scripts/bench runs it.
 */
#include "bench.h"

#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_THREADS = 64 };

struct request {
    unsigned count;
    unsigned warm_up;
    unsigned threads; /* 0: the program's own */
    struct bench_setup setup;
    bool hold;
    bool count_allocations;
    const char *sizes; /* the file for the sizes of what was allocated, or NULL */
    bool real_random;
};

static const char usage[] =
    "usage: handshake [--count N] [--key ec|rsa] [--tls 1.2|1.3] [--tickets N] [--authority]\n"
    "                 [--hold] [--allocations] [--sizes FILE] [--real-random]\n"
    "                 [--warm-up N] [--threads N]\n"
    "  --count N       handshakes to make (default 100)\n"
    "  --warm-up N     so many before them, which are not measured (default 2: OpenSSL fetches\n"
    "                  algorithms and fills its caches in the first; no server stays there)\n"
    "  --key ec|rsa    P-256 or RSA-2048 certificates (default ec)\n"
    "  --tls 1.2|1.3   protocol version (default 1.3)\n"
    "  --tickets N     session tickets that the server issues (default 2, as OpenSSL's);\n"
    "                  nobody resumes a session\n"
    "  --authority     certificates signed by an authority (default: by themselves)\n"
    "  --hold          keep every connection open until the last is made; report resident memory\n"
    "  --allocations   count OpenSSL's allocations; takes OpenSSL's allocator hook\n"
    "  --sizes FILE    the same, and write how many of each size: lines \"size count\"\n"
    "  --real-random   no repeatable random numbers: instruction counts then vary a little\n"
    "  --threads N     so many threads with the same SSL_CTXs, each of which makes all handshakes\n"
    "                  (default: the program's own one); with --real-random\n";

static _Noreturn void refuse(void)
{
    fputs(usage, stderr);
    exit(2);
}

static int version_of(const char *text)
{
    if (strcmp(text, "1.2") == 0)
        return TLS1_2_VERSION;
    if (strcmp(text, "1.3") == 0)
        return TLS1_3_VERSION;
    refuse();
}

/* clang-format off */
enum {
    COUNT = 256, WARM_UP, THREADS, KEY, TLS, TICKETS, AUTHORITY, HOLD, ALLOCATIONS, SIZES,
    REAL_RANDOM, HELP
};
/* clang-format on */

static void take(struct request *request, int option, const char *value)
{
    switch (option) {
    case COUNT:
        request->count = bench_number(value, 1, "--count");
        break;
    case WARM_UP:
        request->warm_up = bench_number(value, 0, "--warm-up");
        break;
    case THREADS:
        request->threads = bench_number(value, 1, "--threads");
        request->real_random = true;
        break;
    case KEY:
        if (strcmp(value, "ec") != 0 && strcmp(value, "rsa") != 0)
            refuse();
        request->setup.key = value;
        break;
    case TLS:
        request->setup.version = version_of(value);
        break;
    case TICKETS:
        request->setup.tickets = bench_number(value, 0, "--tickets");
        break;
    case AUTHORITY:
        request->setup.authority = true;
        break;
    case HOLD:
        request->hold = true;
        break;
    case ALLOCATIONS:
        request->count_allocations = true;
        break;
    case SIZES:
        request->count_allocations = true;
        request->sizes = value;
        break;
    case REAL_RANDOM:
        request->real_random = true;
        break;
    case HELP:
        fputs(usage, stdout);
        exit(0);
    default:
        refuse();
    }
}

static struct request parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"count", required_argument, NULL, COUNT},
        {"warm-up", required_argument, NULL, WARM_UP},
        {"threads", required_argument, NULL, THREADS},
        {"key", required_argument, NULL, KEY},
        {"tls", required_argument, NULL, TLS},
        {"tickets", required_argument, NULL, TICKETS},
        {"authority", no_argument, NULL, AUTHORITY},
        {"hold", no_argument, NULL, HOLD},
        {"allocations", no_argument, NULL, ALLOCATIONS},
        {"sizes", required_argument, NULL, SIZES},
        {"real-random", no_argument, NULL, REAL_RANDOM},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    struct request request = {
        .count = 100,
        .warm_up = 2,
        .setup = {.key = "ec", .version = TLS1_3_VERSION, .tickets = 2},
    };
    int option = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        take(&request, option, optarg);
    if (optind != argc || request.threads > MOST_THREADS || (request.threads != 0 && request.hold))
        refuse();
    return request;
}

static void connect_and_echo(struct bench_connection *connection,
                             const struct bench_contexts *contexts)
{
    bench_connect(connection, contexts->client, contexts->server);
    bench_echo(connection);
}

static void closed_handshakes(const struct bench_contexts *contexts, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct bench_connection connection;

        connect_and_echo(&connection, contexts);
        bench_disconnect(&connection);
    }
}

struct batch {
    const struct bench_contexts *contexts;
    unsigned count;
};

static void *handshakes_of_thread(void *batch)
{
    const struct batch *b = batch;

    closed_handshakes(b->contexts, b->count);
    return NULL;
}

static void threaded_handshakes(const struct bench_contexts *contexts, unsigned count,
                                unsigned threads)
{
    struct batch batch = {contexts, count};
    pthread_t ids[MOST_THREADS];

    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, handshakes_of_thread, &batch) != 0)
            bench_fail("pthread_create");
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
}

static void held_handshakes(const struct bench_contexts *contexts, unsigned count)
{
    struct bench_connection *connections = calloc(count, sizeof *connections);
    size_t before = bench_resident_kib();

    if (!connections)
        bench_fail("connections");
    for (unsigned i = 0; i < count; i++)
        connect_and_echo(&connections[i], contexts);
    size_t held = bench_resident_kib();
    for (unsigned i = 0; i < count; i++)
        bench_disconnect(&connections[i]);
    free(connections);
    printf("resident_kib_before=%zu resident_kib_held=%zu resident_kib_after=%zu\n", before, held,
           bench_resident_kib());
}

static void print_allocations(unsigned count)
{
    struct bench_allocations seen = bench_allocations_read();

    printf("allocations_per_handshake=%.1f reallocations_per_handshake=%.1f "
           "frees_per_handshake=%.1f median_size=%zu\n",
           (double)seen.allocations / count, (double)seen.reallocations / count,
           (double)seen.frees / count, seen.median_size);
}

int main(int argc, char **argv)
{
    struct request request = parse(argc, argv);
    struct bench_contexts contexts;

    if (request.count_allocations)
        bench_allocations_watch();
    if (!request.real_random)
        bench_repeatable_random(1);
    bench_contexts_create(&contexts, &request.setup);
    closed_handshakes(&contexts, request.warm_up);
    bench_allocations_reset();
    double start = bench_cpu_seconds();
    if (request.hold)
        held_handshakes(&contexts, request.count);
    else if (request.threads != 0)
        threaded_handshakes(&contexts, request.count, request.threads);
    else
        closed_handshakes(&contexts, request.count);
    double spent = bench_cpu_seconds() - start;
    unsigned made = request.count * (request.threads != 0 ? request.threads : 1);
    printf("handshakes=%u cpu_seconds=%.6f cpu_us_per_handshake=%.2f\n", made, spent,
           spent * 1e6 / made);
    if (request.count_allocations)
        print_allocations(request.count);
    if (request.sizes)
        bench_allocations_write_sizes(request.sizes);
    bench_contexts_destroy(&contexts);
    return 0;
}
