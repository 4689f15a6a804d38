/* The locks that the calling thread reads, in its seat (seat.h).  The first line is a stack that
 * ends at own->top, with a 0 where a lock was released in another order; rwlock_short.h has its
 * fast paths.  What has no room there goes to further lines, in any order.
 *
 * A signal handler may acquire and release locks between any two instructions. */
#ifndef FO_SHARED_READS_H
#define FO_SHARED_READS_H

#include "shared/own_seat.h"

/* From now on a thread that wants to write sees that this one reads.  NULL: there is no room. */
uint64_t *fo_reads_put(struct fo_own_seat *own, uint64_t key);

/* Strike this one out.  False: another thread did, when it released the lock. */
bool fo_reads_remove(struct fo_own_seat *own, uint64_t *entry, uint64_t key);

/* Strike one entry of this lock out.  False: there is none. */
bool fo_reads_release(struct fo_own_seat *own, uint64_t key);

#endif
