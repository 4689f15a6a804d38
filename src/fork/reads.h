/* What the calling thread reads, written down in its seat (seat.h) for writers to see: a stack that
 * ends at own->top, with a 0 where a lock was left in another order than the reverse.  The short
 * ways to write one more down and to strike the last one out are in rwlock_short.h. */
#ifndef FO_FORK_READS_H
#define FO_FORK_READS_H

#include "fork/own_seat.h"

/* Where it is written down that the thread reads this lock; NULL: it does not. */
uintptr_t *fo_reads_find(const struct fo_own_seat *own, uintptr_t lock);

/* Where one more can be written down; NULL: nowhere. */
uintptr_t *fo_reads_room(struct fo_own_seat *own);

/* Write it down there; whoever wants to write sees it from now on. */
void fo_reads_enter(struct fo_own_seat *own, uintptr_t *entry, uintptr_t lock);

/* Strike it out. */
void fo_reads_strike(struct fo_own_seat *own, uintptr_t *entry);

/* It is read once more, and there is no room to write that down. */
FO_COLD void fo_reads_count(struct fo_own_seat *own, const uintptr_t *entry);

/* Once less.  False: the thread does not read it. */
bool fo_reads_leave(struct fo_own_seat *own, uintptr_t lock);

/* What was read at this address before, and never left, was another lock. */
void fo_reads_forget(uintptr_t lock);

#endif
