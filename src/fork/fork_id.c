/* See fork_id.h.  The number lies where the kernel wipes it for each child, so that one that came
 * by a raw clone(2) has none. */
#include "fork/fork_id.h"

#include "fork/process.h"

enum { COMMON = 1 << 30, PID_BITS = 22, PID_MASK = (1 << PID_BITS) - 1, LEFT_MASK = 0xff };

/* Of the thread that forks. */
static __thread struct {
    uint32_t number;
    bool used; /* a generator, since its own were given up */
} forking;

static bool ended; /* for good */

void fo_fork_id_begin(void)
{
    struct fo_process *me = fo_process_self();

    FO_RELAXED_STORE(&me->fork_id, COMMON | (me->pid & PID_MASK));
}

uint32_t fo_fork_id(void)
{
    const struct fo_process *me = fo_process_self();
    uint32_t number = FO_RELAXED_LOAD(&me->fork_id);

    /* Where the kernel cannot wipe pages, a raw clone has its parent's. */
    if (number == 0 || FO_RELAXED_LOAD(&ended) || me->pid != fo_getpid())
        return 0;
    return number ^ (FO_RELAXED_LOAD(&fo_hot.memory->locks_left) & LEFT_MASK) << PID_BITS;
}

void fo_fork_id_used(void)
{
    forking.used = true;
}

void fo_fork_id_end(void)
{
    FO_RELAXED_STORE(&ended, true);
}

void fo_fork_id_before_fork(bool given_up)
{
    forking.number = given_up ? FO_RELAXED_LOAD(&fo_process_self()->fork_id) : 0;
    forking.used = false;
}

void fo_fork_id_in_child(void)
{
    FO_RELAXED_STORE(&fo_process_self()->fork_id, forking.used ? 0 : forking.number);
}
