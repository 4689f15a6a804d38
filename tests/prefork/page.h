/* The state that parent and workers of the prefork server share: one page that all of them map,
 * apart from OpenSSL's memory, so that damage there does not reach it.  run.py reads it from
 * outside (page.py knows this layout): every field is a 64-bit word. */
#ifndef PREFORK_PAGE_H
#define PREFORK_PAGE_H

#include <stdatomic.h>
#include <stdint.h>

enum { PAGE_MAGIC = 0x70666b31, WORKERS_MAX = 64, WALK_TEXT_WORDS = 12 };

/* The work of a worker. */
enum phase {
    PHASE_NONE, /* no worker is in this place */
    PHASE_STARTING,
    PHASE_IDLE,
    PHASE_PARKED, /* the parent needs a quiet heap */
    PHASE_HANDSHAKE,
    PHASE_READ, /* waits for the client */
    PHASE_ANSWER,
    PHASE_HAND_OVER,
    PHASE_CONTINUE,
    PHASE_CLOSE,
    PHASE_LEAVING,
};

typedef _Atomic uint64_t word;

struct place {
    word pid, phase, since; /* CLOCK_MONOTONIC, nanoseconds */
    word accepted, handshakes, resumptions, failures, answers;
    word handed, continued, kept; /* connections: sent to another worker, received, not sent */
    word spare[5];
};

/* The answer of freeonce_walk(), if the library has it. */
enum walk_state { WALK_NONE, WALK_ABSENT, WALK_DONE, WALK_NOT_SILENT };
struct walked {
    word count, state; /* enum walk_state */
    word live, live_bytes, waiting, back, lost, wrong, where;
    word text[WALK_TEXT_WORDS];
};

struct page {
    word magic, workers;
    word pause; /* 1: workers park */
    word kills, killed, crashed, left, replaced, hung_at_stop;
    word restless;   /* the place that did not park, plus 1 */
    word stop_kills; /* 1: no more kills, so that hanging workers can be examined */
    word spare[5];
    struct walked walked;
    word spare_too[3];
    struct place places[WORKERS_MAX];
};

/* In this file, or in anonymous memory if it is NULL.  Ends the program if that fails. */
struct page *page_map(const char *file, unsigned workers);

uint64_t page_clock(void);

static inline void place_enter(struct place *place, enum phase phase)
{
    atomic_store(&place->since, page_clock());
    atomic_store(&place->phase, (uint64_t)phase);
}

#endif
