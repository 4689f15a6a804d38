/* Does a process live, of those that share memory?
 *
 * Its main thread holds a robust mutex of its row while it lives, and the kernel marks the mutex
 * when the thread ends (set_robust_list(2)), in any pid namespace.  Where that thread cannot hold
 * it (a child of a raw clone(2)), or ends before its process, the pid is asked, but only within the
 * namespace where the pid was seen.  Elsewhere the process counts as alive. */
#ifndef FO_PROCESS_LIFE_H
#define FO_PROCESS_LIFE_H

#include <sys/types.h>

#include "base/libc.h"
#include "process/tree.h"

enum { FO_PID_NONE = UINT32_MAX }; /* in place of a pid: the fork failed */

/* Find the pid namespace of this process, which was forked or is the first one. */
void fo_life_find_namespace(const struct fo_tree *tree, uint32_t serial, bool forked);

/* Is this process in another pid namespace than the first process of the tree? */
bool fo_life_is_apart(void);

/* Record that this process has this row, and this id (process/process.h). */
void fo_life_enter(struct fo_tree *tree, uint32_t row, uint32_t id, uint32_t pid);

/* Let the kernel watch for the end of this process, if the calling thread is the main thread; after
 * fo_life_enter(), once it is decided that processes share the memory. */
void fo_life_watch(struct fo_tree *tree, uint32_t row);

/* The calling thread ends, its process may continue. */
void fo_life_unwatch(void);

/* The parent saw the row's process as `child`; -1: there is none, the fork failed. */
void fo_life_seen(struct fo_tree *tree, uint32_t row, pid_t child);

/* Clear the row, for a process that is about to be forked. */
void fo_life_clear(struct fo_tree *tree, uint32_t row);

/* Does the process of this row live?  False also if the row has none yet.  Keeps errno. */
bool fo_life_is_running(const struct fo_tree *tree, uint32_t row);

/* Has the process with this id ended?  False also if that is not known. */
bool fo_life_is_over(uint32_t id);

/* Has the calling thread a robust list in the kernel? */
bool fo_thread_is_watched(void);

/* Was the holder of a robust mutex killed?  Reads the word, and does not try the mutex: a thread
 * that is killed while it tries, and has the same tid in another pid namespace, would make the
 * kernel mark it. */
static inline bool fo_mutex_is_orphan(const pthread_mutex_t *mutex)
{
    enum { OWNER_DIED = 0x40000000 }; /* FUTEX_OWNER_DIED */

    return ((uint32_t)__atomic_load_n(&FO_LIBC_OWNER_OF(mutex), __ATOMIC_ACQUIRE) & OWNER_DIED) !=
           0;
}

#endif
