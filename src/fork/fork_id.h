/* What OpenSSL takes for the process's number when it asks whether there was a fork.
 *
 * Each of its random generators notes getpid() (openssl_get_fork_id()), and is seeded anew when
 * that has changed since its last use.  In shared memory the primary generator is one for all
 * processes, under one lock, and so it would be seeded anew, from the system, whenever another
 * process uses it; and after it each thread's own, which sees that the primary one was.  So
 * processes get a number in common whose generators cannot be another process's: those that came
 * by fork(3), where the cure `state` gave up the thread's, and nobody made new ones before the
 * child was there.  Everybody else gets its own number, as without us. */
#ifndef FO_FORK_FORK_ID_H
#define FO_FORK_FORK_ID_H

#include "core/base.h"

/* From now on, in this process and its children. */
void fo_fork_id_begin(void);

/* The number that this process has in common with others, or 0: its own.  Never that of a process
 * (bit 30 is set).  It changes when a lock is taken over from the dead: what the lock guards may be
 * half changed, and if that is a generator, it is seeded anew. */
uint32_t fo_fork_id(void);

/* The calling thread uses a generator. */
void fo_fork_id_used(void);

/* The program made a generator of its own, which a child would go on with: from now on this process
 * and its children have their own numbers. */
void fo_fork_id_end(void);

/* In the handlers of pthread_atfork(3): before it, when the thread's generators are given up (or
 * not all of them); and in the child. */
void fo_fork_id_before_fork(bool given_up);
void fo_fork_id_in_child(void);

#endif
