/* One worker of the demo server: what it serves, and what all processes count together. */
#ifndef SIPD_WORKER_H
#define SIPD_WORKER_H

#include <openssl/ssl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

/* In memory of all processes: every worker adds to it. */
struct counters {
    atomic_long accepted; /* connections taken from the listening socket */
    atomic_long served;   /* of those, lines echoed back through TLS */
};

struct service {
    SSL_CTX *ctx;   /* one for all workers, made before they were forked */
    int listener;   /* non-blocking, inherited too */
    int timeout_ms; /* of one read or write to a client */
    bool plant;
    bool verbose;
    struct counters *counters;
};

/* Serves until SIGTERM, which the caller has blocked, then leaves through exit(): that is how SIP
 * servers end their processes, and it runs OPENSSL_cleanup in each of them. */
_Noreturn void worker_run(const struct service *service);

#endif
