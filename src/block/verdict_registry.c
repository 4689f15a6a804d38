/* What is at an address outside of backend arena's heap?  The order of questions matters: first the
 * registry, for the blocks that are there now, then the rings of the quarantine, for earlier ones,
 * and last the neighbourhood of the pointer.  Relaxed: a header, which its check bits judge, and
 * states of neighbours. */
#include "block/verdict_parts.h"

#include <sched.h>

#include "backend/backend.h"
#include "backend/guard.h"
#include "base/probe.h"
#include "block/quarantine.h"
#include "block/registry.h"
#include "block/watch.h"
#include "heap/region.h"
#include "options/options.h"
#include "process/process.h"
#include "report/stacks.h"

/* The newest free of the payload that starts at p: backend guard keeps its own records for as long
 * as their pages are closed. */
static enum fo_remembered find_freed(uintptr_t p, struct fo_freed *out)
{
    struct fo_guarded g;

    if (!fo_guard_contains(p) || !fo_guard_find(p, &g) || g.live || g.record.address != p)
        return fo_quarantine_find(p, out);
    *out = g.record;
    return FO_WAITING;
}

/* The payload starts at p; its slot is FREED or BUSY: the record is there, or is being written. */
static void judge_freed(struct fo_record *r, const uint8_t *slot)
{
    struct fo_freed f;

    r->kind = FO_FINDING_DOUBLE_FREE;
    for (int i = 0; i < FO_PATIENCE; i++) {
        bool gone = __atomic_load_n(slot, __ATOMIC_ACQUIRE) == FO_SLOT_GONE;
        enum fo_remembered found = find_freed(r->pointer, &f);
        /* A tombstone of an earlier block at this address does not count while this one waits. */
        if (found == FO_WAITING || (found == FO_TOMBSTONE && gone)) {
            fo_record_freed(r, &f);
            return;
        }
        sched_yield();
    }
    r->racing = true;
}

/* The header of a registered block, as far as it can be read: another thread may be giving the
 * block back at this moment. */
static bool read_header(uintptr_t payload, struct fo_header *out)
{
    struct fo_header *h = fo_header_of(payload);

    if (fo_guard_contains(payload) || !fo_is_readable((uintptr_t)h, sizeof *h))
        return false; /* guarded pages may close at this moment, and guard has their records */
    out->site = FO_RELAXED_LOAD(&h->site);
    out->word = FO_RELAXED_LOAD(&h->word);
    return (out->word & FO_CHECK_MASK) == fo_check(fo_hot.secret, payload, out->site, out->word);
}

/* A block around p, or near it. */
struct near {
    uintptr_t payload; /* 0: there is none */
    bool freed;
    struct fo_header header;
};

static struct near find_near(uintptr_t payload)
{
    struct near n = {.payload = payload};
    const uint8_t *slot = payload != 0 ? fo_registry_slot(payload) : NULL;
    uint8_t state = slot != NULL ? FO_RELAXED_LOAD(slot) : FO_SLOT_NONE;

    n.freed = state == FO_SLOT_FREED;
    if (!fo_slot_is_owned(state) || !read_header(payload, &n.header))
        n.payload = 0;
    return n;
}

static uintptr_t end_of(const struct near *n)
{
    return n->payload + fo_word_size(n->header.word);
}

/* The memory that the backend returned ends within 15 bytes of the payload's end, and the header of
 * the next block, or the backend's own, follows. */
static bool is_behind(const struct near *n, uintptr_t p)
{
    uintptr_t room = n->payload - sizeof n->header + fo_room(fo_word_size(n->header.word));

    return n->payload != 0 && p >= end_of(n) && p < room + sizeof n->header;
}

static bool is_in_header(const struct near *n, uintptr_t p)
{
    return n->payload != 0 && p < n->payload &&
           p + sizeof n->header + fo_word_pad(n->header.word) >= n->payload;
}

static bool judge_as_near(struct fo_record *r, const struct near *n)
{
    struct fo_freed f;

    r->block = n->payload;
    r->size = fo_word_size(n->header.word);
    r->allocated = (struct fo_place){true,
                                     n->header.site,
                                     fo_word_process(n->header.word),
                                     0,
                                     0,
                                     fo_options.stacks != 0 ? fo_stack_of(n->payload, r->size) : 0};
    if (n->freed && fo_quarantine_find(n->payload, &f) != FO_FORGOTTEN)
        fo_record_freed(r, &f);
    fo_judge_offset(r, !n->freed);
    return true;
}

/* The same for a pointer into the pages of backend guard. */
static bool judge_guarded(struct fo_record *r)
{
    struct fo_guarded g;
    if (!fo_guard_find(r->pointer, &g))
        return false;
    uintptr_t payload = (uintptr_t)g.record.address;

    if (r->pointer + sizeof(struct fo_header) < payload)
        return false;
    fo_record_freed(r, &g.record);
    r->block = payload;
    r->first.known = !g.live;
    fo_judge_offset(r, g.live);
    return true;
}

static bool judge_neighbourhood(struct fo_record *r)
{
    uintptr_t p = r->pointer, above = (p + 15) & ~(uintptr_t)15;

    if (fo_guard_contains(p))
        return judge_guarded(r);
    if (!fo_is_address(p) || !fo_is_address(p + 32))
        return false;
    struct near front = find_near(fo_registry_below(p)), next = find_near(above);
    if (front.payload != 0 && p < end_of(&front))
        return judge_as_near(r, &front);
    /* The 16 or 24 bytes in front of a payload belong to its block: the closer block is named. */
    if (!is_in_header(&next, p))
        next = find_near(above + 16);
    bool before = is_in_header(&next, p);
    if (is_behind(&front, p) && (!before || p - end_of(&front) <= next.payload - p))
        return judge_as_near(r, &front);
    return before && judge_as_near(r, &next);
}

/* Where a live block ends, or less than a header behind that, no block can begin: a tombstone of
 * one that did is older than the live block. */
static bool is_end_of_live(uintptr_t p)
{
    struct near n = find_near(fo_registry_below(p));

    return n.payload != 0 && !n.freed && p - end_of(&n) < sizeof(struct fo_header);
}

/* Memory of the library's own, which never becomes the program's. */
static bool is_library_memory(uintptr_t p)
{
    return fo_guard_contains(p) || fo_region_contains(p);
}

bool fo_judge_missed(struct fo_record *r)
{
    r->kind = FO_FINDING_FORGOTTEN;
    if (!is_library_memory(r->pointer))
        r->memory = "or the memory is the program's by now";
    return true;
}

bool fo_judge_registry(struct fo_record *r)
{
    uint8_t *slot = fo_registry_slot(r->pointer);
    uint8_t state = slot != NULL ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : FO_SLOT_NONE;
    struct fo_freed f;

    if (state == FO_SLOT_DAMAGED) {
        r->kind = FO_FINDING_HEADER;
    } else if (fo_slot_is_owned(state)) {
        judge_freed(r, slot);
    } else if (state == FO_SLOT_GONE && !is_end_of_live(r->pointer) &&
               fo_quarantine_find(r->pointer, &f) != FO_FORGOTTEN) {
        r->kind = FO_FINDING_DOUBLE_FREE;
        fo_record_freed(r, &f);
    } else {
        return judge_neighbourhood(r) || (state == FO_SLOT_GONE && fo_judge_missed(r));
    }
    return true;
}

/* An address that was given back may be a part of a later block by now: BN_CTX keeps BIGNUMs in an
 * array and frees each, twice in a healthy handshake.  So no system call here, unlike
 * read_header(): a sandbox may forbid it.  The caller owns a block around p, of which it frees a
 * part. */
static bool is_part_of_block(uintptr_t p)
{
    uintptr_t payload = fo_registry_below(p);

    if (payload == 0 || FO_RELAXED_LOAD(fo_registry_slot_known(payload)) != FO_SLOT_LIVE)
        return false;
    const struct fo_header *h = fo_header_of(payload);
    return p - payload < fo_word_size(FO_RELAXED_LOAD(&h->word));
}

static bool judge_gone_object(struct fo_record *r)
{
    struct fo_freed f;

    if (is_part_of_block(r->pointer))
        return false;
    if (fo_quarantine_find(r->pointer, &f) == FO_FORGOTTEN)
        return r->operation == FO_OPERATION_FREE && is_library_memory(r->pointer) &&
               fo_judge_missed(r);
    r->kind = FO_FINDING_DOUBLE_FREE;
    fo_record_freed(r, &f);
    return true;
}

bool fo_judge_registry_can_be_freed(uintptr_t p)
{
    if (__atomic_load_n(&fo_hot.entered, __ATOMIC_ACQUIRE) == NULL)
        return false;
    const uint8_t *slot = fo_registry_slot(p);
    uint8_t state = slot != NULL ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : FO_SLOT_NONE;

    return state != FO_SLOT_NONE && state != FO_SLOT_LIVE && state != FO_SLOT_DAMAGED;
}

bool fo_judge_registry_object(struct fo_record *r, bool remembered)
{
    uint8_t *slot = fo_registry_slot(r->pointer);
    uint8_t state = slot != NULL ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : FO_SLOT_NONE;

    if (state == FO_SLOT_GONE)
        return remembered && judge_gone_object(r);
    if (state != FO_SLOT_FREED && state != FO_SLOT_BUSY)
        return false;
    judge_freed(r, slot);
    return true;
}

bool fo_judge_registry_live(struct fo_record *r)
{
    uint8_t *slot = fo_registry_slot(r->block);

    if (slot == NULL || !fo_registry_claim(slot, FO_SLOT_LIVE, FO_SLOT_BUSY))
        return false;
    struct fo_header h = *fo_header_of(r->block);
    __atomic_store_n(slot, FO_SLOT_LIVE, __ATOMIC_RELEASE);
    if (!fo_is_live(fo_hot.secret, r->block, h.site, h.word))
        return false;
    r->size = fo_word_size(h.word);
    r->allocated = (struct fo_place){
        true, h.site, fo_word_process(h.word),
        0,    0,      fo_options.stacks != 0 ? fo_stack_of(r->block, r->size) : 0};
    return true;
}

void fo_judge_registry_neighbour(struct fo_record *r)
{
    struct fo_header h;
    uintptr_t below = fo_registry_below(r->pointer - sizeof h - 1);

    if (fo_hot.tail == 0 || below == 0 || !read_header(below, &h) ||
        fo_watch_damage(below, fo_word_size(h.word)) < 0)
        return;
    r->neighbour.block = below;
    r->neighbour.size = fo_word_size(h.word);
    r->neighbour.allocated = h.site;
}
