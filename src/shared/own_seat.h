/* Which seat is the calling thread's?  Read at every lock: see seat.h. */
#ifndef FO_SHARED_OWN_SEAT_H
#define FO_SHARED_OWN_SEAT_H

#include "process/process.h"
#include "shared/seat.h"

/* The calling thread's seat, in the process with this id: a forked child gets one of its own. */
extern __thread struct fo_own_seat {
    uint64_t *top;        /* where the next entry is put, in the first line; fo_line_is_full() */
    uint64_t bit;         /* of fo_rwlock.word: this seat reads the lock */
    uint32_t process;     /* its id */
    uint32_t owner;       /* as a lock names it */
    struct fo_seat *seat; /* NULL: none is left; then the line is full */
    struct fo_line *last; /* in use */
} fo_own_seat;

/* A full line without entries, for a thread without a seat. */
extern struct fo_line fo_no_reads;
#define FO_NO_READS_END ((uint64_t *)(&fo_no_reads + 1))

FO_COLD void fo_seat_claim(void);

/* The calling thread's. */
static inline struct fo_own_seat *fo_seat_own(void)
{
    if (fo_unlikely(fo_own_seat.process != fo_process_self()->id || fo_own_seat.seat == NULL))
        fo_seat_claim();
    return &fo_own_seat;
}

/* By the address, since lines are aligned. */
static inline bool fo_line_is_full(const uint64_t *top)
{
    return (uintptr_t)top % FO_LINE_SIZE == 0;
}

static inline struct fo_line *fo_line_of(const uint64_t *entry)
{
    return (struct fo_line *)((uintptr_t)entry & ~(uintptr_t)(FO_LINE_SIZE - 1));
}

/* Does the owner hold locks for writing, as far as is known?  The owner alone writes two of the
 * counts, relaxed: others read them once the seat is left or orphaned, which they acquire. */
static inline bool fo_seat_writes(const struct fo_seat *seat)
{
    return (int32_t)(FO_RELAXED_LOAD(&seat->written) - FO_RELAXED_LOAD(&seat->released) -
                     __atomic_load_n(&seat->released_by_others, __ATOMIC_ACQUIRE)) > 0;
}

#endif
