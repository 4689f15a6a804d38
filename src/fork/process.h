/* Who are we, and from whom do we descend?  Forks are noticed without pthread_atfork, which a raw
 * clone(2) does not run: the struct below lies on a page that the kernel zeroes in every forked
 * child (MADV_WIPEONFORK, Linux 4.14). */
#ifndef FO_FORK_PROCESS_H
#define FO_FORK_PROCESS_H

#include "core/base.h"
#include "core/hot.h"
#include "core/memory.h"

struct fo_process {
    uint64_t meta;  /* of every header: this process, the active backend, state LIVE; 0: wiped */
    uint32_t pid;
    uint32_t index; /* in the table of processes */
    uint32_t claimed;
};

/* Name of the program, from argv[0]; call before fo_process_start(). */
void fo_process_name(const char *argv0);

/* Map the page.  False: no memory. */
bool fo_process_start(void);

/* Fill the zeroed page in: the slow path of fo_process_self(). */
FO_COLD void fo_process_noticed(void);

/* The backend that headers name from now on; the table of processes may have moved. */
void fo_process_renew(unsigned backend);

static inline struct fo_process *fo_process_self(void)
{
    struct fo_process *me = fo_hot.process;
    if (fo_unlikely(FO_RELAXED_LOAD(&me->meta) == 0))
        fo_process_noticed();
    return me;
}

/* 0 in the main thread, else the kernel's thread id. */
extern __thread uint32_t fo_thread;
FO_COLD uint32_t fo_thread_ask(void);
static inline uint32_t fo_thread_id(void)
{
    uint32_t id = fo_thread;
    return fo_likely(id != 0) ? id - 1 : fo_thread_ask();
}

/* Where this thread is calling fork() from, for the child's record. */
extern __thread uintptr_t fo_fork_place;

#endif
