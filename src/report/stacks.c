/* The depot of stacks.h: a hash table of offsets into one growing array, without locks.  A stack
 * that two threads enter at the same moment is there twice, which does no harm. */
#include "report/stacks.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/apart.h"
#include "base/elf.h"
#include "base/hot.h"
#include "base/libc.h"
#include "base/shared_number.h"
#include "options/options.h"
#include "report/frames.h"

/* FEW_WORDS: enough for stacks of faults alone; SAMPLED_WORDS: for some ten thousand stacks. */
enum { FEW_WORDS = 1 << 12, SAMPLED_WORDS = 1 << 18, PROBES = 16 };
enum { SLOTS = sizeof((struct fo_stack_depot){0}.slots) / sizeof(struct fo_shared_u32) };

struct fo_stack_depot *fo_stack_depot;

bool fo_stacks_for_leaks;

static uint32_t word_count;  /* words that are mapped */
static unsigned frame_count; /* of a stack, at most; 0: none are kept */

bool fo_stacks_start(void)
{
    word_count = fo_options.stacks != 0   ? FO_STACK_WORDS
                 : fo_options.sample != 0 ? SAMPLED_WORDS
                                          : FEW_WORDS;
    size_t size =
        offsetof(struct fo_stack_depot, words) + word_count * sizeof *fo_stack_depot->words;
    fo_stack_depot = fo_apart_map(size, MAP_SHARED);
    if (fo_stack_depot == NULL)
        return false;
    /* In a core dump, the kernel would allocate each page: only a small depot is part of one. */
    if (word_count > SAMPLED_WORDS)
        madvise(fo_stack_depot, size, MADV_DONTDUMP);
    fo_shared_set(&fo_stack_depot->count, word_count);
    fo_shared_set(&fo_stack_depot->used, 1);
    frame_count = fo_options.stacks != 0 ? (unsigned)fo_options.stacks : FO_STACK_SAMPLED;
    return true;
}

static uint32_t hash_of(const uintptr_t *frames, unsigned count)
{
    uint64_t h = fo_hot.secret ^ count;

    for (unsigned i = 0; i < count; i++)
        h = (h ^ frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32);
}

static uint64_t first_word(const uintptr_t *frames, unsigned count)
{
    return (uint64_t)hash_of(frames, count) << 32 | count;
}

/* Frames of the stack that starts there, if it is whole; else 0. */
static unsigned read_stack(uint32_t stack, uintptr_t out[FO_STACK_MAX])
{
    if (stack == 0 || stack >= word_count)
        return 0;
    uint64_t first = fo_shared_number(&fo_stack_depot->words[stack]);
    uint32_t count = (uint32_t)first;
    if (count > FO_STACK_MAX || count >= word_count - stack)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        out[i] = fo_shared_number(&fo_stack_depot->words[stack + 1 + i]);
    return first_word(out, count) == first ? count : 0;
}

static bool is_same(uint32_t stack, const uintptr_t *frames, unsigned count)
{
    uintptr_t there[FO_STACK_MAX];

    return read_stack(stack, there) == count && memcmp(there, frames, count * sizeof *frames) == 0;
}

static uint32_t enter(const uintptr_t *frames, unsigned count)
{
    uint32_t at = fo_shared_add(&fo_stack_depot->used, count + 1);

    if (at == 0 || at >= word_count || count >= word_count - at) {
        fo_shared_set(&fo_stack_depot->used, word_count); /* it stays full */
        return 0;
    }
    for (unsigned i = 0; i < count; i++)
        fo_shared_set(&fo_stack_depot->words[at + 1 + i], frames[i]);
    fo_shared_set(&fo_stack_depot->words[at], first_word(frames, count));
    return at;
}

static uint32_t find_or_enter(const uintptr_t *frames, unsigned count)
{
    uint32_t hash = hash_of(frames, count);

    for (uint32_t i = 0; i < PROBES; i++) {
        struct fo_shared_u32 *slot = &fo_stack_depot->slots[(hash + i) % SLOTS];
        uint32_t stack = fo_shared_index(slot, word_count), none = 0;
        if (stack != 0 && is_same(stack, frames, count))
            return stack;
        if (stack == 0) {
            uint32_t fresh = enter(frames, count);
            if (fresh != 0)
                fo_shared_replace(slot, &none, fresh);
            return fresh;
        }
    }
    return enter(frames, count);
}

static bool is_of_library(uintptr_t code)
{
    static struct fo_module self;

    if (self.end == 0 && !fo_elf_module((uintptr_t)is_of_library, &self))
        return false;
    return code >= self.start && code < self.end;
}

/* Remove the library's wrappers, which lie between OpenSSL and its caller. */
static int remove_own(void **frames, int count)
{
    int kept = 0;

    for (int i = 0; i < count; i++)
        if (!is_of_library((uintptr_t)frames[i]))
            frames[kept++] = frames[i];
    return kept;
}

/* Lines that share a counter get fewer stacks, and so do those of two threads that count at the
 * same moment. */
bool fo_stack_is_due(uint64_t site, size_t size)
{
    enum { COUNTERS = 4096 };
    static FO_BULKY uint32_t counters[COUNTERS];

    if (!fo_stacks_for_leaks)
        return true;
    uint64_t hash = (site ^ (uint64_t)size << 20) * UINT64_C(0x9e3779b97f4a7c15);
    /* Relaxed: if two threads count once, a stack more is kept. */
    uint32_t *counter = &counters[hash >> 40 & (COUNTERS - 1)], n = FO_RELAXED_LOAD(counter);
    FO_RELAXED_STORE(counter, n + 1);
    return n < FO_STACKS_FIRST || n % FO_STACKS_RATE == 0;
}

static uint32_t capture(int (*walk)(void **frames, int most))
{
    static __thread bool inside; /* the unwinder may allocate */
    void *frames[FO_STACK_MAX + 8];
    int saved_errno = errno;

    if (fo_stack_depot == NULL || inside)
        return 0;
    inside = true;
    int count = walk(frames, (int)frame_count + 8);
    inside = false;
    errno = saved_errno;
    count = remove_own(frames, count);
    if (count > (int)frame_count)
        count = (int)frame_count;
    return count > 0 ? find_or_enter((uintptr_t *)frames, (unsigned)count) : 0;
}

uint32_t fo_stack_capture(void)
{
    return fo_options.stacks != 0 ? capture(backtrace) : 0;
}

uint32_t fo_stack_sample(void)
{
    return capture(fo_frames_walk);
}

uint32_t fo_stack_put(const uintptr_t *frames, unsigned count)
{
    return fo_stack_depot != NULL && count != 0 ? find_or_enter(frames, count) : 0;
}

unsigned fo_stack_frames(uint32_t stack, uintptr_t *out, unsigned room)
{
    uintptr_t frames[FO_STACK_MAX];
    unsigned count = fo_stack_depot != NULL ? read_stack(stack, frames) : 0;

    if (count > room)
        count = room;
    memcpy(out, frames, count * sizeof *frames);
    return count;
}
