/* A fault on its way to the program's handler or to the program's end: is it a use of freed memory?
 *
 * With FREEONCE_FILL a pointer that is read from a freed block is the pattern, which is no address:
 * that is certain.  All else is a guess: a register or the stack points to a freed block.  A
 * program that handles the signal itself may live on (Java reads through null pointers on purpose),
 * so that a guess is reported only where the signal ends the program.
 *
 * It runs on a stack of its own: that of the program may be small or nearly full. */
#include "block/crash.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>

#include "backend/guard.h"
#include "base/apart.h"
#include "base/elf.h"
#include "base/sanitizer.h"
#include "block/verdict.h"
#include "options/options.h"
#include "process/fault.h"
#include "process/process.h"
#include "report/journal.h"
#include "report/stacks.h"

enum {
    STACK_SIZE = 64 << 10,
    NEAR_WORDS = 128,  /* of the stack, that say anything of a fault without the pattern */
    ABORT_WORDS = 512, /* abort(3) has a frame itself */
    FIRST_PAGES = 64 << 10,
    PATIENCE = 20000, /* looks whether another thread has reported its own fault */
};

static char *own_stack;
static uint64_t user;     /* the thread that uses it; 0: none */
static uint64_t reported; /* whose fault was reported last: its handler may end the program */

struct look {
    int number;
    bool is_handled;
    siginfo_t *info;
    const ucontext_t *context;
    struct fo_crash crash;
};

/* Of this process, too, and without a system call that a sandbox may forbid. */
enum { PROCESS_SHIFT = 48 };
static uint64_t this_thread(void)
{
    return (uint64_t)fo_process_serial() << PROCESS_SHIFT ^ (uintptr_t)&fo_thread;
}

static const char *name_of(int number)
{
    return number == SIGSEGV  ? "SIGSEGV"
           : number == SIGBUS ? "SIGBUS"
           : number == SIGILL ? "SIGILL"
                              : "SIGABRT";
}

/* The instruction used the pattern as an address, or jumped there. */
static bool is_by_pattern(int number, const siginfo_t *info, const ucontext_t *context)
{
    if (info->si_code <= 0 || (number != SIGSEGV && number != SIGBUS))
        return false;
    if (fo_crash_is_pattern(fo_machine_code(context)))
        return true;
    /* x86-64: what is no address has none, and the kernel says that it was itself. */
    return info->si_code == SI_KERNEL ? fo_crash_has_pattern(context, false)
                                      : fo_crash_is_pattern((uintptr_t)info->si_addr);
}

/* A number that was read from freed memory was a part of the address; or the address was read and
 * jumped to at once. */
static bool may_be_by_pattern(const struct look *l)
{
    if (l->info->si_code <= 0 || (l->number != SIGSEGV && l->number != SIGBUS))
        return false;
    return l->info->si_code == SI_KERNEL
               ? fo_options.fill && fo_machine_jumps_through_memory(fo_machine_code(l->context))
               : (uintptr_t)l->info->si_addr >= FIRST_PAGES &&
                     fo_crash_has_pattern(l->context, true);
}

static void judge(struct look *l, struct fo_record *r)
{
    bool certain = is_by_pattern(l->number, l->info, l->context),
         likely = certain || may_be_by_pattern(l);
    unsigned words = certain ? FO_CRASH_WORDS : l->number == SIGABRT ? ABORT_WORDS : NEAR_WORDS;

    if (fo_crash_find_freed(&l->crash, words, r)) {
        r->kind = likely ? FO_FINDING_FAULT_USED : FO_FINDING_FAULT_NEAR;
        return;
    }
    *r = (struct fo_record){.kind = certain ? FO_FINDING_FAULT_PATTERN : FO_FINDING_FAULT,
                            .object = "block"};
}

/* What raised the signal itself is of less interest than who called it. */
static uintptr_t place_of(const struct look *l)
{
    const struct fo_crash *c = &l->crash;
    struct fo_module raiser;

    if (c->frame_count == 0)
        return fo_machine_code(l->context);
    if (l->info->si_code > 0 || !fo_elf_module(c->frames[0], &raiser))
        return c->frames[0];
    for (unsigned i = 1; i < c->frame_count; i++)
        if (c->frames[i] < raiser.start || c->frames[i] >= raiser.end)
            return c->frames[i];
    return c->frames[0];
}

static void look(void *data)
{
    struct look *l = data;
    struct fo_record r;

    fo_crash_copy(&l->crash, l->context);
    judge(l, &r);
    r.operation = FO_OPERATION_FREE;
    r.verb = name_of(l->number);
    r.answer = l->is_handled ? "the program's own handler is called" : "the program ends";
    r.now = (struct fo_place){true,
                              0,
                              fo_process_self()->index,
                              fo_who_thread(fo_who()),
                              place_of(l),
                              fo_stack_put(l->crash.frames, l->crash.frame_count)};
    __atomic_store_n(&reported, this_thread(), __ATOMIC_RELAXED);
    fo_report(&r);
}

/* Of several threads that fault at once, each is to be heard before the process ends.  A holder
 * that a fork left behind is gone. */
static bool take_stack(uint64_t me, bool waits)
{
    for (int i = 0; i < PATIENCE; i++) {
        uint64_t holder = 0;
        if (__atomic_compare_exchange_n(&user, &holder, me, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED) ||
            ((holder ^ me) >> PROCESS_SHIFT != 0 &&
             __atomic_compare_exchange_n(&user, &holder, me, false, __ATOMIC_ACQUIRE,
                                         __ATOMIC_RELAXED)))
            return true;
        if (holder == me || !waits)
            return false; /* a fault of ours, or of no hurry */
        sched_yield();
    }
    return false;
}

static bool is_sent_by_another(const siginfo_t *info)
{
    return info->si_code <= 0 && (uint32_t)info->si_pid != fo_getpid();
}

static void witness(int number, siginfo_t *info, void *context, bool is_handled)
{
    /* A program may handle very many.  And the child of a vfork(2) has its parent's memory. */
    if ((is_handled && !is_by_pattern(number, info, context)) ||
        fo_process_self()->pid != fo_getpid())
        return;
    uint64_t me = this_thread();
    if (!is_handled)
        fo_journal_ended(number);
    if (is_sent_by_another(info) || fo_report_ends ||
        (!is_handled && __atomic_load_n(&reported, __ATOMIC_RELAXED) == me) ||
        (info->si_code > 0 && fo_guard_contains((uintptr_t)info->si_addr)) || /* it reports */
        !take_stack(me, !is_handled))
        return;
    struct look *l = (struct look *)own_stack;
    l->number = number;
    l->is_handled = is_handled;
    l->info = info;
    l->context = context;
    fo_machine_call_on((uintptr_t)own_stack + STACK_SIZE - 256, look, l);
    __atomic_store_n(&user, 0, __ATOMIC_RELEASE);
}

void fo_crash_watch(void)
{
    if (fo_has_tsan()) /* it has its own way with signals */
        return;
    own_stack = fo_apart_map(STACK_SIZE, MAP_PRIVATE);
    if (own_stack != NULL)
        fo_fault_witness_all(witness);
}
