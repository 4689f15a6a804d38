/* The depot behind stacks.h: a hash table of offsets into one growing array, without locks.  What
 * two threads enter at the same moment is there twice, which does no harm. */
#include "core/stacks.h"

#include <errno.h>
#include <execinfo.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/backend.h"
#include "backend/guard.h"
#include "core/hot.h"
#include "core/options.h"
#include "core/raw.h"
#include "load/elf.h"

enum { SLOTS = 1 << 17, WORDS = 1 << 23, PROBES = 16 };

/* A stack is a word with its length, and its frames; its number is where it starts. */
static struct depot {
    uint32_t used;
    uint32_t slots[SLOTS];
    uintptr_t words[WORDS];
} * depot;

bool fo_stacks_start(void)
{
    void *p = fo_raw_map(sizeof *depot, MAP_SHARED | MAP_NORESERVE);
    if (p == MAP_FAILED)
        return false;
    madvise(p, sizeof *depot, MADV_DONTDUMP); /* the kernel would give memory to each page */
    depot = p;
    depot->used = 1;
    return true;
}

static uint32_t hash_of(const uintptr_t *frames, unsigned count)
{
    uint64_t h = count;

    for (unsigned i = 0; i < count; i++)
        h = (h ^ frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32);
}

static bool same(uint32_t stack, const uintptr_t *frames, unsigned count)
{
    return depot->words[stack] == count &&
           memcmp(&depot->words[stack + 1], frames, count * sizeof *frames) == 0;
}

static uint32_t enter(const uintptr_t *frames, unsigned count)
{
    uint32_t at = __atomic_fetch_add(&depot->used, count + 1, __ATOMIC_RELAXED);

    if (at + count + 1 > WORDS) {
        __atomic_store_n(&depot->used, WORDS, __ATOMIC_RELAXED); /* it stays full */
        return 0;
    }
    memcpy(&depot->words[at + 1], frames, count * sizeof *frames);
    depot->words[at] = count;
    return at;
}

static uint32_t find_or_enter(const uintptr_t *frames, unsigned count)
{
    uint32_t hash = hash_of(frames, count);

    for (uint32_t i = 0; i < PROBES; i++) {
        uint32_t *slot = &depot->slots[(hash + i) % SLOTS];
        uint32_t stack = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
        if (stack != 0 && same(stack, frames, count))
            return stack;
        if (stack == 0) {
            uint32_t fresh = enter(frames, count), none = 0;
            if (fresh != 0)
                __atomic_compare_exchange_n(slot, &none, fresh, false, __ATOMIC_RELEASE,
                                            __ATOMIC_RELAXED);
            return fresh;
        }
    }
    return enter(frames, count);
}

static bool is_ours(uintptr_t code)
{
    static struct fo_module self;

    if (self.end == 0 && !fo_elf_module((uintptr_t)is_ours, &self))
        return false;
    return code >= self.start && code < self.end;
}

uint32_t fo_stack_capture(void)
{
    static __thread bool inside; /* the unwinder may allocate */
    void *frames[FO_STACK_MAX + 8];
    int saved_errno = errno, first = 0;

    if (depot == NULL || inside)
        return 0;
    inside = true;
    int count = backtrace(frames, (int)fo_options.stacks + 8);
    inside = false;
    errno = saved_errno;
    while (first < count && is_ours((uintptr_t)frames[first]))
        first++;
    count -= first;
    if (count > (int)fo_options.stacks)
        count = (int)fo_options.stacks;
    return count > 0 ? find_or_enter((uintptr_t *)frames + first, (unsigned)count) : 0;
}

unsigned fo_stack_frames(uint32_t stack, uintptr_t *out, unsigned room)
{
    if (depot == NULL || stack == 0 || stack >= WORDS)
        return 0;
    uintptr_t count = depot->words[stack];
    if (count > FO_STACK_MAX || stack + count >= WORDS)
        return 0;
    for (unsigned i = 0; i < count && i < room; i++)
        out[i] = depot->words[stack + 1 + i];
    return count < room ? (unsigned)count : room;
}

static uint64_t *kept_at(uintptr_t payload, size_t size)
{
    return (uint64_t *)(payload + fo_room(size) - sizeof(struct fo_header)) - 1;
}

static uint64_t sealed(uintptr_t payload, uint32_t stack)
{
    return (fo_hot.secret ^ payload ^ stack) << 32 | stack;
}

void fo_stack_keep(uintptr_t payload, size_t size, uint32_t stack)
{
    if (fo_guard_contains(payload))
        fo_guard_keep_stack(payload, stack);
    else
        *kept_at(payload, size) = sealed(payload, stack);
}

uint32_t fo_stack_of(uintptr_t payload, size_t size)
{
    if (fo_guard_contains(payload))
        return fo_guard_stack_of(payload);
    uint64_t kept = *kept_at(payload, size);

    return kept == sealed(payload, (uint32_t)kept) ? (uint32_t)kept : 0;
}
