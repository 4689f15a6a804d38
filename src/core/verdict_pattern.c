/* The pattern of freed memory (FREEONCE_FILL), handed in as a pointer: it was read from a freed
 * block.  Which one?  The function that read it mostly has a pointer to that block in a register or
 * on its stack still.  What lies there may be old, so the report says "perhaps". */
#include "core/options.h"
#include "core/probe.h"
#include "core/quarantine.h"
#include "core/registry.h"
#include "core/verdict_parts.h"
#include "core/watch.h"

enum { STACK_WORDS = 128 };
#define MEMBER_MOST ((uintptr_t)4096)

bool fo_is_pattern(uintptr_t p)
{
    const uintptr_t pattern = UINTPTR_MAX / UINT8_MAX * FO_FILL_BYTE;

    return fo_hot.fill && p - (pattern - MEMBER_MOST) <= 2 * MEMBER_MOST;
}

static bool waits(uintptr_t p)
{
    const uint8_t *slot = fo_registry_slot(p);

    return slot != NULL && __atomic_load_n(slot, __ATOMIC_ACQUIRE) == FO_SLOT_FREED;
}

/* The last word from here up that is the start of a block that waits: the frames that come first
 * are the library's own, and have leftovers of earlier calls in them; what the caller's registers
 * held is saved at their end.  0: there is none. */
__attribute__((noinline, no_sanitize("address"), no_sanitize("thread"))) static uintptr_t
look_up(void)
{
    uintptr_t at = (uintptr_t)__builtin_frame_address(0), found = 0;

    for (int i = 0; i < STACK_WORDS && (at % 4096 != 0 || fo_readable(at, sizeof at)); i++) {
        uintptr_t word = *(const volatile uintptr_t *)at;
        if (waits(word))
            found = word;
        at += sizeof at;
    }
    return found;
}

/* With the registers that no function has saved yet. */
__attribute__((noinline)) static uintptr_t find_on_stack(void)
{
    __builtin_unwind_init();
    uintptr_t found = look_up();
    __asm__ volatile("" : "+r"(found)); /* no tail call: what was saved stays below */
    return found;
}

bool fo_judge_pattern(struct fo_record *r)
{
    struct fo_freed f;

    if (!fo_is_pattern(r->pointer))
        return false;
    r->kind = FO_FINDING_PATTERN;
    uintptr_t block = find_on_stack();
    if (block != 0 && fo_quarantine_find(block, &f) != FO_FORGOTTEN) {
        r->block = block;
        fo_record_freed(r, &f);
    }
    return true;
}
