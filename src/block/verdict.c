/* What is this pointer, and what is reported of it?  The answer depends on the memory that it
 * points to: verdict_parts.h.  Relaxed: what the choice of a backend set (hot.h), and for the text
 * of a report. */
#include "block/verdict.h"

#include "backend/guard.h"
#include "base/probe.h"
#include "block/registry.h"
#include "block/verdict_parts.h"
#include "block/watch.h"
#include "heap/region.h"
#include "options/options.h"
#include "process/process.h"
#include "process/rows.h"
#include "report/stacks.h"

static const char *const answers[] = {
    [FO_OPERATION_FREE] = "skipped",
    [FO_OPERATION_REALLOC] = "answered NULL",
    [FO_OPERATION_REFERENCE] = "answered 0",
};

static struct fo_record new_record(uintptr_t p, enum fo_operation operation, fo_site now)
{
    const struct fo_process *me = fo_process_self();
    uint64_t thread_id = fo_thread_id();

    return (struct fo_record){
        .operation = operation,
        .object = "block",
        .answer = answers[operation],
        .pointer = p,
        .block = p,
        .now = {true, now, me->index, fo_thread_id_number(thread_id), fo_thread.caller, 0},
    };
}

static void report(struct fo_record *r)
{
    r->now.stack = fo_stack_capture();
    fo_report(r);
}

static bool is_in_region(uintptr_t p)
{
    return fo_region_contains(p) && FO_RELAXED_LOAD(&fo_hot.direct);
}

/* A block that another process allocated after the fork is unused memory in this one, or beyond the
 * end of its heap, which only grew in the other. */
static const char *kind_of_memory(uintptr_t p)
{
    bool forked = fo_row_parent(fo_process_self()->index) != 0 && !FO_RELAXED_LOAD(&fo_hot.shared);

    if (fo_region_contains(p) || fo_guard_contains(p))
        return forked ? "unused memory of its heap here; perhaps a block of another process"
                      : "unused memory of its heap";
    const char *kind = fo_probe_kind(p);
    return forked && fo_region_can_reach(p) && !fo_is_readable(p, 1)
               ? "unmapped memory here; perhaps a block of another process"
               : kind;
}

static void judge_foreign(struct fo_record *r)
{
    if (fo_judge_pattern(r))
        return;
    r->kind = FO_FINDING_FOREIGN;
    r->memory = kind_of_memory(r->pointer);
    if (fo_options.foreign == FO_FOREIGN_FREE && !fo_region_contains(r->pointer))
        r->answer = "passed to libc";
}

void fo_judge_offset(struct fo_record *r, bool live)
{
    uintptr_t p = r->pointer;

    r->offset = p < r->block ? r->block - p : p - r->block;
    if (p < r->block)
        r->kind = live ? FO_FINDING_BEFORE : FO_FINDING_BEFORE_FREED;
    else if (r->offset < r->size)
        r->kind = live ? FO_FINDING_INTERIOR : FO_FINDING_INTERIOR_FREED;
    else
        r->kind = live ? FO_FINDING_BEHIND : FO_FINDING_BEHIND_FREED;
}

static void judge(struct fo_record *r)
{
    /* The heap may end where a block does. */
    bool region = is_in_region(r->pointer) || is_in_region(r->pointer - 1);

    if (!(region ? fo_judge_region(r) : fo_judge_registry(r)) && !fo_judge_secure(r))
        judge_foreign(r);
}

enum fo_finding_kind fo_judge_pointer(uintptr_t p, enum fo_operation operation, fo_site now)
{
    struct fo_record r = new_record(p, operation, now);

    judge(&r);
    report(&r);
    return r.kind;
}

void fo_wrong_secure_free(uintptr_t p, fo_site now)
{
    struct fo_record r = new_record(p, FO_OPERATION_FREE, now);

    if (fo_judge_secure_free(&r))
        report(&r);
}

bool fo_freed_object(uintptr_t p, const char *type, enum fo_operation operation, bool remembered)
{
    bool region = is_in_region(p);
    bool pattern = operation == FO_OPERATION_FREE && fo_is_pattern(p);

    if (!region && !pattern && !fo_judge_registry_can_be_freed(p))
        return false;
    struct fo_record r = new_record(p, operation, 0);
    r.object = type;
    if (!(pattern  ? fo_judge_pattern(&r)
          : region ? fo_judge_region_object(&r)
                   : fo_judge_registry_object(&r, remembered)))
        return false;
    if (operation == FO_OPERATION_REFERENCE)
        r.kind = FO_FINDING_REFERENCED;
    report(&r);
    return true;
}

/* Only while the block waits, or lies in the region: else another object may be there by now. */
void fo_used_object(uintptr_t p, const char *type, const char *function)
{
    struct fo_record r = new_record(p, FO_OPERATION_REFERENCE, 0);

    r.object = type;
    r.verb = function;
    r.answer = "let through";
    if (!(is_in_region(p) ? fo_judge_region_object(&r) : fo_judge_registry_object(&r, false)))
        return;
    r.kind = FO_FINDING_USED;
    report(&r);
}

bool fo_can_be_freed(uintptr_t p)
{
    return fo_is_address(p) &&
           (is_in_region(p) || fo_guard_contains(p) || fo_registry_slot_around(p) != NULL);
}

bool fo_find_freed(uintptr_t p, struct fo_record *out)
{
    *out = new_record(p, FO_OPERATION_FREE, 0);
    return (is_in_region(p) ? fo_judge_region(out) : fo_judge_registry(out)) &&
           (out->kind == FO_FINDING_DOUBLE_FREE || out->kind == FO_FINDING_INTERIOR_FREED) &&
           out->first.known;
}

void fo_damaged_block(uintptr_t payload, enum fo_operation operation, fo_site now)
{
    struct fo_record r = new_record(payload, operation, now);

    r.kind = FO_FINDING_HEADER;
    if (is_in_region(payload))
        fo_judge_region_earlier(&r);
    else
        fo_judge_registry_neighbour(&r);
    report(&r);
}

static bool describe_live(struct fo_record *r)
{
    return is_in_region(r->block) ? fo_judge_region_live(r) : fo_judge_registry_live(r);
}

void fo_libc_call(uintptr_t payload, enum fo_operation operation, const char *function,
                  const char *answer)
{
    struct fo_record r = new_record(payload, operation, 0);

    r.kind = FO_FINDING_LIBC_CALL;
    r.verb = function;
    r.answer = answer;
    if (describe_live(&r))
        report(&r);
}

/* Another process may free it at this moment: it is not held, but the shared heap stays mapped. */
void fo_changed_object(uintptr_t p, const char *type, const char *function, const char *answer)
{
    struct fo_record r = new_record(p, FO_OPERATION_FREE, 0);
    const struct fo_header *h = fo_header_of(p);
    uint64_t word = FO_RELAXED_LOAD(&h->word);

    r.kind = FO_FINDING_CHANGE;
    r.object = type;
    r.verb = function;
    r.answer = answer;
    r.size = fo_word_size(word);
    r.allocated = (struct fo_place){true,
                                    FO_RELAXED_LOAD(&h->site),
                                    fo_word_process(word),
                                    0,
                                    0,
                                    fo_options.stacks != 0 ? fo_stack_of(p, r.size) : 0};
    report(&r);
}

static enum fo_finding_kind libc_call_kind(enum fo_finding_kind judged)
{
    switch (judged) {
    case FO_FINDING_DOUBLE_FREE:
        return FO_FINDING_LIBC_CALL_FREED;
    case FO_FINDING_INTERIOR:
    case FO_FINDING_INTERIOR_FREED:
        return FO_FINDING_LIBC_CALL_INTERIOR;
    default:
        return FO_FINDING_LIBC_CALL_NO_BLOCK;
    }
}

size_t fo_libc_usable_size(uintptr_t p)
{
    struct fo_record r = new_record(p, FO_OPERATION_FREE, 0);
    const uint8_t *slot = fo_registry_slot(p);
    bool live = slot != NULL && __atomic_load_n(slot, __ATOMIC_ACQUIRE) == FO_SLOT_LIVE;
    if (is_in_region(p)) {
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
        r.kind = libc_call_kind(r.kind);
    }
    report(&r);
    return live ? r.size : 0;
}
