/* The locks that the calling thread holds for reading, in its seat (seat.h).  The first line is a
 * stack that ends at own->top, with a 0 where a lock was released in another order; rwlock_fast.h
 * has its fast paths.  Entries without room there go to further lines, in any order.
 *
 * A signal handler may acquire and release locks between any two instructions. */
#ifndef FO_SHARED_READS_H
#define FO_SHARED_READS_H

#include "shared/own_seat.h"

/* Put an entry: from now on writers see that this thread reads.  NULL: there is no room. */
uint64_t *fo_reads_put(struct fo_own_seat *own, uint64_t key);

/* Remove this entry.  False: another thread did, when it released the lock. */
bool fo_reads_remove(struct fo_own_seat *own, uint64_t *entry, uint64_t key);

/* Remove one entry of this lock.  False: there is none. */
bool fo_reads_release(struct fo_own_seat *own, uint64_t key);

#endif
