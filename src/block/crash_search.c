/* See crash.h.  The program has stopped at any instruction and may hold any lock, so that nothing
 * here allocates, waits or trusts an address. */
#include "block/crash.h"

#include "base/elf.h"
#include "block/verdict.h"
#include "block/watch.h"
#include "options/options.h"

enum {
    JUDGED_MAX = 256,  /* pointers that get more than one look at a table */
    NEAR = 64 << 10,   /* the largest offset of a member, generously */
    PAGE_MASK = 0xfff, /* of the smallest pages */
    CALL_MAX = 8,      /* bytes of the longest call */
};

static bool is_in_library(uintptr_t code)
{
    struct fo_module own;

    return fo_elf_module((uintptr_t)is_in_library, &own) && code >= own.start && code < own.end;
}

/* The frames of instrumented code have holes that it must not touch. */
__attribute__((no_sanitize("address"))) static unsigned copy_words(uintptr_t *out, uintptr_t stack)
{
    unsigned count = 0;

    for (uintptr_t at = (stack + 7) & ~(uintptr_t)7; count < FO_CRASH_WORDS; at += 8) {
        if ((count == 0 || (at & PAGE_MASK) == 0) && !fo_is_readable(at, sizeof *out))
            break;
        out[count++] = *(const volatile uintptr_t *)at;
    }
    return count;
}

static bool is_return_address(uintptr_t code)
{
    return code != 0 && fo_elf_is_code(code) && fo_elf_is_code(code - CALL_MAX) &&
           fo_is_readable(code - CALL_MAX, CALL_MAX) && fo_machine_follows_call(code);
}

/* The stack is not unwound: its words that point behind a call are taken.  Some may be remains of
 * earlier calls. */
static void find_frames(struct fo_crash *c, const ucontext_t *context)
{
    uintptr_t code = fo_machine_code(context), caller = fo_machine_caller(context);

    if (fo_elf_is_code(code) && !is_in_library(code))
        c->frames[c->frame_count++] = code;
    if (!fo_elf_is_code(code) && is_return_address(caller) && !is_in_library(caller))
        c->frames[c->frame_count++] = caller;
    for (unsigned i = 0; i < c->word_count && c->frame_count < FO_CRASH_FRAMES; i++)
        if (is_return_address(c->words[i]) && !is_in_library(c->words[i]) &&
            (c->frame_count == 0 || c->frames[c->frame_count - 1] != c->words[i]))
            c->frames[c->frame_count++] = c->words[i];
}

void fo_crash_copy(struct fo_crash *c, const ucontext_t *context)
{
    c->judged = 0;
    c->frame_count = 0;
    fo_machine_registers(context, c->registers);
    c->word_count = copy_words(c->words, fo_machine_stack(context));
    find_frames(c, context);
}

static bool is_freed(struct fo_crash *c, uintptr_t p, struct fo_record *out)
{
    if (c->judged == JUDGED_MAX || !fo_can_be_freed(p))
        return false;
    c->judged++;
    return fo_find_freed(p, out);
}

/* Of the registers, one that points to a block's start is preferred. */
static bool find_in_registers(struct fo_crash *c, struct fo_record *out)
{
    struct fo_record r;
    bool found = false;

    for (unsigned i = 0; i < FO_MACHINE_REGISTERS; i++) {
        if (!is_freed(c, c->registers[i], &r) || (found && r.pointer != r.block))
            continue;
        *out = r;
        found = true;
        if (r.pointer == r.block)
            break;
    }
    return found;
}

bool fo_crash_find_freed(struct fo_crash *c, unsigned words, struct fo_record *out)
{
    if (find_in_registers(c, out))
        return true;
    for (unsigned i = 0; i < words && i < c->word_count; i++)
        if (is_freed(c, c->words[i], out))
            return true;
    return false;
}

/* On arm64 the kernel clears the topmost byte of a faulting address. */
bool fo_crash_is_pattern(uintptr_t value)
{
    uintptr_t pattern;

    memset(&pattern, FO_FILL_BYTE, sizeof pattern);
    uintptr_t apart = (value - pattern + NEAR) << 8 >> 8;
    return fo_options.fill && apart <= 2 * (uintptr_t)NEAR;
}

static bool is_narrow_pattern(uintptr_t value)
{
    uint32_t pattern;

    memset(&pattern, FO_FILL_BYTE, sizeof pattern);
    return fo_options.fill && value == pattern;
}

bool fo_crash_has_pattern(const ucontext_t *context, bool narrow)
{
    uintptr_t registers[FO_MACHINE_REGISTERS];

    fo_machine_registers(context, registers);
    for (unsigned i = 0; i < FO_MACHINE_REGISTERS; i++)
        if (fo_crash_is_pattern(registers[i]) || (narrow && is_narrow_pattern(registers[i])))
            return true;
    return false;
}
