/* See guard_slots.h.
 *
 * The number of mappings limits guarded blocks (vm.max_map_count): each live one splits off two.  A
 * freed one must give both back, so its pages are replaced by fresh reserved ones, which the kernel
 * joins with their neighbours; after mprotect(2) alone, they would stay separate.
 *
 * `fresh` is relaxed: it counts, and what lies in a slot is ordered by the slot's state. */
#include "backend/guard_slots.h"

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/apart.h"
#include "heap/system.h"
#include "options/options.h"

enum { CLASSES = 14, PATIENCE = 1000 }; /* runs of 1 to 8,192 pages; tries for a lock */

struct fo_guard_range fo_guard_range;

static struct fo_guard_class classes[CLASSES];
static size_t page;

/* --- where -------------------------------------------------------------------------------------
 */

static size_t round_page(size_t n)
{
    return (n + page - 1) & ~(page - 1);
}

struct fo_guard_slot *fo_guard_slot_at(uintptr_t p, struct fo_guard_class **of)
{
    for (struct fo_guard_class *c = classes; c < classes + CLASSES; c++)
        if (p - c->start < c->stride * c->count) {
            *of = c;
            return &c->slots[(p - c->start) / c->stride];
        }
    return NULL;
}

uintptr_t fo_guard_run_end(const struct fo_guard_class *c, const struct fo_guard_slot *s)
{
    return c->start + (size_t)(s - c->slots + 1) * c->stride - page;
}

struct fo_guard_class *fo_guard_class_for(size_t room)
{
    unsigned index = 0;

    while (index < CLASSES && page << index < room)
        index++;
    return index < CLASSES && classes[index].count != 0 ? &classes[index] : NULL;
}

/* --- which -------------------------------------------------------------------------------------
 */

static bool lock(struct fo_guard_class *c, uint32_t process)
{
    for (int i = 0; i < PATIENCE; i++) {
        uint32_t owner = FO_RELAXED_LOAD(&c->lock);
        if (owner != process && __atomic_compare_exchange_n(&c->lock, &owner, process, false,
                                                            __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return true;
        sched_yield();
    }
    return false;
}

static void unlock(struct fo_guard_class *c)
{
    __atomic_store_n(&c->lock, 0, __ATOMIC_RELEASE);
}

static struct fo_guard_slot *fresh(struct fo_guard_class *c)
{
    if (FO_RELAXED_LOAD(&c->fresh) >= c->count)
        return NULL;
    uint32_t n = __atomic_fetch_add(&c->fresh, 1, __ATOMIC_RELAXED);
    return n < c->count ? &c->slots[n] : NULL;
}

struct fo_guard_slot *fo_guard_next(struct fo_guard_class *c, uint32_t process)
{
    struct fo_guard_slot *s = fresh(c);

    if (s != NULL || !lock(c, process))
        return s;
    if (c->head != c->tail) {
        s = &c->slots[c->ring[c->tail & (c->count - 1)]];
        __atomic_store_n(&c->tail, c->tail + 1, __ATOMIC_RELEASE);
    }
    unlock(c);
    return s;
}

void fo_guard_queue(struct fo_guard_class *c, const struct fo_guard_slot *s, uint32_t process)
{
    if (!lock(c, process))
        return; /* the slot is lost, its pages are not */
    c->ring[c->head & (c->count - 1)] = (uint32_t)(s - c->slots);
    __atomic_store_n(&c->head, c->head + 1, __ATOMIC_RELEASE);
    unlock(c);
}

/* --- pages -------------------------------------------------------------------------------------
 */

bool fo_guard_open(uintptr_t end, size_t room)
{
    size_t length = round_page(room);

    if (mprotect((void *)(end - length), length, PROT_READ | PROT_WRITE) != 0)
        return false;
    fo_system_lock(end - length, length);
    return true;
}

void fo_guard_each_live(void (*visit)(void *context, const struct fo_freed *block), void *context)
{
    for (struct fo_guard_class *c = classes; c < classes + CLASSES; c++)
        for (uint32_t i = 0; i < c->count && i < FO_RELAXED_LOAD(&c->fresh); i++) {
            const struct fo_guard_slot *s = &c->slots[i];
            const struct fo_freed block = s->record;
            if (__atomic_load_n(&s->state, __ATOMIC_ACQUIRE) == FO_GUARD_LIVE)
                visit(context, &block);
        }
}

void fo_guard_lock(void)
{
    for (struct fo_guard_class *c = classes; c < classes + CLASSES; c++)
        for (uint32_t i = 0; i < c->count && i < FO_RELAXED_LOAD(&c->fresh); i++) {
            const struct fo_guard_slot *s = &c->slots[i];
            size_t length = round_page(fo_guard_room(fo_word_size(s->record.word)));
            if (FO_RELAXED_LOAD(&s->state) == FO_GUARD_LIVE && length < c->stride)
                fo_system_lock(fo_guard_run_end(c, s) - length, length);
        }
}

void fo_guard_close(uintptr_t end, size_t room)
{
    size_t length = round_page(room);
    void *start = (void *)(end - length);
    void *fresh_pages = mmap(start, length, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

    if (fresh_pages != MAP_FAILED) {
        fo_system_hide(end - length, length); /* like its neighbours, else they stay separate */
    } else if (mprotect(start, length, PROT_NONE) == 0) {
        if (fo_options.lock)
            munlock(start, length);
        madvise(start, length, MADV_DONTNEED);
    }
}

/* --- start -------------------------------------------------------------------------------------
 */

/* Reserve addresses, but at most a quarter of what is left of them (RLIMIT_AS): the program, the
 * registry and the backend beneath need some, too. */
static uintptr_t reserve(size_t size)
{
    enum { REGISTRY = 64 << 20 };
    size_t rest = 3 * size + REGISTRY;
    char *p =
        mmap(NULL, size + rest, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return 0;
    munmap(p + size, rest);
    return (uintptr_t)p;
}

/* Cut the classes, their starts counted from that of the range.  Returns its size. */
static size_t cut(uint32_t slots, size_t *number)
{
    size_t size = page; /* the first slot has a page in front, too */

    *number = 0;
    for (unsigned i = 0; i < CLASSES; i++) {
        classes[i] = (struct fo_guard_class){
            .start = size, .stride = (page << i) + page, .count = slots >> i};
        size += classes[i].stride * classes[i].count;
        *number += classes[i].count;
    }
    return size;
}

bool fo_guard_reserve(uint32_t slots)
{
    page = (size_t)sysconf(_SC_PAGESIZE);
    size_t number, size = cut(slots, &number);
    uintptr_t range = reserve(size);
    if (range == 0)
        return false;
    struct fo_guard_slot *records =
        fo_apart_map(number * (sizeof *records + sizeof(uint32_t)), MAP_PRIVATE);
    if (records == NULL) {
        munmap((void *)range, size);
        return false;
    }
    uint32_t *ring = (uint32_t *)(records + number);
    for (struct fo_guard_class *c = classes; c < classes + CLASSES; c++) {
        c->start += range;
        c->slots = records;
        c->ring = ring;
        records += c->count;
        ring += c->count;
    }
    fo_system_hide(range, size);
    fo_guard_range = (struct fo_guard_range){range, size};
    return true;
}
