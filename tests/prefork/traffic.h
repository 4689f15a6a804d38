/* One client of prefork_load: traffic.c is one connection, sessions.c keeps sessions for later
 * connections, record.c writes the random numbers that a server sends; prefork_load.c starts the
 * clients. */
#ifndef PREFORK_TRAFFIC_H
#define PREFORK_TRAFFIC_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>

/* How did a connection end? */
enum ending {
    ENDING_GOOD,
    ENDING_BROKEN, /* refused, reset, an alert, a wrong answer */
    ENDING_HUNG,   /* no answer within the deadline */
};

struct outcome {
    enum ending ending;
    bool offered, resumed;
    bool crossed;   /* the session was made by another worker than the one that answered */
    unsigned moves; /* lines that another worker answered than the one before */
    char why[160];
};

struct traffic {
    struct sockaddr_in server;
    SSL_CTX *context;
    unsigned deadline; /* milliseconds for one read or write */
    unsigned lines;    /* that are sent in one connection */
};

/* Loads certificates from a folder of make-certs.sh; tls: 12, 13, or 0.  Ends the program if that
 * fails. */
void traffic_open(struct traffic *traffic, const char *certs, unsigned tls);

/* One connection. */
void traffic_run(const struct traffic *traffic, bool offer, struct outcome *out);

/* sessions.c: a session and the worker that made it. */
struct made {
    SSL_SESSION *session;
    unsigned worker;
};
void sessions_put(struct made made);
struct made sessions_take(void); /* session NULL: there is none */

/* record.c: write the server's random numbers into this file, one a line: kind and hex digits. */
void record_open(struct traffic *traffic, const char *file);
void record_handshake(SSL *ssl);

#endif
