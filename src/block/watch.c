/* See watch.h.  Called by the hooks when a canary or a fill is on. */
#include "block/watch.h"

#include <string.h>

#include "backend/backend.h"
#include "backend/guard.h"
#include "base/hot.h"
#include "options/options.h"
#include "process/process.h"
#include "report/stacks.h"

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
    if (fo_guard_contains(payload)) /* backend guard keeps its stack */
        return fo_guard_room(size) - sizeof(struct fo_header) - size;
    return fo_room(size) - sizeof(struct fo_header) - size - (fo_options.stacks != 0 ? 8 : 0);
}

/* Canaries are written and compared by words: the first one, a second one if there is room for two,
 * and the last one, which may overlap those and is rotated so that it agrees with them. */
struct canary_words {
    unsigned char *at;
    uint64_t key, last;
    size_t length;
};

static inline struct canary_words canary_words(uintptr_t payload, size_t size)
{
    size_t length = canary_length(payload, size), rotation = length % 8 * 8;
    uint64_t key = canary_key(payload);

    return (struct canary_words){(unsigned char *)payload + size, key,
                                 rotation == 0 ? key : key >> rotation | key << (64 - rotation),
                                 length};
}

static inline bool word_is(const unsigned char *at, uint64_t expected)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word == expected;
}

static uint64_t *stack_word_at(uintptr_t payload, size_t size)
{
    return (uint64_t *)(payload + fo_room(size) - sizeof(struct fo_header)) - 1;
}

static uint64_t stack_word(uintptr_t payload, uint32_t stack)
{
    return (fo_hot.secret ^ payload ^ stack) << 32 | stack;
}

void fo_stack_keep(uintptr_t payload, size_t size, uint32_t stack)
{
    if (fo_guard_contains(payload))
        fo_guard_keep_stack(payload, stack);
    else
        *stack_word_at(payload, size) = stack_word(payload, stack);
}

uint32_t fo_stack_of(uintptr_t payload, size_t size)
{
    if (fo_guard_contains(payload))
        return fo_guard_stack_of(payload);
    uint64_t word = *stack_word_at(payload, size);

    return word == stack_word(payload, (uint32_t)word) ? (uint32_t)word : 0;
}

void fo_watch_allocate(uintptr_t payload, size_t size)
{
    if (fo_options.stacks != 0)
        fo_stack_keep(payload, size,
                      fo_stack_is_due(fo_header_of(payload)->site, size) ? fo_stack_capture() : 0);
    if (!fo_options.canary)
        return;
    struct canary_words w = canary_words(payload, size);
    if (w.length < 8) { /* a guarded block */
        for (size_t i = 0; i < w.length; i++)
            w.at[i] = canary_byte(w.key, i);
        return;
    }
    memcpy(w.at, &w.key, sizeof w.key);
    if (w.length >= 16)
        memcpy(w.at + 8, &w.key, sizeof w.key);
    memcpy(w.at + w.length - 8, &w.last, sizeof w.last);
}

long fo_watch_damage(uintptr_t payload, size_t size)
{
    if (!fo_options.canary)
        return -1;
    struct canary_words w = canary_words(payload, size);
    if (fo_likely(w.length >= 8 && word_is(w.at, w.key) &&
                  (w.length < 16 || word_is(w.at + 8, w.key)) &&
                  word_is(w.at + w.length - 8, w.last)))
        return -1;
    for (size_t i = 0; i < w.length; i++)
        if (w.at[i] != canary_byte(w.key, i))
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

FO_NO_STACK_PROTECTOR void fo_watch_check(uintptr_t payload, fo_site allocated, uint64_t word,
                                          enum fo_operation operation, fo_site now)
{
    size_t size = fo_word_size(word);
    long damage = fo_watch_damage(payload, size);
    if (damage < 0)
        return;
    struct fo_record r = new_record(FO_FINDING_OVERFLOW, payload, size, size + (size_t)damage);
    const struct fo_process *me = fo_process_self();

    r.operation = operation;
    r.answer = operation == FO_OPERATION_FREE ? "freed all the same" : "moved all the same";
    r.allocated =
        (struct fo_place){true, allocated, fo_word_process(word), 0, 0, fo_stack_of(payload, size)};
    r.now = (struct fo_place){true,
                              now,
                              me->index,
                              fo_thread_id_number(fo_thread_id()),
                              fo_thread.caller,
                              fo_stack_capture()};
    fo_report(&r);
}

void fo_watch_fill(uintptr_t payload, size_t size)
{
    memset((void *)payload, FO_FILL_BYTE, size);
}

/* Offset of the first byte that is not the pattern, or size. */
static size_t first_change(const unsigned char *at, size_t size)
{
    uint64_t pattern;
    size_t i = 0;

    memset(&pattern, FO_FILL_BYTE, sizeof pattern);
    while (i + sizeof pattern <= size && word_is(at + i, pattern))
        i += sizeof pattern;
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

FO_NO_STACK_PROTECTOR void fo_watch_check_fill(const struct fo_freed *f)
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
    fo_record_freed(&r, f);
    fo_report(&r);
}
