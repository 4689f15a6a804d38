/* See fault.h.  Called by backend guard, by the journal and by crash.c, where they are in use.
 *
 * Once there is a witness, the kernel has the library's action for these signals, and the program's
 * is kept here.  Only SIG_IGN stays in the kernel: a program that is executed later inherits it. */
#include "process/fault.h"

#include <errno.h>
#include <sched.h>
#include <ucontext.h>

#include "base/real.h"
#include "process/process.h"

enum { KEPT = 16 }; /* a handler may be reading one of the last actions while others are set */

static FO_BULKY struct watch {
    fo_fault_handler *handler;
    struct sigaction kept[KEPT];
    uint32_t last;     /* the program's action is kept[last % KEPT] */
    bool is_installed; /* the library's handler was */
    bool is_once;      /* the kernel restores the default when it calls on_fault() */
    bool is_whole;     /* the program's changes are recorded here */
} watches[4];

static fo_fault_witness *witness;
static uint32_t changing; /* the process of the thread that changes an action; 0: none */

static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGABRT};
enum { COUNT = sizeof numbers / sizeof numbers[0] };

static bool is_watched(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGILL || number == SIGABRT;
}

static struct watch *watch_of(int number)
{
    size_t i = COUNT - 1;

    while (i != 0 && numbers[i] != number)
        i--;
    return &watches[i];
}

/* --- the real functions ---------------------------------------------------------------------- */

static void *sigaction_slot, *signal_slot;

static int real_sigaction(int number, const struct sigaction *action, struct sigaction *before)
{
    int (*real)(int, const struct sigaction *, struct sigaction *);

    *(void **)&real = fo_real(&sigaction_slot, "sigaction");
    return real(number, action, before);
}

static sighandler_t real_signal(int number, sighandler_t handler)
{
    sighandler_t (*real)(int, sighandler_t);

    *(void **)&real = fo_real(&signal_slot, "signal");
    return real(number, handler);
}

void fo_fault_find(void)
{
    fo_real(&sigaction_slot, "sigaction");
    fo_real(&signal_slot, "signal");
}

/* --- a signal -------------------------------------------------------------------------------- */

static struct sigaction action_of(const struct watch *w)
{
    return w->kept[__atomic_load_n(&w->last, __ATOMIC_ACQUIRE) % KEPT];
}

static void keep_action(struct watch *w, const struct sigaction *action)
{
    uint32_t next = FO_RELAXED_LOAD(&w->last) + 1; /* relaxed: written under the lock */

    w->kept[next % KEPT] = *action;
    __atomic_store_n(&w->last, next, __ATOMIC_RELEASE);
}

static bool is_function(const struct sigaction *action)
{
    return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* Call the program's handler as the kernel does.  The mask is right already (see
 * library_action()), except for SA_NODEFER. */
static void call_program(struct watch *w, int number, siginfo_t *info, void *context)
{
    const struct sigaction program = action_of(w);
    sigset_t own;

    if ((program.sa_flags & (int)SA_RESETHAND) != 0) {
        struct sigaction reset = program;
        reset.sa_handler = SIG_DFL;
        keep_action(w, &reset);
    }
    if ((program.sa_flags & SA_NODEFER) != 0 && !sigismember(&program.sa_mask, number)) {
        sigemptyset(&own);
        sigaddset(&own, number);
        sigprocmask(SIG_UNBLOCK, &own, NULL); /* undone when on_fault() returns */
    }
    if ((program.sa_flags & SA_SIGINFO) != 0)
        program.sa_sigaction(number, info, context);
    else
        program.sa_handler(number);
}

/* Does the fault happen again when the handler returns?  A signal from kill(2) does not, nor does
 * the notice that some memory is broken. */
static bool is_repeated(int number, const siginfo_t *info)
{
    return info->si_code > 0 && !(number == SIGBUS && info->si_code == BUS_MCEERR_AO);
}

/* Pass the signal on to the program's action. */
static void pass_on(struct watch *w, int number, siginfo_t *info, void *context)
{
    const struct sigaction program = action_of(w);

    if (is_function(&program)) {
        call_program(w, number, info, context);
        return;
    }
    if (is_repeated(number, info)) {
        sigaddset(&((ucontext_t *)context)->uc_sigmask, number);
        return;
    }
    if (program.sa_handler == SIG_IGN)
        return;
    if (!w->is_once)
        real_sigaction(number, &program, NULL);
    raise(number);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    struct watch *w = watch_of(number);
    const struct sigaction program = action_of(w);
    int saved_errno = errno;
    bool done = w->handler != NULL && info->si_code > 0 && w->handler(info, context);

    if (!done && w->is_whole && program.sa_handler != SIG_IGN)
        witness(number, info, context, is_function(&program));
    errno = saved_errno;
    if (!done)
        pass_on(w, number, info, context);
}

/* --- installing it --------------------------------------------------------------------------- */

/* A handler of the program runs on the stack, and with the mask, that the program chose for it;
 * system calls are interrupted or restarted as before.  Where SIGABRT ends the program, the kernel
 * restores the default itself: a sandbox may forbid the system call for it. */
static struct sigaction library_action(int number, const struct sigaction *program)
{
    struct sigaction action = {.sa_flags = SA_ONSTACK | SA_RESTART};
    bool ends = number == SIGABRT && program->sa_handler == SIG_DFL;

    sigemptyset(&action.sa_mask);
    if (is_function(program))
        action = *program;
    action.sa_flags &= ~((int)SA_RESETHAND | SA_NODEFER);
    action.sa_flags |= SA_SIGINFO | (ends ? (int)SA_RESETHAND : 0);
    action.sa_sigaction = on_fault;
    return action;
}

static bool is_on_fault(sighandler_t function)
{
    return (uintptr_t)function == (uintptr_t)on_fault;
}

static bool is_library_action(const struct sigaction *action)
{
    return is_on_fault(action->sa_handler);
}

/* Record the kernel's action as the program's, and put the library's in front of it. */
static void put_in_front(struct watch *w, int number)
{
    struct sigaction program;

    if (real_sigaction(number, NULL, &program) != 0)
        return;
    /* The program's action must be known before on_fault() can be called.  A program that got the
     * address of on_fault() from functions that the library does not interpose, as the handler
     * before, may have set it again. */
    if (is_library_action(&program))
        program = action_of(w);
    else
        keep_action(w, &program);
    if (w->is_whole && program.sa_handler == SIG_IGN)
        return;
    const struct sigaction action = library_action(number, &program);
    if (real_sigaction(number, &action, NULL) != 0)
        return;
    w->is_installed = true;
    w->is_once = (action.sa_flags & (int)SA_RESETHAND) != 0;
}

void fo_fault_watch(int number, fo_fault_handler *handler)
{
    struct watch *w = watch_of(number);

    w->handler = handler;
    put_in_front(w, number);
}

void fo_fault_witness_all(fo_fault_witness *function)
{
    witness = function;
    for (size_t i = 0; i < COUNT; i++) {
        struct watch *w = watch_of(numbers[i]);
        struct sigaction now;
        /* A handler that the program has installed since may call on_fault(), which must not call
         * it. */
        if (w->is_installed &&
            (real_sigaction(numbers[i], NULL, &now) != 0 || !is_library_action(&now)))
            continue;
        w->is_whole = true;
        put_in_front(w, numbers[i]);
    }
}

/* --- the program's own changes --------------------------------------------------------------- */

/* Replace the library's action by the program's, in an answer to the program. */
static void hide(int number, struct sigaction *action)
{
    const struct watch *w = watch_of(number);

    if (is_watched(number) && w->is_whole && is_library_action(action))
        *action = action_of(w);
}

/* A change of an action by the program, from its beginning to its end. */
struct change {
    struct watch *watch;
    struct sigaction before; /* the program's */
    sigset_t mask;
};

/* The child of a vfork(2) has its parent's memory, and actions of its own. */
static bool is_this_process(void)
{
    return fo_process_self()->pid == fo_getpid();
}

/* False: the real functions answer, and the library's handler is not put in front any more.
 * Signals are blocked until end(), so that no handler waits for this change.  The wait for another
 * thread is short, since that thread may have a lower priority. */
static bool begin(struct change *c, int number)
{
    enum { TRIES_MAX = 1000 };
    sigset_t all;
    int tries = 0;

    c->watch = watch_of(number);
    if (!is_watched(number) || !c->watch->is_whole || !is_this_process())
        return false;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &c->mask);
    while (!fo_try_exclusive(&changing)) {
        if (++tries == TRIES_MAX) {
            sigprocmask(SIG_SETMASK, &c->mask, NULL);
            return false;
        }
        sched_yield();
    }
    c->before = action_of(c->watch);
    return true;
}

static void end(const struct change *c)
{
    int saved_errno = errno;

    __atomic_store_n(&changing, 0, __ATOMIC_RELEASE);
    sigprocmask(SIG_SETMASK, &c->mask, NULL);
    errno = saved_errno;
}

/* The program's action goes unchanged to the kernel, which checks and completes it; then the
 * library's is put in front of it again. */
int fo_fault_sigaction(int number, const struct sigaction *action, struct sigaction *before)
{
    struct change c;
    struct sigaction was;

    if (!begin(&c, number)) {
        int answer = real_sigaction(number, action, before);
        if (answer == 0 && before != NULL)
            hide(number, before);
        return answer;
    }
    int answer = real_sigaction(number, action, &was);
    if (answer == 0 && action != NULL)
        put_in_front(c.watch, number);
    end(&c);
    if (answer == 0 && before != NULL)
        *before = is_library_action(&was) ? c.before : was;
    return answer;
}

sighandler_t fo_fault_signal(int number, sighandler_t handler)
{
    struct change c;

    if (!begin(&c, number))
        return real_signal(number, handler);
    sighandler_t was = real_signal(number, handler);
    if (was != SIG_ERR)
        put_in_front(c.watch, number);
    end(&c);
    return is_on_fault(was) ? c.before.sa_handler : was;
}
