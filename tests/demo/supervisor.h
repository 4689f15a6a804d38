/* The parent's work once the service is set up: fork the workers, replace those that crash, stop
 * them. */
#ifndef SIPD_SUPERVISOR_H
#define SIPD_SUPERVISOR_H

#include "worker.h"

struct outcome {
    int crashed;         /* workers that ended while they should have served */
    int restarted;       /* of those, how many were replaced */
    int crashed_at_stop; /* workers that did not survive their own exit() */
    int hung;            /* workers that had to be killed because they did not stop */
};

/* Blocks the signals that the supervisor waits for. To be called before anything that may be
 * interrupted. */
void supervisor_block_signals(void);

/* Forks `workers` processes; -1 if not even these could be started. */
int supervisor_start(const struct service *service, int workers);

/* Replaces crashed workers, `max_restarts` times at most, until SIGTERM or SIGINT; then stops them
 * all, and kills those that take longer than `stop_seconds`. */
struct outcome supervisor_run(const struct service *service, int max_restarts, long stop_seconds);

#endif
