/* What a signal handler reads from the processor: the registers at a fault, and whether an address
 * follows a call.  All code for faults that depends on the architecture is here. */
#ifndef FO_BASE_MACHINE_H
#define FO_BASE_MACHINE_H

#include <string.h>
#include <ucontext.h>

#include "base/base.h"
#include "base/probe.h"

enum fo_access { FO_ACCESS_READ, FO_ACCESS_WRITE, FO_ACCESS_EXECUTE };

#if defined(__x86_64__)

/* The page fault's error code: bit 1 a write, bit 4 an instruction fetch. */
static inline enum fo_access fo_machine_access(const ucontext_t *context)
{
    long long error = context->uc_mcontext.gregs[REG_ERR];

    return (error & 16) != 0  ? FO_ACCESS_EXECUTE
           : (error & 2) != 0 ? FO_ACCESS_WRITE
                              : FO_ACCESS_READ;
}

static inline uintptr_t fo_machine_code(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
}

static inline uintptr_t fo_machine_stack(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
}

/* The return address of a call that has just arrived. */
static inline uintptr_t fo_machine_caller(const ucontext_t *context)
{
    uintptr_t stack = fo_machine_stack(context);

    return fo_is_readable(stack, sizeof stack) ? *(const uintptr_t *)stack : 0;
}

/* The registers that a function saved lie in so many words below the end of its frame. */
enum { FO_MACHINE_REGISTERS = 15, FO_MACHINE_SAVED_WORDS = 8 };

/* The registers that mostly hold a function's object come first: arguments, and those that a call
 * preserves. */
static inline void fo_machine_registers(const ucontext_t *context,
                                        uintptr_t out[FO_MACHINE_REGISTERS])
{
    static const int order[FO_MACHINE_REGISTERS] = {REG_RDI, REG_RBX, REG_RBP, REG_RAX, REG_RSI,
                                                    REG_RDX, REG_R12, REG_R13, REG_R14, REG_R15,
                                                    REG_RCX, REG_R8,  REG_R9,  REG_R10, REG_R11};

    for (int i = 0; i < FO_MACHINE_REGISTERS; i++)
        out[i] = (uintptr_t)context->uc_mcontext.gregs[order[i]];
}

/* Does a call end in front of this address?  `code` has 8 readable bytes before it. */
static inline bool fo_machine_follows_call(uintptr_t code)
{
    const unsigned char *p = (const unsigned char *)code;

    if (p[-5] == 0xe8) /* call to a relative address */
        return true;
    for (int length = 2; length <= 7; length++) /* call through a register or memory: ff /2 */
        if (length != 4 && length != 5 && p[-length] == 0xff && (p[1 - length] & 0x38) == 0x10)
            return true;
    return p[-4] == 0xff && p[-3] == 0x54; /* with an index and 8 bits of offset */
}

/* Does the instruction at `code` jump to, or call, an address that it reads from memory?  Then the
 * address is in no register. */
static inline bool fo_machine_jumps_through_memory(uintptr_t code)
{
    const unsigned char *p = (const unsigned char *)code;

    if (!fo_is_readable(code, 3))
        return false;
    p += (*p & 0xf0) == 0x40; /* REX */
    return p[0] == 0xff && p[1] < 0xc0 && ((p[1] & 0x38) == 0x10 || (p[1] & 0x38) == 0x20);
}

/* Call function(argument) on the stack that ends at `top`, a multiple of 16. */
static inline void fo_machine_call_on(uintptr_t top, void (*function)(void *), void *argument)
{
    __asm__ volatile("movq %%rsp, %%rbx\n\t"
                     "movq %[top], %%rsp\n\t"
                     "callq *%[function]\n\t"
                     "movq %%rbx, %%rsp"
                     : "+D"(argument)
                     : [top] "r"(top), [function] "r"(function)
                     : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "xmm0", "xmm1",
                       "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                       "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc", "memory");
}

#else

/* The syndrome register, from the kernel's records: bits 31 to 26 are its class (36: data abort,
 * 32: instruction abort, both from user space), bit 6 is set for a write. */
static inline enum fo_access fo_machine_access(const ucontext_t *context)
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
            return head.esr >> 26 == 32       ? FO_ACCESS_EXECUTE
                   : (head.esr & 1 << 6) != 0 ? FO_ACCESS_WRITE
                                              : FO_ACCESS_READ;
        if (head.magic == 0 || head.size < 8)
            break;
        at += head.size;
    }
    return FO_ACCESS_READ;
}

static inline uintptr_t fo_machine_code(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.pc;
}

static inline uintptr_t fo_machine_stack(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.sp;
}

static inline uintptr_t fo_machine_caller(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.regs[30];
}

/* The saved registers lie at the lower end of the frame, below the function's variables. */
enum { FO_MACHINE_REGISTERS = 30, FO_MACHINE_SAVED_WORDS = 16 };

/* The first argument, the registers that a call preserves, and the rest. */
static inline void fo_machine_registers(const ucontext_t *context,
                                        uintptr_t out[FO_MACHINE_REGISTERS])
{
    int count = 0;

    out[count++] = (uintptr_t)context->uc_mcontext.regs[0];
    for (int i = 19; i < 30; i++)
        out[count++] = (uintptr_t)context->uc_mcontext.regs[i];
    for (int i = 1; i < 19; i++)
        out[count++] = (uintptr_t)context->uc_mcontext.regs[i];
}

/* BL or BLR. */
static inline bool fo_machine_follows_call(uintptr_t code)
{
    uint32_t before;

    if (code % sizeof before != 0)
        return false;
    memcpy(&before, (const char *)code - sizeof before, sizeof before);
    return before >> 26 == 0x25 || (before & 0xfffffc1f) == 0xd63f0000;
}

/* arm64 has no such instruction. */
static inline bool fo_machine_jumps_through_memory(uintptr_t code)
{
    (void)code;
    return false;
}

static inline void fo_machine_call_on(uintptr_t top, void (*function)(void *), void *argument)
{
    register void *x0 __asm__("x0") = argument;

    __asm__ volatile("mov x19, sp\n\t"
                     "mov sp, %[top]\n\t"
                     "blr %[function]\n\t"
                     "mov sp, x19"
                     : "+r"(x0)
                     : [top] "r"(top), [function] "r"(function)
                     : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
                       "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x30", "v0", "v1", "v2",
                       "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
                       "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",
                       "v26", "v27", "v28", "v29", "v30", "v31", "cc", "memory");
}

#endif

#endif
