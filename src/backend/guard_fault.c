/* An access to guarded memory that is not allowed: report it on the way to the program's death.
 * The handler is installed only if blocks are guarded. */
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "backend/guard.h"
#include "core/fault.h"
#include "core/probe.h"
#include "core/stacks.h"
#include "fork/process.h"
#include "report/record.h"

enum access { READ, WRITE, EXECUTE };

#if defined(__x86_64__)
/* The page fault's error code: bit 1 a write, bit 4 an instruction fetch. */
static enum access access_of(const ucontext_t *context)
{
    long long error = context->uc_mcontext.gregs[REG_ERR];
    return (error & 16) != 0 ? EXECUTE : (error & 2) != 0 ? WRITE : READ;
}

static uintptr_t code_of(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
}

/* Where a call that has just arrived came from. */
static uintptr_t return_address(const ucontext_t *context)
{
    uintptr_t stack = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
    return fo_readable(stack, sizeof stack) ? *(const uintptr_t *)stack : 0;
}
#else
/* The record of the syndrome register among the kernel's records: bits 31 to 26 its class (36: data
 * abort, 32: instruction abort, both from user space), bit 6 a write. */
static enum access access_of(const ucontext_t *context)
{
    const unsigned char *at = context->uc_mcontext.__reserved;
    const unsigned char *end = at + sizeof context->uc_mcontext.__reserved;
    struct {
        uint32_t magic, size;
        uint64_t esr;
    } head;

    while (at + sizeof head <= end) {
        memcpy(&head, at, sizeof head);
        if (head.magic == 0x45535201)
            return head.esr >> 26 == 32 ? EXECUTE : (head.esr & 1 << 6) != 0 ? WRITE : READ;
        if (head.magic == 0 || head.size < 8)
            break;
        at += head.size;
    }
    return READ;
}

static uintptr_t code_of(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.pc;
}

static uintptr_t return_address(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.regs[30];
}
#endif

/* What happened to the block, and in which words; false: nothing that is wrong. */
static bool classify(struct fo_record *r, const struct fo_guarded *g, enum access access)
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
    enum access access = access_of(context);
    uintptr_t code = access == EXECUTE ? return_address(context) : code_of(context);
    const struct fo_freed *f = &g.record;
    struct fo_record r = {
        .object = "block",
        .answer = "the program ends",
        .pointer = address,
        .block = (uintptr_t)f->address,
        .now = {true, 0, me->index, fo_who_thread(fo_who()), code, fo_stack_capture()},
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
