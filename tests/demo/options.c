/* What was asked for? Called by sipd.c first of all. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "Usage: sipd --certs DIR [OPTION]...\n"
    "An echo server with TLS, in the manner of SIP servers: prefork workers, one shared\n"
    "memory pool for all of OpenSSL's memory, client certificates required.\n"
    "\n"
    "  --certs DIR      where ca.pem, server.pem and server.key are\n"
    "  --port N         port on 127.0.0.1; 0, the default, takes a free one\n"
    "  --port-file F    write the port to this file once the workers run\n"
    "  --workers N      number of workers (4)\n"
    "  --restarts N     how many crashed workers are replaced, at most (1000)\n"
    "  --timeout MS     how long a worker waits for a silent client (2000)\n"
    "  --stop-timeout S how long workers may take to stop, before they are killed (5)\n"
    "  --pool MIB       size of the pool (256)\n"
    "  --plant          free one of OpenSSL's blocks twice, from two workers\n"
    "  --private-locks  leave OpenSSL's locks to one process each: the workers then hang\n"
    "  --verbose        log OpenSSL's errors\n"
    "  --help           this text\n"
    "\n"
    "Prints `listening on 127.0.0.1:PORT` when it is ready, stops on SIGTERM, and then says\n"
    "how its workers fared. Exit status: 0 if none crashed or hung, 1 if some did, 2 for a\n"
    "mistake on the command line or a failed start.\n";

enum { OPTION_CERTS = 1, OPTION_PORT_FILE, OPTION_HELP, OPTION_NUMBER };

/* The options that take a number, in the order of OPTION_NUMBER, OPTION_NUMBER + 1, ... */
struct number {
    const char *name;
    long *value, low, high;
};

static long parse_number(const struct number *n, const char *text)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < n->low || value > n->high) {
        fprintf(stderr, "sipd: --%s wants a number from %ld to %ld, not '%s'\n", n->name, n->low,
                n->high, text);
        exit(2);
    }
    return value;
}

struct options options_parse(int argc, char **argv)
{
    struct options o = {
        .workers = 4, .restarts = 1000, .timeout_ms = 2000, .stop_seconds = 5, .pool_mib = 256};
    const struct number numbers[] = {
        {"port", &o.port, 0, 65535},           {"workers", &o.workers, 1, 256},
        {"restarts", &o.restarts, 0, 1000000}, {"timeout", &o.timeout_ms, 1, 600000},
        {"pool", &o.pool_mib, 8, 65536},       {"stop-timeout", &o.stop_seconds, 1, 3600},
    };
    const struct option names[] = {
        {"certs", required_argument, NULL, OPTION_CERTS},
        {"port-file", required_argument, NULL, OPTION_PORT_FILE},
        {"port", required_argument, NULL, OPTION_NUMBER},
        {"workers", required_argument, NULL, OPTION_NUMBER + 1},
        {"restarts", required_argument, NULL, OPTION_NUMBER + 2},
        {"timeout", required_argument, NULL, OPTION_NUMBER + 3},
        {"pool", required_argument, NULL, OPTION_NUMBER + 4},
        {"stop-timeout", required_argument, NULL, OPTION_NUMBER + 5},
        {"plant", no_argument, &o.plant, 1},
        {"private-locks", no_argument, &o.private_locks, 1},
        {"verbose", no_argument, &o.verbose, 1},
        {"help", no_argument, NULL, OPTION_HELP},
        {NULL, 0, NULL, 0},
    };
    int choice;
    while ((choice = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (choice == '?') {
            fputs("Try sipd --help\n", stderr);
            exit(2);
        } else if (choice == OPTION_CERTS) {
            o.certs = optarg;
        } else if (choice == OPTION_PORT_FILE) {
            o.port_file = optarg;
        } else if (choice == OPTION_HELP) {
            fputs(usage, stdout);
            exit(0);
        } else if (choice >= OPTION_NUMBER) {
            const struct number *n = &numbers[choice - OPTION_NUMBER];
            *n->value = parse_number(n, optarg);
        }
    }
    if (o.certs == NULL || optind != argc) {
        fputs(usage, stderr);
        exit(2);
    }
    return o;
}
