/* Which locks does a thread read at this moment?  Each thread that uses locks in shared memory has
 * a seat in the memory that all processes share; see rwlock.h. */
#ifndef FO_FORK_SEAT_H
#define FO_FORK_SEAT_H

#include <stddef.h>

#include "core/base.h"
#include "fork/living.h"

enum { FO_SEATS = 2048, FO_SEAT_LINE = 64, FO_READS = FO_SEAT_LINE / sizeof(uintptr_t) - 1 };

/* What is read is a stack, since locks are mostly left in the reverse order; who leaves another one
 * than the last leaves a 0 there. */
struct fo_seat {
    _Alignas(FO_SEAT_LINE) uintptr_t none; /* always 0: below the first */
    uintptr_t reads[FO_READS];             /* addresses of locks; 0: none */
    struct fo_living owner;
    uint32_t ready; /* its mutex can be used */
};
_Static_assert(offsetof(struct fo_seat, owner) == FO_SEAT_LINE, "fo_seat_is_full() looks for it");

/* The bit of a mask that stands for a seat, and for others. */
static inline uint32_t fo_seat_bit(uint32_t number)
{
    return UINT32_C(1) << number % 32;
}

/* The calling thread's, if it has one, is for others now. */
void fo_seat_leave(void);

/* Until nobody reads the lock, in the seats of this mask.  False: this thread does. */
bool fo_seats_await(uintptr_t lock, uint32_t mask, const struct fo_seat *mine);

/* Does anybody? */
bool fo_seats_read(uintptr_t lock, uint32_t mask);

#endif
