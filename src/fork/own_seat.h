/* Which seat is the calling thread's?  Asked with every lock: see seat.h. */
#ifndef FO_FORK_OWN_SEAT_H
#define FO_FORK_OWN_SEAT_H

#include "fork/process.h"
#include "fork/seat.h"

/* This thread's, in the process with this pid: a forked child gets one of its own. */
extern __thread struct fo_own_seat {
    uintptr_t *top; /* where the next lock that it reads is written down; fo_seat_is_full() */
    uint32_t pid;
    uint32_t bit;         /* which one of fo_rwlock.seen */
    struct fo_seat *seat; /* NULL: none is free; then it is full */
    uint64_t me;          /* as its owner */
    /* How often more each of a full seat is read, and all of them together: then `top` is
     * elsewhere, so that nothing is struck out in passing. */
    uint32_t more[FO_READS], more_of_all;
} fo_own_seat;

/* Full, and nothing is read there. */
extern uintptr_t fo_no_reads[FO_READS + 1];
#define FO_NO_READS_END (fo_no_reads + FO_READS + 1)

FO_COLD void fo_seat_find(uint32_t pid);

/* The calling thread's. */
static inline struct fo_own_seat *fo_seat_own(void)
{
    uint32_t pid = fo_process_self()->pid;

    if (fo_unlikely(fo_own_seat.pid != pid || fo_own_seat.seat == NULL))
        fo_seat_find(pid);
    return &fo_own_seat;
}

/* Told from the address: a seat's reads end where a cache line does. */
static inline bool fo_seat_is_full(const uintptr_t *top)
{
    return (uintptr_t)top % FO_SEAT_LINE == 0;
}

#endif
