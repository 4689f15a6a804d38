/* fork(2): notes the place of the fork.  Forks by other calls are noticed later, without it. */
#include <unistd.h>

#include "base/hot.h"
#include "base/real.h"
#include "load/uses.h"
#include "process/process.h"
#include "process/rows.h"
#include "report/output.h"
#include "shared/own_seat.h"

/* A child claims a seat of its own, if its parent had one. */
static void enter_child(void)
{
    fo_process_self();
    if (fo_own_seat.seat != NULL)
        fo_seat_own();
}

FO_EXPORT pid_t fork(void)
{
    static void *slot;
    pid_t (*real)(void);

    *(void **)&real = fo_real(&slot, "fork");
    fo_fork_place = (uintptr_t)__builtin_return_address(0);
    fo_uses_before_fork();
    if (fo_hot.process != NULL)
        fo_output_before_fork();
    if (fo_hot.tree != NULL)
        fo_rows_before_fork(fo_hot.tree, fo_process_self()->index);
    pid_t pid = real();
    if (pid == 0 && fo_hot.tree != NULL)
        enter_child(); /* now, before the child enters a sandbox */
    if (pid != 0 && fo_hot.tree != NULL)
        fo_rows_after_fork(fo_hot.tree, pid);
    fo_fork_place = 0;
    return pid;
}
