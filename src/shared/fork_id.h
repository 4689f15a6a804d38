/* What OpenSSL takes for the process's number when it asks whether there was a fork.
 *
 * Each of its random generators notes getpid() (openssl_get_fork_id()), and is seeded anew when
 * that has changed since its last use.  In shared memory the primary generator is one for all
 * processes, under one lock, and so it would be seeded anew, from the system, whenever another
 * process uses it; and after it each thread's own, which sees that the primary one was.
 *
 * So who asks while he has a lock of ours for writing gets a number that the processes have in
 * common: a generator that is used under a lock is safe to share, one without a lock is not.  (From
 * OpenSSL 3.6 on the question comes before the lock, and nothing changes.)  A generator without a
 * lock may be used while another lock is held, though: therefore only processes have the number
 * whose generators cannot be another's, those that came by fork(3), where the cure `state` gave up
 * the thread's, and nobody made new ones before the child was there; and none has it once the
 * program made a generator of its own.  All others get their own, as without us. */
#ifndef FO_SHARED_FORK_ID_H
#define FO_SHARED_FORK_ID_H

#include "base/base.h"

/* From now on, in this process and its children. */
void fo_fork_id_begin(void);

/* The number in common, or 0: the process's own.  Never that of a process (bit 30 is set).  It
 * changes when a lock is taken over from the dead: what the lock guards may be half changed, and if
 * that is a generator, it is seeded anew. */
uint32_t fo_fork_id(void);

/* In a process of another pid namespace than the first one of the tree, where a pid says nothing: a
 * number that is its own in all of the tree, and no pid (bit 29 is set).  0: its pid is good. */
uint32_t fo_fork_id_apart(void);

/* The calling thread has a generator in use, or may have. */
void fo_fork_id_used(void);

/* The program made a generator of its own, which another process may use, too. */
void fo_fork_id_end(void);

/* In the handlers of pthread_atfork(3): before the thread's generators are given up; and in the
 * child. */
void fo_fork_id_before_fork(void);
void fo_fork_id_in_child(void);

#endif
