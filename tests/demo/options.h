/* The command line of the demo server. */
#ifndef SIPD_OPTIONS_H
#define SIPD_OPTIONS_H

struct options {
    const char *certs;     /* folder */
    const char *port_file; /* NULL: none */
    long port, workers, restarts, timeout_ms, stop_seconds, pool_mib;
    int plant, private_locks, verbose; /* 0 or 1 */
};

/* Ends the program for --help and for mistakes. */
struct options options_parse(int argc, char **argv);

#endif
