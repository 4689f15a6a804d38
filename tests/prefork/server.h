/* What do the parts of the prefork server share?  prefork.c makes it, parent.c forks and replaces
 * the workers, worker.c serves, handover.c passes connections on. */
#ifndef PREFORK_SERVER_H
#define PREFORK_SERVER_H

#include <openssl/ssl.h>

#include "page.h"
#include "settings.h"

struct server {
    struct settings settings;
    SSL_CTX *context;
    int listener;
    int queues[WORKERS_MAX]
              [2]; /* to place i: written [0] by anybody, read [1] by whoever is there */
    struct page *page;
};

/* parent.c: until SIGTERM or SIGINT; the exit status. */
int parent_run(struct server *server);

/* worker.c: in a forked child. */
_Noreturn void worker_run(struct server *server, unsigned place);

/* handover.c */
int handover_open(struct server *server);
/* The connection belongs to whoever is in that place, from now on.  -1: its queue is full. */
int handover_send(const struct server *server, unsigned place, SSL *ssl, int connection);
/* NULL: nothing is there. */
SSL *handover_receive(const struct server *server, unsigned place, int *connection);

#endif
