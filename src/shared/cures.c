/* The cures state and exit, and the switches for all four.  Locks and identity are applied where
 * calls are interposed: load/locks.c and load/identity.c. */
#include "shared/cures.h"

#include <pthread.h>

#include "heap/region.h"
#include "options/options.h"
#include "process/ending.h"
#include "process/life.h"
#include "process/process.h"
#include "process/tree.h"
#include "shared/fork_id.h"
#include "shared/made.h"

int __cxa_atexit(void (*function)(void *), void *argument, void *module);

void (*fo_cure_locks_begun)(void);
bool (*fo_cure_stop_thread)(void);

/* The cures that make generators safe that see no fork. */
#define FOR_FORK_ID (FO_CURE_STATE | FO_CURE_LOCKS | FO_CURE_IDENTITY)

static unsigned applied;
/* Serial numbers of processes; in one made by a raw clone(2), state_of is its parent's. */
static uint32_t initialiser, state_of;
static bool at_fork;

bool fo_cure_is_applied(unsigned cure)
{
    return (__atomic_load_n(&applied, __ATOMIC_SEQ_CST) & cure) != 0;
}

/* Before every fork(3) the forking thread releases its OpenSSL thread state (error queue, random
 * generators, handlers), so that no child inherits pointers to the parent's.  (OpenSSL 3.0:
 * crypto/err/err.c, crypto/rand/rand_lib.c, crypto/initthread.c.) */
static void drop_thread_state(void)
{
    if (!fo_cure_is_applied(FO_CURE_STATE))
        return;
    fo_fork_id_before_fork();
    if (!fo_cure_stop_thread())
        fo_fork_id_used();
}

static void begin_in_child(void)
{
    state_of = fo_process_serial();
    fo_fork_id_in_child();
}

bool fo_cure_state_is_own(void)
{
    return fo_cure_is_applied(FO_CURE_STATE) && at_fork && state_of == fo_process_serial();
}

/* A child's own state lies in memory that its parent goes on using.  OpenSSL 3 frees it in its exit
 * handler (fo_openssl_cleanup()); OpenSSL 4 has none. */
static void drop_childs_state(void *unused)
{
    (void)unused;
    if (fo_process_serial() != initialiser && fo_cure_is_applied(FO_CURE_EXIT) &&
        fo_cure_state_is_own())
        fo_cure_stop_thread();
}

static void begin_locks(void)
{
    fo_ending_start();
    void (*begun)(void) = __atomic_load_n(&fo_cure_locks_begun, __ATOMIC_SEQ_CST);
    if (begun != NULL)
        begun();
}

void fo_cures_begin(void)
{
    initialiser = state_of = fo_process_serial();
    __atomic_store_n(&applied, fo_options.cures, __ATOMIC_SEQ_CST);
    if (fo_cure_is_applied(FO_CURE_LOCKS))
        begin_locks();
    /* Relaxed, as in hot.h. */
    FO_RELAXED_STORE(&fo_hot.keeps_ancestors, fo_cure_is_applied(FO_CURE_EXIT));
    fo_made_begin();
    if ((fo_options.cures & FO_CURE_STATE) != 0 && !at_fork)
        at_fork = pthread_atfork(drop_thread_state, NULL, begin_in_child) == 0 &&
                  __cxa_atexit(drop_childs_state, NULL, NULL) == 0;
    if (at_fork && fo_region != NULL && fo_layout.shared &&
        (fo_options.cures & FOR_FORK_ID) == FOR_FORK_ID)
        fo_fork_id_begin();
}

bool fo_cure_at_fork(void)
{
    return at_fork;
}

/* All rows are of descendants: the table began with the initialiser. */
static bool has_live_descendants(void)
{
    const struct fo_tree *tree = fo_hot.tree;
    uint32_t used = fo_shared_number(&tree->processes_used), self = fo_process_self()->index;

    if (fo_shared_number(&tree->processes_unknown) != 0)
        return true;
    for (uint32_t i = 1; i < used && i < FO_PROCESSES; i++)
        if (i != self && fo_life_is_running(tree, i))
            return true;
    return false;
}

/* The child of `ancestor` that this process is, or descends from; 0: none. */
static uint32_t branch_of(const struct fo_tree *tree, uint32_t row, uint32_t ancestor)
{
    uint32_t at = row;

    for (unsigned depth = 0; at != 0 && depth < FO_PROCESSES; depth++) {
        uint32_t parent = fo_shared_index(&tree->processes[at].parent, FO_PROCESSES);
        if (parent == ancestor)
            return at;
        at = parent;
    }
    return 0;
}

static bool was_forked(const struct fo_tree *tree, uint32_t row, uint32_t after, uint32_t until)
{
    uint32_t branch = branch_of(tree, row, fo_process_self()->index);
    uint32_t born = fo_shared_number(&tree->processes[branch].born);

    return branch != 0 && born - after - 1 < until - after;
}

bool fo_cure_has_live_workers(uint32_t after, uint32_t until)
{
    const struct fo_tree *tree = fo_hot.tree;
    uint32_t rows = fo_shared_number(&tree->processes_used);
    bool live = fo_shared_number(&tree->processes_unknown) != 0; /* it cannot be known */
    bool known = fo_process_self()->index != 0;

    if (after == until)
        return false;
    for (uint32_t i = 1; known && i < rows && i < FO_PROCESSES && !live; i++)
        live = was_forked(tree, i, after, until) && fo_life_is_running(tree, i);
    return live;
}

bool fo_cure_can_clean_up(void)
{
    if (!fo_cure_is_applied(FO_CURE_EXIT))
        return true;
    return fo_process_serial() == initialiser && !has_live_descendants();
}
