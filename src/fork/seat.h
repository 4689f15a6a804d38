/* Which locks does a thread read at this moment?  Each thread that uses locks in shared memory has
 * a seat in the memory that all processes share; see rwlock.h. */
#ifndef FO_FORK_SEAT_H
#define FO_FORK_SEAT_H

#include "core/base.h"
#include "fork/living.h"

enum { FO_SEATS = 2048, FO_READS = 8 };

struct fo_seat {
    _Alignas(64) uintptr_t reads[FO_READS]; /* addresses of locks; 0: none */
    uint32_t again[FO_READS]; /* how often more each is read; the owner's own affair */
    struct fo_living owner;
    uint32_t ready; /* its mutex can be used */
};

/* Until nobody but this thread reads the lock.  False: this thread does. */
bool fo_seats_await(uintptr_t lock, const struct fo_seat *mine);

/* Does anybody? */
bool fo_seats_read(uintptr_t lock);

#endif
