/* The command line of the prefork server; --help names the options. */
#ifndef PREFORK_SETTINGS_H
#define PREFORK_SETTINGS_H

#include <stdbool.h>

struct settings {
    const char *certs;     /* a folder of tests/tools/make-certs.sh */
    const char *port_file; /* the port is written into it */
    const char *page_file; /* page.h */
    unsigned workers;
    unsigned tls;          /* 12, 13, or 0 for both */
    unsigned pool;         /* MiB of a shared pool for OpenSSL's memory; 0: none */
    unsigned hold;         /* connections that each worker keeps open */
    unsigned lifetime;     /* connections after which a worker leaves; 0: never */
    unsigned timeout;      /* milliseconds that a client may take for one read or write */
    unsigned stop_seconds; /* seconds that workers have to exit */
    unsigned crashes;      /* so many crashed workers are replaced */
    unsigned kills;        /* workers that the parent kills */
    unsigned kill_every;   /* microseconds, on average */
    unsigned walk_every;   /* kills */
    unsigned seed;
    bool hand_over;    /* each line is answered by another worker than the one that read it */
    bool keep_context; /* workers exit without SSL_CTX_free() */
    bool verbose;
};

struct settings settings_parse(int argc, char **argv);

#endif
