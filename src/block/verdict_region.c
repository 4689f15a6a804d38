/* What is at an address of backend arena's heap?  Answered from its layout: heap/find.c. */
#include "block/verdict_parts.h"

#include <sched.h>

#include "heap/region.h"
#include "process/process.h"

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

/* What is at p, once no other thread changes it. */
static struct fo_at settled_region_at(uintptr_t p)
{
    struct fo_at at = fo_region_at(p);

    for (int i = 0; i < FO_PATIENCE && at.state == FO_FOUND_HELD; i++) {
        sched_yield();
        at = fo_region_at(p);
    }
    return at;
}

void fo_judge_region_earlier(struct fo_record *r)
{
    struct fo_at at = {FO_FOUND_DAMAGED, r->pointer, 0, 0};
    struct fo_freed f;

    if (!fo_region_freed(&at, &f))
        return;
    r->first = (struct fo_place){
        true,     f.freed, fo_thread_id_process(f.thread_id), fo_thread_id_number(f.thread_id),
        f.caller, 0};
}

/* A block of the region, freed or held by another thread; or it was, and is live again by now. */
static void judge_freed_in_region(struct fo_record *r, const struct fo_at *at)
{
    if (at->state == FO_FOUND_GONE && r->operation != FO_OPERATION_REFERENCE) {
        fo_judge_missed(r);
        return;
    }
    r->kind = FO_FINDING_DOUBLE_FREE;
    place_in_region(r, at);
    /* Of a freed block whose record is not there, OpenSSL has overwritten it: CRYPTO_clear_free()
     * wipes a block in front of the second free. */
    r->racing = at->state == FO_FOUND_HELD;
}

static bool has_size(const struct fo_at *at)
{
    return at->state == FO_FOUND_LIVE || at->state == FO_FOUND_HELD || at->state == FO_FOUND_FREED;
}

/* How far p is behind the end of this block; SIZE_MAX: it is not. */
static size_t distance_behind(const struct fo_at *at, uintptr_t p)
{
    uintptr_t end = at->payload + fo_word_size(at->word);

    return has_size(at) && p >= end ? p - end : SIZE_MAX;
}

/* The pointer starts no block.  In a header, it is behind the block in front if that is closer. */
static bool judge_near_in_region(struct fo_record *r, struct fo_at at)
{
    uintptr_t p = r->pointer;
    bool before = at.payload != 0 && at.state != FO_FOUND_DAMAGED && p < at.payload;

    if (at.payload == 0 || p < at.payload) {
        struct fo_at front = fo_region_in_front(p);
        if (distance_behind(&front, p) <= (before ? at.payload - p : sizeof(struct fo_header)))
            at = front;
        else if (!before)
            return false;
    }
    if (at.state == FO_FOUND_DAMAGED ||
        (at.state == FO_FOUND_GONE && p >= at.payload + fo_word_size(at.word)))
        return false;
    place_in_region(r, &at);
    fo_judge_offset(r, at.state == FO_FOUND_LIVE || at.state == FO_FOUND_HELD);
    return true;
}

bool fo_judge_region(struct fo_record *r)
{
    struct fo_at at = settled_region_at(r->pointer);

    if (fo_region_is_unused(&at))
        at = (struct fo_at){FO_FOUND_NOTHING, 0, 0, 0};
    if (at.payload != r->pointer || at.state == FO_FOUND_NOTHING)
        return judge_near_in_region(r, at);
    if (at.state == FO_FOUND_DAMAGED)
        r->kind = FO_FINDING_HEADER;
    else
        judge_freed_in_region(r, &at);
    return true;
}

bool fo_judge_region_object(struct fo_record *r)
{
    struct fo_at at = settled_region_at(r->pointer);

    if (at.payload != r->pointer ||
        (at.state != FO_FOUND_FREED && at.state != FO_FOUND_HELD && at.state != FO_FOUND_GONE))
        return false;
    judge_freed_in_region(r, &at);
    return true;
}

bool fo_judge_region_live(struct fo_record *r)
{
    struct fo_at at = fo_region_at(r->block);

    place_in_region(r, &at);
    return at.state == FO_FOUND_LIVE && at.payload == r->pointer;
}
