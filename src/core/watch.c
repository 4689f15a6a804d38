/* See watch.h.  Called by the hooks when a canary or a fill was asked for. */
#include "core/watch.h"

#include <string.h>

#include "backend/backend.h"
#include "backend/guard.h"
#include "core/hot.h"
#include "fork/process.h"

/* Canaries are keyed per block and secret: a copy of one is no canary elsewhere. */
static unsigned char canary_byte(uint64_t key, size_t offset)
{
    return (unsigned char)(key >> (offset % 8 * 8));
}

static uint64_t canary_key(uintptr_t payload)
{
    uint64_t key = (fo_hot.secret ^ payload) * UINT64_C(0x9e3779b97f4a7c15);
    return key ^ key >> 31;
}

static size_t canary_length(uintptr_t payload, size_t size)
{
    size_t room = fo_guard_contains(payload) ? fo_guard_room(size) : fo_room(size);
    return room - sizeof(struct fo_header) - size;
}

void fo_watch_begin(uintptr_t payload, size_t size)
{
    uint64_t key = canary_key(payload);
    unsigned char *at = (unsigned char *)payload + size;

    for (size_t i = 0, n = canary_length(payload, size); i < n; i++)
        at[i] = canary_byte(key, i);
}

long fo_watch_damage(uintptr_t payload, size_t size)
{
    uint64_t key = canary_key(payload);
    const unsigned char *at = (const unsigned char *)payload + size;

    for (size_t i = 0, n = canary_length(payload, size); i < n; i++)
        if (at[i] != canary_byte(key, i))
            return (long)i;
    return -1;
}

static struct fo_record new_record(enum fo_finding_kind kind, uintptr_t payload, size_t size,
                                   size_t offset)
{
    return (struct fo_record){
        .kind = kind,
        .object = "block",
        .pointer = payload,
        .block = payload,
        .size = size,
        .offset = offset,
    };
}

void fo_watch_end(uintptr_t payload, fo_site allocated, uint64_t word, enum fo_operation operation,
                  fo_site now)
{
    size_t size = fo_word_size(word);
    long damage = fo_watch_damage(payload, size);
    if (damage < 0)
        return;
    struct fo_record r = new_record(FO_FINDING_OVERFLOW, payload, size, size + (size_t)damage);
    const struct fo_process *me = fo_process_self();

    r.operation = operation;
    r.answer = operation == FO_OPERATION_FREE ? "freed all the same" : "moved all the same";
    r.allocated = (struct fo_place){true, allocated, fo_word_process(word), 0, 0};
    r.now = (struct fo_place){true, now, me->index, fo_who_thread(fo_who()), fo_thread.caller};
    fo_report(&r);
}

void fo_watch_fill(uintptr_t payload, size_t size)
{
    memset((void *)payload, FO_FILL_BYTE, size);
}

/* The first byte that is not the pattern, or size. */
static size_t first_change(const unsigned char *at, size_t size)
{
    size_t i = 0;

    while (i < size && at[i] == FO_FILL_BYTE)
        i++;
    return i;
}

/* Is the only change one aligned 32-bit word that is the pattern less one? */
static bool is_reference(const unsigned char *at, size_t size, size_t offset)
{
    uint32_t word, pattern;

    memset(&pattern, FO_FILL_BYTE, sizeof pattern);
    offset &= ~(size_t)3;
    if (offset + sizeof word > size)
        return false;
    memcpy(&word, at + offset, sizeof word);
    size_t behind = size - offset - sizeof word;
    return word == pattern - 1 && first_change(at + offset + sizeof word, behind) == behind;
}

void fo_watch_leave(const struct fo_freed *f)
{
    uintptr_t payload = (uintptr_t)f->address;
    const unsigned char *at = (const unsigned char *)payload;
    size_t size = fo_word_size(f->word), offset = first_change(at, size);

    if (fo_likely(offset == size))
        return;
    bool reference = is_reference(at, size, offset);
    struct fo_record r = new_record(reference ? FO_FINDING_REFERENCE : FO_FINDING_USE_AFTER_FREE,
                                    payload, size, reference ? offset & ~(size_t)3 : offset);
    r.answer = "found when it left the quarantine";
    r.allocated = (struct fo_place){true, f->allocated, fo_word_process(f->word), 0, 0};
    r.first =
        (struct fo_place){true, f->freed, fo_who_process(f->who), fo_who_thread(f->who), f->caller};
    fo_report(&r);
}
