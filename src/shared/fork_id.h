/* The number by which OpenSSL finds out whether there was a fork.
 *
 * Each of its random generators stores getpid() (openssl_get_fork_id()), and reseeds when that has
 * changed since its last use.  In shared memory all processes use one primary generator, under one
 * lock.  So it would reseed, from the system, whenever another process uses it; and then each
 * thread's own generator would, too, since the primary one has.
 *
 * So a thread that holds one of the library's locks for writing gets a number that the processes
 * have in common: a generator that is used under a lock is safe to share, one without a lock is
 * not.  (From OpenSSL 3.6 on the number is read before the lock is acquired, and nothing changes.)
 * But a generator without a lock may be used while another lock is held.  Therefore a process has
 * the common number only if its generators cannot be another process's: it was made by fork(3), the
 * cure `state` released the thread's generators, and no new one was made before the child existed.
 * No process has it once the program has made a generator of its own.  All other processes get
 * their own number, as without freeonce. */
#ifndef FO_SHARED_FORK_ID_H
#define FO_SHARED_FORK_ID_H

#include "base/base.h"

/* From now on, in this process and its children. */
void fo_fork_id_begin(void);

/* The common number, or 0: the process's own.  Never that of a process (bit 30 is set).  It changes
 * when a lock is recovered from a killed writer: what the lock guards may be half changed, and if
 * that is a generator, it reseeds. */
uint32_t fo_fork_id(void);

/* In a process of another pid namespace than the first one of the tree, where pids repeat: a number
 * that is unique in the tree, and no pid (bit 29 is set).  0: the pid is unique. */
uint32_t fo_fork_id_apart(void);

/* The calling thread has a generator in use, or may have. */
void fo_fork_id_used(void);

/* The program made a generator of its own, which another process may use, too. */
void fo_fork_id_end(void);

/* In the handlers of pthread_atfork(3): before the thread's generators are released; and in the
 * child. */
void fo_fork_id_before_fork(void);
void fo_fork_id_in_child(void);

#endif
