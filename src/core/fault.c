/* See fault.h.  Called by backend guard and by the journal, where they are in use. */
#include "core/fault.h"

#include <errno.h>

static struct watch {
    fo_fault_handler *handler;
    struct sigaction previous;
} watches[2];

static struct watch *watch_of(int number)
{
    return &watches[number == SIGBUS];
}

/* Give the signal to what was there before us. */
static void pass_on(const struct sigaction *previous, int number, siginfo_t *info, void *context)
{
    bool by_kernel = info->si_code > 0;
    bool function = previous->sa_handler != SIG_DFL && previous->sa_handler != SIG_IGN;
    unsigned flags = (unsigned)previous->sa_flags;

    if (function && (flags & ((unsigned)SA_RESETHAND | SA_NODEFER)) == 0) {
        sigprocmask(SIG_BLOCK, &previous->sa_mask, NULL); /* undone when ours returns */
        if ((flags & SA_SIGINFO) != 0)
            previous->sa_sigaction(number, info, context);
        else
            previous->sa_handler(number);
        return;
    }
    if (!by_kernel && previous->sa_handler == SIG_IGN)
        return;
    sigaction(number, previous, NULL);
    if (!by_kernel)
        raise(number); /* a fault comes again by itself, a kill(2) does not */
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    const struct watch *w = watch_of(number);
    int saved_errno = errno;
    bool done = info->si_code > 0 && w->handler(info, context);

    errno = saved_errno;
    if (!done)
        pass_on(&w->previous, number, info, context);
}

void fo_fault_watch(int number, fo_fault_handler *handler)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct watch *w = watch_of(number);

    w->handler = handler;
    action.sa_sigaction = on_fault;
    sigemptyset(&action.sa_mask);
    /* Ours must know what was there before it can be called. */
    if (sigaction(number, NULL, &w->previous) == 0)
        sigaction(number, &action, NULL);
}
