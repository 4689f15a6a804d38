/* The pattern of freed memory (FREEONCE_FILL), passed as a pointer: it was read from a freed block.
 * Which one?  The function that read it mostly still has a pointer to that block in a register or
 * on its stack.  These values may be old, so the report says "perhaps". */
#include "base/machine.h"
#include "base/probe.h"
#include "block/quarantine.h"
#include "block/registry.h"
#include "block/verdict.h"
#include "block/verdict_parts.h"
#include "block/watch.h"
#include "options/options.h"

enum { SAVED_WORDS = FO_MACHINE_SAVED_WORDS, CALLERS_WORDS = 64, OWN_FRAMES_MOST = 4096 };

__thread uintptr_t fo_verdict_frame;

#define MEMBER_MOST ((uintptr_t)4096)

bool fo_is_pattern(uintptr_t p)
{
    const uintptr_t pattern = UINTPTR_MAX / UINT8_MAX * FO_FILL_BYTE;

    return fo_hot.fill && p - (pattern - MEMBER_MOST) <= 2 * MEMBER_MOST;
}

static bool is_waiting(uintptr_t p)
{
    const uint8_t *slot = fo_registry_slot(p);

    return slot != NULL && __atomic_load_n(slot, __ATOMIC_ACQUIRE) == FO_SLOT_FREED;
}

static uintptr_t find_at(uintptr_t at) __attribute__((no_sanitize("address", "thread")));
static uintptr_t find_at(uintptr_t at)
{
    uintptr_t word = *(const volatile uintptr_t *)at;

    return is_waiting(word) ? word : 0;
}

static uintptr_t search_up(uintptr_t at)
{
    uintptr_t found = 0;

    for (int i = 0; i < CALLERS_WORDS && found == 0; i++, at += sizeof at) {
        if ((i == 0 || at % 4096 == 0) && !fo_is_readable(at, sizeof at))
            break;
        found = find_at(at);
    }
    return found;
}

static uintptr_t search_down(uintptr_t from, uintptr_t least)
{
    uintptr_t found = 0;

    for (uintptr_t at = from; at > least && found == 0;)
        found = find_at(at -= sizeof at);
    return found;
}

/* Search around the end of the noted frame.  Right below it are the registers that its function
 * saved, above it the frames of that function's callers.  Further below are registers that later
 * functions saved, and remains of earlier calls.  0: there is none. */
static __attribute__((noinline)) uintptr_t find_on_stack(uintptr_t end)
{
    __builtin_unwind_init();
    uintptr_t least = (uintptr_t)__builtin_frame_address(0) - SAVED_WORDS * sizeof end;
    uintptr_t saved = end - SAVED_WORDS * sizeof end;

    if (saved <= least || end - least > OWN_FRAMES_MOST)
        return 0;
    uintptr_t found = search_down(end, saved);
    if (found == 0)
        found = search_up(end);
    return found != 0 ? found : search_down(saved, least);
}

bool fo_judge_pattern(struct fo_record *r)
{
    struct fo_freed f;

    if (!fo_is_pattern(r->pointer))
        return false;
    r->kind = FO_FINDING_PATTERN;
    uintptr_t block = find_on_stack(fo_verdict_frame);
    if (block != 0 && fo_quarantine_find(block, &f) != FO_FORGOTTEN) {
        r->block = block;
        fo_record_freed(r, &f);
    }
    return true;
}
