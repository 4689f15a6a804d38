/* The slots of backend `guard` (see guard.h): where they are, which is next, and their pages.  Used
 * by guard.c alone. */
#ifndef FO_BACKEND_GUARD_SLOTS_H
#define FO_BACKEND_GUARD_SLOTS_H

#include "backend/guard.h"

enum fo_guard_state { FO_GUARD_NEVER, FO_GUARD_CHANGING, FO_GUARD_LIVE, FO_GUARD_FREED };

struct fo_guard_slot {
    struct fo_freed record;
    uint32_t state; /* written last, read first: a reader takes no lock */
};

/* Slots of one size: `fresh` of them were used, the ring holds those that were freed.  The lock has
 * the serial number of its owner (process/process.h).  A thread waits for it a short while only.  A
 * lock whose owner a fork left behind in the parent is taken over. */
struct fo_guard_class {
    uintptr_t start;
    size_t stride;
    uint32_t count; /* a power of two, or 0 */
    uint32_t fresh;
    uint32_t lock, head, tail;
    uint32_t *ring;
    struct fo_guard_slot *slots;
};

/* Reserve addresses for so many slots of one page, a power of two, and fewer larger ones.  False:
 * there is no room. */
bool fo_guard_reserve(uint32_t slots);

/* The slot of an address in the range; its class too.  NULL: the page in front of the first. */
struct fo_guard_slot *fo_guard_slot_at(uintptr_t p, struct fo_guard_class **of);

/* Where the run of pages of a slot ends and its guard page begins. */
uintptr_t fo_guard_run_end(const struct fo_guard_class *c, const struct fo_guard_slot *s);

/* For a block of `room` bytes, header included; NULL: too large. */
struct fo_guard_class *fo_guard_class_for(size_t room);

/* Take one that was never used, or else the one that was freed longest ago; NULL: none, or the lock
 * cannot be acquired.  And put one back. */
struct fo_guard_slot *fo_guard_next(struct fo_guard_class *c, uint32_t process);
void fo_guard_queue(struct fo_guard_class *c, const struct fo_guard_slot *s, uint32_t process);

/* Pages at the end of a run, for `room` bytes: accessible, and inaccessible again. */
bool fo_guard_open(uintptr_t end, size_t room);
void fo_guard_close(uintptr_t end, size_t room);

#endif
