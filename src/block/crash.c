/* Before the program's handler runs, or a signal ends the program: was freed memory used?
 *
 * With FREEONCE_FILL a pointer that is read from a freed block is the pattern, which is no address:
 * that is certain.  All else is a guess: a register or the stack points to a freed block.  A
 * program that handles the signal itself may continue (Java reads through null pointers on
 * purpose), so that a guess is reported only where the signal ends the program.
 *
 * The search runs on a stack of its own: that of the program may be small or nearly full. */
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
    NEAR_WORDS = 128,  /* of the stack, searched after a fault without the pattern */
    ABORT_WORDS = 512, /* the same after abort(3), which has a frame itself */
    FIRST_PAGES = 64 << 10,
    PATIENCE = 20000, /* attempts while another thread reports its own fault */
};

static char *own_stack;
static uint64_t stack_owner; /* the thread that uses it; 0: none */
static uint64_t reported;    /* the thread of the last report: its handler may end the program */

struct fault {
    int number;
    bool is_handled;
    siginfo_t *info;
    const ucontext_t *context;
    struct fo_crash crash;
};

/* Names the process, too, without a system call that a sandbox may forbid. */
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
    /* x86-64: for a non-canonical address the kernel gives SI_KERNEL, and no address. */
    return info->si_code == SI_KERNEL ? fo_crash_has_pattern(context, false)
                                      : fo_crash_is_pattern((uintptr_t)info->si_addr);
}

/* A number that was read from freed memory was a part of the address; or the address was read and
 * jumped to at once. */
static bool can_be_by_pattern(const struct fault *l)
{
    if (l->info->si_code <= 0 || (l->number != SIGSEGV && l->number != SIGBUS))
        return false;
    return l->info->si_code == SI_KERNEL
               ? fo_options.fill && fo_machine_jumps_through_memory(fo_machine_code(l->context))
               : (uintptr_t)l->info->si_addr >= FIRST_PAGES &&
                     fo_crash_has_pattern(l->context, true);
}

static void judge(struct fault *l, struct fo_record *r)
{
    bool certain = is_by_pattern(l->number, l->info, l->context),
         likely = certain || can_be_by_pattern(l);
    unsigned words = certain ? FO_CRASH_WORDS : l->number == SIGABRT ? ABORT_WORDS : NEAR_WORDS;

    if (fo_crash_find_freed(&l->crash, words, r)) {
        r->kind = likely ? FO_FINDING_FAULT_USED : FO_FINDING_FAULT_NEAR;
        return;
    }
    *r = (struct fo_record){.kind = certain ? FO_FINDING_FAULT_PATTERN : FO_FINDING_FAULT,
                            .object = "block"};
}

/* Of a signal that the program raised, the caller of the module that raised it. */
static uintptr_t place_of(const struct fault *l)
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

static void report_fault(void *data)
{
    struct fault *l = data;
    struct fo_record r;

    fo_crash_copy(&l->crash, l->context);
    judge(l, &r);
    r.operation = FO_OPERATION_FREE;
    r.verb = name_of(l->number);
    r.answer = l->is_handled ? "the program's own handler is called" : "the program ends";
    r.now = (struct fo_place){true,
                              0,
                              fo_process_self()->index,
                              fo_thread_id_number(fo_thread_id()),
                              place_of(l),
                              fo_stack_put(l->crash.frames, l->crash.frame_count)};
    __atomic_store_n(&reported, this_thread(), __ATOMIC_RELAXED); /* read by this thread alone */
    fo_report(&r);
}

/* When several threads fault at once, each fault is reported before the process ends.  A holder of
 * another process is a thread of the parent, which the fork did not copy. */
static bool acquire_stack(uint64_t me, bool waits)
{
    for (int i = 0; i < PATIENCE; i++) {
        uint64_t holder = 0; /* a failure is relaxed: it is tried again */
        if (__atomic_compare_exchange_n(&stack_owner, &holder, me, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED) ||
            ((holder ^ me) >> PROCESS_SHIFT != 0 &&
             __atomic_compare_exchange_n(&stack_owner, &holder, me, false, __ATOMIC_ACQUIRE,
                                         __ATOMIC_RELAXED)))
            return true;
        if (holder == me || !waits)
            return false; /* a fault of the search itself, or one that the program handles */
        sched_yield();
    }
    return false;
}

static bool is_sent_by_another(const siginfo_t *info)
{
    return info->si_code <= 0 && (uint32_t)info->si_pid != fo_getpid();
}

static void examine(int number, siginfo_t *info, void *context, bool is_handled)
{
    /* A program may handle very many.  And the child of a vfork(2) uses its parent's memory. */
    if ((is_handled && !is_by_pattern(number, info, context)) ||
        fo_process_self()->pid != fo_getpid())
        return;
    uint64_t me = this_thread();
    if (!is_handled)
        fo_journal_record_signal(number);
    if (is_sent_by_another(info) || fo_report_ends ||
        (!is_handled && __atomic_load_n(&reported, __ATOMIC_RELAXED) == me) ||
        (info->si_code > 0 && fo_guard_contains((uintptr_t)info->si_addr)) || /* guard reports it */
        !acquire_stack(me, !is_handled))
        return;
    struct fault *l = (struct fault *)own_stack;
    l->number = number;
    l->is_handled = is_handled;
    l->info = info;
    l->context = context;
    fo_machine_call_on((uintptr_t)own_stack + STACK_SIZE - 256, report_fault, l);
    __atomic_store_n(&stack_owner, 0, __ATOMIC_RELEASE);
}

void fo_crash_watch(void)
{
    if (fo_has_tsan()) /* it handles signals itself */
        return;
    own_stack = fo_apart_map(STACK_SIZE, MAP_PRIVATE);
    if (own_stack != NULL)
        fo_fault_witness_all(examine);
}
