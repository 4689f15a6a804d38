/* The processes that descend from the one in which the library started: a table in memory that they
 * share exactly when they share OpenSSL's blocks. */
#ifndef FO_PROCESS_TREE_H
#define FO_PROCESS_TREE_H

#include <pthread.h>

#include "base/base.h"
#include "base/block.h"
#include "base/shared_number.h"

enum { FO_PROCESSES = 1 << FO_PROCESS_BITS };

/* One process of the tree.  Index 0 means "not known".  Read with process/rows.h where another
 * process may have written it. */
struct fo_lineage {
    struct fo_shared_u32 pid;    /* in its own pid namespace; 0: it has not started */
    struct fo_shared_u32 parent; /* index */
    struct fo_shared_u64 place;  /* return address of its parent's fork(), 0: not known */
    struct fo_shared_name name;
    struct fo_shared_u64 started; /* time, where a journal is kept */
    struct fo_shared_u32 journal; /* its row there; 0: none */
    struct fo_shared_u32
        born; /* how many forks there had been, this one included; set before the pid */
};

/* Whether the process of a row lives; process/life.h. */
struct fo_life {
    struct fo_shared_u32 id;      /* of the process that has the row; 0: none yet */
    struct fo_shared_u32 watched; /* its main thread holds the mutex */
    struct fo_shared_u64
        seen; /* pid | the namespace in which the process has it << 32; 0: not known */
    pthread_mutex_t mutex;
};

struct fo_tree {
    bool common;                  /* processes share it */
    struct fo_shared_u32 serials; /* given to processes so far */
    struct fo_shared_u32 processes_used;
    struct fo_shared_u32 forks;             /* in all processes */
    struct fo_shared_u32 processes_unknown; /* processes without a row; process/rows.h */
    struct fo_lineage processes[FO_PROCESSES];
    struct fo_life lives[FO_PROCESSES]; /* used where processes share it */
};

#endif
