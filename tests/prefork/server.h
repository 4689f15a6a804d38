/* Shared by the parts of the prefork server: prefork.c makes it, parent.c forks and replaces the
 * workers, worker.c serves, handover.c passes connections to other workers. */
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
              [2]; /* to place i: any worker writes to [0], the worker there reads from [1] */
    struct page *page;
};

/* parent.c: until SIGTERM or SIGINT; the exit status. */
int parent_run(struct server *server);

/* worker.c: in a forked child. */
_Noreturn void worker_run(struct server *server, unsigned place);

/* handover.c */
int handover_open(struct server *server);
/* From now on the connection belongs to the worker in that place.  -1: the queue is full. */
int handover_send(const struct server *server, unsigned place, SSL *ssl, int connection);
/* NULL: the queue is empty. */
SSL *handover_receive(const struct server *server, unsigned place, int *connection);

#endif
