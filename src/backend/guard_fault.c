/* An access to guarded memory that is not allowed: report it before the signal ends the program.
 * The handler is installed only if blocks are guarded. */
#include <signal.h>

#include "backend/guard.h"
#include "base/machine.h"
#include "process/fault.h"
#include "process/process.h"
#include "report/record.h"
#include "report/stacks.h"

/* The kind of the access and its words; false: nothing is wrong. */
static bool classify(struct fo_record *r, const struct fo_guarded *g, enum fo_access access)
{
    static const char *const plain[] = {"read", "write", "execution"};
    static const char *const into[] = {"read of", "write to", "execution of"};

    bool in_front = r->pointer < r->block;

    r->offset = in_front ? r->block - r->pointer : r->pointer - r->block;
    if (!g->live) { /* also in front of the payload: those pages were the block's */
        r->kind = FO_FINDING_GUARD_USE_AFTER_FREE;
        r->verb = into[access];
        return true;
    }
    r->kind = in_front ? FO_FINDING_GUARD_UNDERFLOW : FO_FINDING_GUARD_OVERFLOW;
    r->verb = plain[access];
    return in_front || r->offset >= r->size;
}

static void report(uintptr_t address, const ucontext_t *context)
{
    struct fo_guarded g;

    if (!fo_guard_find(address, &g))
        return;
    const struct fo_process *me = fo_process_self();
    enum fo_access access = fo_machine_access(context);
    uintptr_t code =
        access == FO_ACCESS_EXECUTE ? fo_machine_caller(context) : fo_machine_code(context);
    const struct fo_freed *f = &g.record;
    struct fo_record r = {
        .object = "block",
        .answer = "the program ends",
        .pointer = address,
        .block = (uintptr_t)f->address,
        .now = {true, 0, me->index, fo_thread_id_number(fo_thread_id()), code, fo_stack_capture()},
    };
    fo_record_freed(&r, f);
    r.first.known = !g.live;
    if (classify(&r, &g, access))
        fo_report(&r);
}

static bool on_fault(siginfo_t *info, void *context)
{
    if (fo_guard_contains((uintptr_t)info->si_addr))
        report((uintptr_t)info->si_addr, context);
    return false;
}

void fo_guard_watch_faults(void)
{
    fo_fault_watch(SIGSEGV, on_fault);
}
