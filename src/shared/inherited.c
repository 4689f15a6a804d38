/* See inherited.h.  Called by load/objects.c, only where memory is shared. */
#include "shared/inherited.h"

#include "base/hot.h"
#include "block/registry.h"
#include "heap/region.h"
#include "process/process.h"
#include "process/rows.h"

/* References of this process, by object.  When there is no room, one is not counted, and the object
 * lives for longer than it should. */
enum { COUNTED = 512, PROBES = 16 };

static FO_BULKY struct {
    uintptr_t object; /* 0: free; acquired before the others, which are relaxed */
    int32_t count;
    uint32_t process; /* serial number of this one: a parent's references are not this process's */
} counted[COUNTED];

/* Row of the process that made the block, and whether the block is live; 0: not known. */
static uint32_t maker_of(uintptr_t p, bool *lives)
{
    if (fo_region_contains(p) && FO_RELAXED_LOAD(&fo_hot.direct)) {
        struct fo_at at = fo_region_at(p);
        bool known = at.state == FO_FOUND_LIVE || at.state == FO_FOUND_FREED;
        *lives = at.state == FO_FOUND_LIVE && at.payload == p;
        return known && at.payload == p ? fo_word_process(at.word) : 0;
    }
    const uint8_t *slot = fo_registry_slot(p);
    uint8_t state = slot != NULL ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : FO_SLOT_NONE;
    *lives = state == FO_SLOT_LIVE;
    if (state != FO_SLOT_LIVE && state != FO_SLOT_FREED)
        return 0;
    return fo_word_process(FO_RELAXED_LOAD(&fo_header_of(p)->word));
}

bool fo_inherited_is_live(uintptr_t p)
{
    bool lives;

    return maker_of(p, &lives) != 0 && lives;
}

uint32_t fo_inherited_maker(uintptr_t p)
{
    bool lives;
    uint32_t maker = maker_of(p, &lives);

    return lives ? maker : 0;
}

bool fo_inherited_has(uintptr_t p)
{
    bool lives;
    uint32_t maker = maker_of(p, &lives);

    return maker != 0 && fo_row_is_ancestor(maker);
}

bool fo_inherited_is_own(uintptr_t p)
{
    bool lives;

    return maker_of(p, &lives) == fo_process_self()->index;
}

static unsigned place(uintptr_t object, unsigned probe)
{
    return (unsigned)(((object >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 32) + probe) % COUNTED;
}

void fo_inherited_reference(uintptr_t p)
{
    uint32_t self = fo_process_serial();

    for (unsigned i = 0; i < PROBES; i++) {
        unsigned at = place(p, i);
        uintptr_t object = __atomic_load_n(&counted[at].object, __ATOMIC_ACQUIRE);
        bool old = object != 0 && FO_RELAXED_LOAD(&counted[at].process) != self;
        if (object == p && !old) {
            __atomic_fetch_add(&counted[at].count, 1, __ATOMIC_RELAXED);
            return;
        }
        if ((object == 0 || old) &&
            __atomic_compare_exchange_n(&counted[at].object, &object, p, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
            FO_RELAXED_STORE(&counted[at].count, 1);
            FO_RELAXED_STORE(&counted[at].process, self);
            return;
        }
    }
}

bool fo_inherited_release(uintptr_t p)
{
    uint32_t self = fo_process_serial();

    for (unsigned i = 0; i < PROBES; i++) {
        unsigned at = place(p, i);
        if (__atomic_load_n(&counted[at].object, __ATOMIC_ACQUIRE) != p ||
            FO_RELAXED_LOAD(&counted[at].process) != self)
            continue;
        if (__atomic_fetch_sub(&counted[at].count, 1, __ATOMIC_RELAXED) > 0)
            return true;
        __atomic_fetch_add(&counted[at].count, 1, __ATOMIC_RELAXED);
    }
    return false;
}
