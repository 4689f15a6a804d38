/* Does a process live, of those that share memory?
 *
 * Its main thread holds a robust mutex of its row for as long as it lives, so that the kernel tells
 * of its end (set_robust_list(2)), whatever pid namespaces the processes are in.  Where that thread
 * cannot (a child of a raw clone(2)), or ends before its process, the pid has to tell: but only
 * within the namespace where the pid was seen.  Elsewhere the process counts as alive. */
#ifndef FO_PROCESS_LIFE_H
#define FO_PROCESS_LIFE_H

#include <sys/types.h>

#include "process/tree.h"

enum { FO_PID_NOBODY = UINT32_MAX }; /* in place of a pid: the fork failed */

/* This process was forked, or is the first one: in which pid namespace is it? */
void fo_life_find_namespace(const struct fo_tree *tree, uint32_t serial, bool forked);

/* Is it in another one than the first process of the tree? */
bool fo_life_is_apart(void);

/* It has this row, and this id (process/process.h). */
void fo_life_enter(struct fo_tree *tree, uint32_t row, uint32_t id, uint32_t pid);

/* Have its end watched by the kernel, if the calling thread is the main thread; after
 * fo_life_enter(), once processes share the memory for good. */
void fo_life_watch(struct fo_tree *tree, uint32_t row);

/* The calling thread ends, its process may not. */
void fo_life_unwatch(void);

/* The parent of the row's process saw it as `child`; -1: there is none, the fork failed. */
void fo_life_seen(struct fo_tree *tree, uint32_t row, pid_t child);

/* The row is for a process that is about to be forked. */
void fo_life_clear(struct fo_tree *tree, uint32_t row);

/* Does the process of this row live?  False also if the row has none yet.  Keeps errno. */
bool fo_life_is_running(const struct fo_tree *tree, uint32_t row);

/* Is the process with this id gone?  False if that is not known. */
bool fo_life_is_over(uint32_t id);

/* The calling thread has a robust list in the kernel. */
bool fo_thread_is_watched(void);

/* Was the holder of a robust mutex killed?  Looks, and does not try: a thread that is killed while
 * it tries, and has the same tid in another pid namespace, would make the kernel say so. */
static inline bool fo_mutex_is_orphan(const pthread_mutex_t *mutex)
{
    enum { OWNER_DIED = 0x40000000 }; /* FUTEX_OWNER_DIED */

    return ((uint32_t)__atomic_load_n(&mutex->__data.__lock, __ATOMIC_ACQUIRE) & OWNER_DIED) != 0;
}

#endif
