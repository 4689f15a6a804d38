/* The judge.  The order of questions matters: the registry knows what is ours now, the rings know
 * what was, and only then comes the neighbourhood of the pointer. */
#include "core/verdict.h"

#include <sched.h>

#include "backend/guard.h"
#include "backend/region.h"
#include "core/options.h"
#include "core/probe.h"
#include "core/quarantine.h"
#include "core/registry.h"
#include "core/stacks.h"
#include "core/watch.h"
#include "fork/process.h"

/* How often to look again for the record of a free that another thread is writing just now. */
enum { PATIENCE = 20 };

static const char *const answers[] = {
    [FO_OPERATION_FREE] = "skipped",
    [FO_OPERATION_REALLOC] = "answered NULL",
    [FO_OPERATION_REFERENCE] = "answered 0",
};

static struct fo_record new_record(uintptr_t p, enum fo_operation operation, fo_site now)
{
    const struct fo_process *me = fo_process_self();
    uint64_t who = fo_who();

    return (struct fo_record){
        .operation = operation,
        .object = "block",
        .answer = answers[operation],
        .pointer = p,
        .block = p,
        .now = {true, now, me->index, fo_who_thread(who), fo_thread.caller, fo_stack_capture()},
    };
}

/* The newest free of the payload that starts at p: backend guard remembers its own for as long as
 * their pages are closed. */
static enum fo_remembered find_freed(uintptr_t p, struct fo_freed *out)
{
    struct fo_guarded g;

    if (!fo_guard_contains(p) || !fo_guard_find(p, &g) || g.live || g.record.address != p)
        return fo_quarantine_find(p, out);
    *out = g.record;
    return FO_WAITING;
}

/* The payload starts at p and its slot is FREED or BUSY: the record is there, or about to be. */
static void judge_freed(struct fo_record *r, const uint8_t *slot)
{
    struct fo_freed f;

    r->kind = FO_FINDING_DOUBLE_FREE;
    for (int i = 0; i < PATIENCE; i++) {
        bool gone = __atomic_load_n(slot, __ATOMIC_ACQUIRE) == FO_SLOT_GONE;
        enum fo_remembered found = find_freed(r->pointer, &f);
        /* A tombstone of an earlier life of this address does not count while this one waits. */
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

    if (fo_guard_contains(payload) || !fo_readable((uintptr_t)h, sizeof *h))
        return false; /* guarded pages may close at this moment, and guard knows their blocks */
    out->site = FO_RELAXED_LOAD(&h->site);
    out->word = FO_RELAXED_LOAD(&h->word);
    return (out->word & FO_CHECK_MASK) == fo_check(fo_hot.secret, payload, out->site, out->word);
}

/* Is p within the block whose payload starts at `payload`, its header included? */
static bool judge_within(struct fo_record *r, uintptr_t payload)
{
    struct fo_header h;
    struct fo_freed f;
    uint8_t *slot = payload != 0 ? fo_registry_slot(payload) : NULL;

    if (slot == NULL || !fo_slot_is_ours(FO_RELAXED_LOAD(slot)) || !read_header(payload, &h))
        return false;
    size_t size = fo_word_size(h.word);
    if (r->pointer >= payload + size || r->pointer + sizeof h + fo_word_pad(h.word) < payload)
        return false;
    bool before = r->pointer < payload;
    r->kind = before ? FO_FINDING_BEFORE : FO_FINDING_INTERIOR;
    r->offset = before ? payload - r->pointer : r->pointer - payload;
    r->block = payload;
    r->size = size;
    r->allocated =
        (struct fo_place){true, h.site, fo_word_process(h.word),
                          0,    0,      fo_options.stacks != 0 ? fo_stack_of(payload, size) : 0};
    if (FO_RELAXED_LOAD(slot) == FO_SLOT_FREED) {
        r->kind = before ? FO_FINDING_BEFORE_FREED : FO_FINDING_INTERIOR_FREED;
        if (fo_quarantine_find(payload, &f) != FO_FORGOTTEN)
            fo_record_freed(r, &f);
    }
    return true;
}

/* The same for a pointer into the pages of backend guard. */
static bool judge_guarded(struct fo_record *r)
{
    struct fo_guarded g;
    if (!fo_guard_find(r->pointer, &g))
        return false;
    uintptr_t payload = (uintptr_t)g.record.address;
    bool before = r->pointer < payload;

    if (r->pointer >= payload + fo_word_size(g.record.word) ||
        r->pointer + sizeof(struct fo_header) < payload)
        return false;
    fo_record_freed(r, &g.record);
    r->kind = before   ? g.live ? FO_FINDING_BEFORE : FO_FINDING_BEFORE_FREED
              : g.live ? FO_FINDING_INTERIOR
                       : FO_FINDING_INTERIOR_FREED;
    r->offset = before ? payload - r->pointer : r->pointer - payload;
    r->block = payload;
    r->first.known = !g.live;
    return true;
}

static bool judge_neighbourhood(struct fo_record *r)
{
    uintptr_t p = r->pointer, above = (p + 15) & ~(uintptr_t)15;

    if (fo_guard_contains(p))
        return judge_guarded(r);
    if (!fo_is_address(p) || !fo_is_address(p + 32))
        return false;
    /* The 16 or 24 bytes in front of a payload are its block's too. */
    return judge_within(r, fo_registry_below(p)) || judge_within(r, above) ||
           judge_within(r, above + 16);
}

static void place_in_region(struct fo_record *r, const struct fo_at *at)
{
    struct fo_freed f;

    r->block = at->payload;
    r->size = fo_word_size(at->word);
    r->allocated =
        (struct fo_place){at->state != FO_FOUND_GONE, at->site, fo_word_process(at->word), 0, 0, 0};
    if (at->state == FO_FOUND_FREED && fo_region_freed(at, &f))
        fo_record_freed(r, &f);
}

/* What is at p, when nobody changes it just now. */
static struct fo_at settled_region_at(uintptr_t p)
{
    struct fo_at at = fo_region_at(p);

    for (int i = 0; i < PATIENCE && at.state == FO_FOUND_HELD; i++) {
        sched_yield();
        at = fo_region_at(p);
    }
    return at;
}

/* A header that was overwritten after the free: that it was freed, and where, is still known. */
static void find_earlier_free(struct fo_record *r)
{
    struct fo_at at = {FO_FOUND_DAMAGED, r->pointer, 0, 0};
    struct fo_freed f;

    if (!fo_region_freed(&at, &f))
        return;
    r->first =
        (struct fo_place){true, f.freed, fo_who_process(f.who), fo_who_thread(f.who), f.caller, 0};
}

/* A block of the region, freed or held by another thread; or it was, and lives again by now. */
static void judge_freed_in_region(struct fo_record *r, const struct fo_at *at)
{
    r->kind = FO_FINDING_DOUBLE_FREE;
    place_in_region(r, at);
    r->racing = at->state != FO_FOUND_GONE && !r->first.known;
}

/* An address in the region: its own layout tells.  False: no block is there. */
static bool judge_in_region(struct fo_record *r)
{
    struct fo_at at = settled_region_at(r->pointer);
    bool before = r->pointer < at.payload;

    if (at.state == FO_FOUND_NOTHING)
        return false;
    if (at.payload == r->pointer) {
        if (at.state == FO_FOUND_DAMAGED)
            r->kind = FO_FINDING_HEADER;
        else
            judge_freed_in_region(r, &at);
        return true;
    }
    if (at.state == FO_FOUND_DAMAGED || r->pointer >= at.payload + fo_word_size(at.word))
        return false;
    place_in_region(r, &at);
    bool live = at.state == FO_FOUND_LIVE || at.state == FO_FOUND_HELD;
    r->kind = before ? live ? FO_FINDING_BEFORE : FO_FINDING_BEFORE_FREED
              : live ? FO_FINDING_INTERIOR
                     : FO_FINDING_INTERIOR_FREED;
    r->offset = before ? at.payload - r->pointer : r->pointer - at.payload;
    return true;
}

static bool in_region(uintptr_t p)
{
    return fo_region_contains(p) && FO_RELAXED_LOAD(&fo_hot.direct);
}

static void judge_foreign(struct fo_record *r)
{
    r->kind = FO_FINDING_FOREIGN;
    r->memory = fo_probe_kind(r->pointer);
    if (fo_options.foreign == FO_FOREIGN_FREE && !fo_region_contains(r->pointer))
        r->answer = "passed to libc";
}

static void judge(struct fo_record *r)
{
    if (in_region(r->pointer)) {
        if (!judge_in_region(r))
            judge_foreign(r);
        return;
    }
    uint8_t *slot = fo_registry_slot(r->pointer);
    uint8_t state = slot != NULL ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : FO_SLOT_NONE;
    struct fo_freed f;

    if (state == FO_SLOT_DAMAGED) {
        r->kind = FO_FINDING_HEADER;
    } else if (fo_slot_is_ours(state)) {
        judge_freed(r, slot);
    } else if (state == FO_SLOT_GONE && fo_quarantine_find(r->pointer, &f) != FO_FORGOTTEN) {
        r->kind = FO_FINDING_DOUBLE_FREE;
        fo_record_freed(r, &f);
    } else if (!judge_neighbourhood(r)) {
        judge_foreign(r);
    }
}

enum fo_finding_kind fo_wrong_pointer(uintptr_t p, enum fo_operation operation, fo_site now)
{
    struct fo_record r = new_record(p, operation, now);

    judge(&r);
    fo_report(&r);
    return r.kind;
}

/* An address that was given back may be a part of a later block by now: BN_CTX keeps BIGNUMs in an
 * array and frees each, twice in a healthy handshake.  So no system call here, as in read_header():
 * a sandbox may forbid it.  A block around p is held by whoever frees its part. */
static bool is_part_of_block(uintptr_t p)
{
    uintptr_t payload = fo_registry_below(p);

    if (payload == 0 || FO_RELAXED_LOAD(fo_registry_slot_known(payload)) != FO_SLOT_LIVE)
        return false;
    const struct fo_header *h = fo_header_of(payload);
    return p - payload < fo_word_size(FO_RELAXED_LOAD(&h->word));
}

static bool was_object(struct fo_record *r)
{
    struct fo_freed f;

    if (is_part_of_block(r->pointer) || fo_quarantine_find(r->pointer, &f) == FO_FORGOTTEN)
        return false;
    fo_record_freed(r, &f);
    return true;
}

static bool freed_object_in_region(struct fo_record *r)
{
    struct fo_at at = settled_region_at(r->pointer);

    if (at.payload != r->pointer ||
        (at.state != FO_FOUND_FREED && at.state != FO_FOUND_HELD && at.state != FO_FOUND_GONE))
        return false;
    judge_freed_in_region(r, &at);
    return true;
}

bool fo_freed_object(uintptr_t p, const char *type, enum fo_operation operation, bool remembered)
{
    uint8_t *slot = fo_registry_slot(p);
    uint8_t state = slot != NULL ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : FO_SLOT_NONE;
    bool region = in_region(p);

    if (!region && (state == FO_SLOT_NONE || state == FO_SLOT_LIVE || state == FO_SLOT_DAMAGED))
        return false;
    struct fo_record r = new_record(p, operation, 0);
    r.object = type;
    if (region) {
        if (!freed_object_in_region(&r))
            return false;
    } else if (state == FO_SLOT_FREED || state == FO_SLOT_BUSY)
        judge_freed(&r, slot);
    else if (state != FO_SLOT_GONE || !remembered || !was_object(&r))
        return false;
    r.kind = operation == FO_OPERATION_REFERENCE ? FO_FINDING_REFERENCED : FO_FINDING_DOUBLE_FREE;
    fo_report(&r);
    return true;
}

/* A header that was overwritten from the block in front has taken that block's canary with it. */
static void blame_neighbour(struct fo_record *r)
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

void fo_damaged_block(uintptr_t payload, enum fo_operation operation, fo_site now)
{
    struct fo_record r = new_record(payload, operation, now);

    r.kind = FO_FINDING_HEADER;
    if (in_region(payload))
        find_earlier_free(&r);
    else
        blame_neighbour(&r);
    fo_report(&r);
}

/* A live block's size and allocation; false: it lives no more, or its header does not check.  It is
 * held meanwhile, as by a realloc. */
static bool describe_live(struct fo_record *r)
{
    if (in_region(r->block)) {
        struct fo_at at = fo_region_at(r->block);
        place_in_region(r, &at);
        return at.state == FO_FOUND_LIVE && at.payload == r->pointer;
    }
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

void fo_libc_call(uintptr_t payload, enum fo_operation operation, const char *function,
                  const char *answer)
{
    struct fo_record r = new_record(payload, operation, 0);

    r.kind = FO_FINDING_LIBC_CALL;
    r.verb = function;
    r.answer = answer;
    if (describe_live(&r))
        fo_report(&r);
}

size_t fo_libc_usable_size(uintptr_t p)
{
    struct fo_record r = new_record(p, FO_OPERATION_FREE, 0);
    const uint8_t *slot = fo_registry_slot(p);
    bool live = slot != NULL && __atomic_load_n(slot, __ATOMIC_ACQUIRE) == FO_SLOT_LIVE;
    if (in_region(p)) {
        struct fo_at at = fo_region_at(p);
        live = at.state == FO_FOUND_LIVE && at.payload == p;
    }

    r.verb = "malloc_usable_size";
    r.answer = live ? "answered" : "answered 0";
    if (live) {
        r.kind = FO_FINDING_LIBC_CALL;
        if (!describe_live(&r))
            return 0;
    } else {
        judge(&r);
        r.kind = r.kind == FO_FINDING_DOUBLE_FREE ? FO_FINDING_LIBC_CALL_FREED
                                                  : FO_FINDING_LIBC_CALL_INTERIOR;
    }
    fo_report(&r);
    return live ? r.size : 0;
}
