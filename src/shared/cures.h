/* The four cures for OpenSSL in memory that processes share (docs/architecture.md).  Switched on
 * together, once, when the memory is known to be shared, except those that FREEONCE_CURES omits. */
#ifndef FO_SHARED_CURES_H
#define FO_SHARED_CURES_H

#include "base/base.h"

/* Apply them from now on.  The calling process counts as the one that initialised OpenSSL. */
void fo_cures_begin(void);

/* Called when the cure `locks` is applied, unless it is NULL. */
extern void (*fo_cure_locks_begun)(void);

/* Releases the calling thread's OpenSSL state; false: not possible.  Set at start. */
extern bool (*fo_cure_stop_thread)(void);

/* Is this cure (enum fo_cure) applied here? */
bool fo_cure_is_applied(unsigned cure);

/* Is OpenSSL's thread state dropped before a fork(3)? */
bool fo_cure_at_fork(void);

/* Is OpenSSL's thread state this process's own, and not a copy from the fork? */
bool fo_cure_state_is_own(void);

/* May this process run OPENSSL_cleanup()?  With the cure `exit`: only the process that initialised
 * OpenSSL, and only when none of its descendants is alive. */
bool fo_cure_can_clean_up(void);

/* Is a process alive that this one forked after fork `after` and up to fork `until`, as counted by
 * fo_row_forks(), or a descendant of one?  Also true when processes without a row exist. */
bool fo_cure_has_live_workers(uint32_t after, uint32_t until);

#endif
