/* Which seat is the calling thread's?  Asked with every lock: see seat.h. */
#ifndef FO_FORK_OWN_SEAT_H
#define FO_FORK_OWN_SEAT_H

#include "fork/process.h"
#include "fork/seat.h"

/* This thread's, in the process with this pid: a forked child gets one of its own.  `held` has a
 * bit for each place of `reads` that is taken. */
extern __thread struct fo_own_seat {
    struct fo_seat *seat; /* NULL: none is free */
    uint32_t pid, held;
} fo_own_seat;

FO_COLD struct fo_seat *fo_seat_find(uint32_t pid);

/* The calling thread's; NULL: none is free. */
static inline struct fo_seat *fo_seat_own(void)
{
    uint32_t pid = fo_process_self()->pid;
    struct fo_seat *seat = fo_own_seat.seat;

    return fo_likely(fo_own_seat.pid == pid && seat != NULL) ? seat : fo_seat_find(pid);
}

#endif
