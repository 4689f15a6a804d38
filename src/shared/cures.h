/* The four cures for OpenSSL in memory that processes share (docs: DESIGN "Fork").  Switched on
 * together, once, when the memory is known to be shared, less what FREEONCE_CURES leaves out. */
#ifndef FO_SHARED_CURES_H
#define FO_SHARED_CURES_H

#include "base/base.h"

/* Apply them from now on.  The calling process counts as the one that initialised OpenSSL. */
void fo_cures_begin(void);

/* Called when the cure `locks` is applied, unless it is NULL. */
extern void (*fo_cure_locks_begun)(void);

/* Makes the calling thread give up its OpenSSL state; false: it could not.  Set at start. */
extern bool (*fo_cure_stop_thread)(void);

/* Is this cure (enum fo_cure) applied here? */
bool fo_cure_is_applied(unsigned cure);

/* Is OpenSSL's thread state dropped before a fork(3)? */
bool fo_cure_at_fork(void);

/* Is the thread state of OpenSSL that this process has its own, not one that it was forked with? */
bool fo_cure_state_is_own(void);

/* May this process run OPENSSL_cleanup()?  With the cure `exit`: only the one that initialised
 * OpenSSL, and only when none of its descendants is alive. */
bool fo_cure_can_clean_up(void);

/* Is a process alive that this one forked after so many forks (fo_row_forks()) and up to so many,
 * or that descends from one of those?  Also true when there are processes that found no row. */
bool fo_cure_has_live_workers(uint32_t after, uint32_t until);

#endif
