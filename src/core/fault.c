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

static bool is_function(const struct sigaction *action)
{
    return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* As the kernel calls it.  The mask is right already (see in_front_of()), but for SA_NODEFER. */
static void call(struct watch *w, int number, siginfo_t *info, void *context)
{
    const struct sigaction program = w->previous;
    sigset_t own;

    if ((program.sa_flags & (int)SA_RESETHAND) != 0)
        w->previous.sa_handler = SIG_DFL;
    if ((program.sa_flags & SA_NODEFER) != 0 && !sigismember(&program.sa_mask, number)) {
        sigemptyset(&own);
        sigaddset(&own, number);
        sigprocmask(SIG_UNBLOCK, &own, NULL); /* undone when ours returns */
    }
    if ((program.sa_flags & SA_SIGINFO) != 0)
        program.sa_sigaction(number, info, context);
    else
        program.sa_handler(number);
}

/* Does the same come again when the handler returns?  A kill(2) does not, nor does the news that
 * some memory is broken. */
static bool comes_again(int number, const siginfo_t *info)
{
    return info->si_code > 0 && !(number == SIGBUS && info->si_code == BUS_MCEERR_AO);
}

/* Give the signal to what was there before us. */
static void pass_on(struct watch *w, int number, siginfo_t *info, void *context)
{
    if (is_function(&w->previous)) {
        call(w, number, info, context);
        return;
    }
    if (!comes_again(number, info) && w->previous.sa_handler == SIG_IGN)
        return;
    sigaction(number, &w->previous, NULL);
    if (!comes_again(number, info))
        raise(number);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    struct watch *w = watch_of(number);
    int saved_errno = errno;
    bool done = info->si_code > 0 && w->handler(info, context);

    errno = saved_errno;
    if (!done)
        pass_on(w, number, info, context);
}

/* A handler of the program runs on the stack, and with the mask, that the program chose for it, and
 * system calls are interrupted or made again as before. */
static struct sigaction in_front_of(const struct sigaction *previous)
{
    struct sigaction action = {.sa_flags = SA_ONSTACK | SA_RESTART};

    sigemptyset(&action.sa_mask);
    if (is_function(previous))
        action = *previous;
    action.sa_flags &= ~((int)SA_RESETHAND | SA_NODEFER);
    action.sa_flags |= SA_SIGINFO;
    action.sa_sigaction = on_fault;
    return action;
}

void fo_fault_watch(int number, fo_fault_handler *handler)
{
    struct watch *w = watch_of(number);

    w->handler = handler;
    /* Ours must know what was there before it can be called. */
    if (sigaction(number, NULL, &w->previous) != 0)
        return;
    const struct sigaction action = in_front_of(&w->previous);
    sigaction(number, &action, NULL);
}
