/* The tagged path: every OpenSSL block comes and goes through here, 8,000 times a handshake. */
#include "core/hooks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/guard.h"
#include "backend/region.h"
#include "core/block.h"
#include "core/hot.h"
#include "core/options.h"
#include "core/quarantine.h"
#include "core/registry.h"
#include "core/short.h"
#include "core/stacks.h"
#include "core/verdict.h"
#include "core/watch.h"
#include "fork/process.h"
#include "fork/shared.h"

/* Until the process has its page: nothing goes the short way. */
static struct fo_process no_process;

struct fo_hot fo_hot = {.alloc = fo_backend_first, .process = &no_process};

static FO_COLD void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* The header goes in, then the registry learns of the block. */
static inline void *dress(uintptr_t payload, uint64_t word, fo_site site, uint8_t *slot)
{
    struct fo_header *h = fo_header_of(payload);

    FO_RELAXED_STORE(&h->site, site);
    FO_RELAXED_STORE(&h->word, word | fo_check(fo_hot.secret, payload, site, word));
    if (fo_unlikely(fo_hot.tail != 0))
        fo_watch_begin(payload, fo_word_size(word));
    __atomic_store_n(slot, FO_SLOT_LIVE, __ATOMIC_RELEASE);
    return (void *)payload;
}

static inline uint64_t new_word(size_t size, uint64_t meta)
{
    return (uint64_t)size << FO_SIZE_SHIFT | meta;
}

/* For a base that may be aligned to 8 bytes only: where the payload starts, and the bit for it. */
static inline uintptr_t payload_in(const void *base, uint64_t *word)
{
    *word |= (uint64_t)((uintptr_t)base >> 3 & 1) << FO_PAD8_SHIFT;
    return ((uintptr_t)base + sizeof(struct fo_header) + 8) & ~(uintptr_t)15;
}

/* A block where none of ours was before, or one that is not aligned to 16 bytes. */
static FO_COLD void *dress_slowly(void *base, size_t size, const char *file, int line)
{
    struct fo_process *me = fo_process_self();
    size_t room = fo_room(size) + FO_RELAXED_LOAD(&fo_hot.pad);

    if (((uintptr_t)base & 15) != 0 && FO_RELAXED_LOAD(&fo_hot.pad) == 0) {
        /* The program's pool aligns to 8.  From now on ask for 8 bytes more. */
        fo_backends[fo_word_backend(fo_process_meta(me))]->free(base, room, file, line);
        FO_RELAXED_STORE(&fo_hot.pad, 8);
        room = fo_room(size) + 8;
        base = fo_hot.alloc(room, file, line);
        if (base == NULL)
            return NULL;
    }
    uint64_t word = new_word(size, fo_process_meta(me));
    uintptr_t payload = payload_in(base, &word);
    uint8_t *slot = ((uintptr_t)base & 7) == 0 ? fo_registry_slot_make(payload) : NULL;
    if (slot == NULL) {
        fo_backends[fo_word_backend(fo_process_meta(me))]->free(base, room, file, line);
        return out_of_memory();
    }
    return dress(payload, word, fo_site_pack(file, line), slot);
}

static uint64_t with_backend(uint64_t meta, unsigned id)
{
    uint64_t mask = (uint64_t)((1u << FO_BACKEND_BITS) - 1) << FO_BACKEND_SHIFT;

    return (meta & ~mask) | (uint64_t)id << FO_BACKEND_SHIFT;
}

/* On pages of its own, if the block is chosen for it; NULL: it comes from the backend beneath. */
static FO_COLD void *allocate_guarded(size_t size, const char *file, int line)
{
    const struct fo_process *me = fo_process_self();
    if (!fo_guard_chooses(me->pid))
        return NULL;
    uint64_t word = new_word(size, with_backend(fo_process_meta(me), FO_BACKEND_GUARD));
    fo_site site = fo_site_pack(file, line);
    uintptr_t payload = fo_guard_take(word, site);
    if (payload == 0)
        return NULL;
    uint8_t *slot = fo_registry_slot_make(payload);
    if (slot != NULL)
        return dress(payload, word, site, slot);
    fo_backend_free(payload, word, site);
    return NULL;
}

static void *allocate_from(unsigned id, size_t size, const char *file, int line);

/* From the region; what finds no room there comes from libc, unless others have to see it. */
static FO_COLD void *allocate_directly(size_t size, const char *file, int line)
{
    fo_process_self();
    void *p = fo_region_malloc(size, fo_site_pack(file, line));
    if (p != NULL)
        return p;
    if (!fo_region->shared)
        return allocate_from(FO_BACKEND_LIBC, size, file, line);
    fo_region_tell_full(size);
    return out_of_memory();
}

/* From the backend. */
static __attribute__((noinline)) void *allocate(size_t size, const char *file, int line)
{
    if (fo_unlikely(size - 1 >= FO_SIZE_MAX))
        return size == 0 ? NULL : out_of_memory();
    fo_alloc_function *alloc = __atomic_load_n(&fo_hot.alloc, __ATOMIC_ACQUIRE);
    bool decided = alloc != fo_backend_first; /* else it waits for the thread that decides */
    if (decided && FO_RELAXED_LOAD(&fo_hot.direct))
        return allocate_directly(size, file, line);
    if (fo_unlikely(FO_RELAXED_LOAD(&fo_hot.guard))) {
        void *guarded = allocate_guarded(size, file, line);
        if (guarded != NULL)
            return guarded;
    }
    void *base = alloc(fo_room(size) + FO_RELAXED_LOAD(&fo_hot.pad), file, line);
    if (fo_unlikely(base == NULL))
        return FO_RELAXED_LOAD(&fo_hot.direct) ? allocate_directly(size, file, line) : NULL;
    uintptr_t payload = (uintptr_t)base + sizeof(struct fo_header);
    uint8_t *slot = fo_registry_slot(payload);
    if (fo_unlikely(FO_RELAXED_LOAD(&fo_hot.shared)))
        fo_shared_learn(payload);
    if (fo_unlikely(slot == NULL))
        return dress_slowly(base, size, file, line);
    return dress(payload, new_word(size, fo_process_meta(fo_process_self())),
                 fo_site_pack(file, line), slot);
}

/* Where the blocks of a quarantine may serve again. */
static inline void *allocate_again(size_t size, const char *file, int line)
{
    struct fo_process *me = fo_hot.process;
    uint32_t pid = __atomic_load_n(&me->pid, __ATOMIC_ACQUIRE);
    if (fo_unlikely(pid == 0))
        return allocate(size, file, line);
    uintptr_t payload = fo_quarantine_recycle(fo_class_of(size + fo_hot.tail), pid);
    if (fo_unlikely(payload == 0))
        return allocate(size, file, line);
    return dress(payload, new_word(size, fo_process_meta(me)), fo_site_pack(file, line),
                 fo_registry_slot_known(payload));
}

static __attribute__((noinline)) void *malloc_refill(size_t size, const char *file, int line)
{
    const struct fo_direct *d = &fo_process_self()->direct;
    uint64_t most = __atomic_load_n(&d->size, __ATOMIC_ACQUIRE); /* another thread may begin it */

    if (fo_likely(size - 1 < most) && fo_cache_fill(fo_region_class_of(size))) {
        void *p = fo_malloc_short(d, most, size, file, line);
        if (fo_likely(p != NULL))
            return p;
    }
    return allocate(size, file, line);
}

void *fo_malloc_long(size_t size, const char *file, int line)
{
    if (fo_unlikely(!FO_RELAXED_LOAD(&fo_hot.recycle)))
        return malloc_refill(size, file, line);
    if (fo_unlikely(size - 1 >= FO_CLASS_MAX - fo_hot.tail))
        return allocate(size, file, line);
    return allocate_again(size, file, line);
}

void *fo_malloc(size_t size, const char *file, int line)
{
    const struct fo_direct *d = &fo_hot.process->direct;
    void *p = fo_malloc_short(d, FO_HOT_LOAD(&d->size), size, file, line);

    return fo_likely(p != NULL) ? p : fo_malloc_long(size, file, line);
}

static inline bool header_is_whole(uintptr_t p, const struct fo_header *h)
{
    return fo_is_live(fo_hot.secret, p, h->site, h->word);
}

static FO_COLD void refuse_damaged(uintptr_t p, uint8_t *slot, enum fo_operation operation,
                                   fo_site now)
{
    __atomic_store_n(slot, FO_SLOT_DAMAGED, __ATOMIC_RELEASE);
    fo_damaged_block(p, operation, now);
}

/* Look at a block that is about to be freed, and prepare it for the quarantine. A guarded one does
 * not wait there with its pages open: it is freed here, and true returned. */
static FO_COLD bool watch_free(uintptr_t payload, fo_site allocated, uint64_t word,
                               enum fo_operation operation, fo_site now)
{
    if (fo_options.canary)
        fo_watch_end(payload, allocated, word, operation, now);
    if (fo_options.stacks != 0)
        fo_thread.stacks =
            (uint64_t)fo_stack_of(payload, fo_word_size(word)) << 32 | fo_stack_capture();
    if (fo_word_backend(word) == FO_BACKEND_GUARD) {
        fo_quarantine_put_slowly(payload, allocated, word, now);
        return true;
    }
    if (fo_options.wipe)
        explicit_bzero((void *)payload, fo_word_size(word));
    if (fo_hot.fill)
        fo_watch_fill(payload, fo_word_size(word));
    return false;
}

static FO_COLD void refuse_free(uintptr_t p, fo_site now)
{
    if (fo_wrong_pointer(p, FO_OPERATION_FREE, now) == FO_FINDING_FOREIGN &&
        fo_options.foreign == FO_FOREIGN_FREE && !fo_region_contains(p))
        free((void *)p);
}

static inline bool is_direct(uintptr_t payload)
{
    return fo_region_contains(payload) && FO_RELAXED_LOAD(&fo_hot.direct);
}

/* A block of the region is judged by its place and header. */
static FO_COLD void free_directly(uintptr_t payload, fo_site now)
{
    fo_region_see_limit(&fo_process_self()->direct);
    struct fo_at at = fo_region_hold(payload);
    if (at.payload == payload && at.state == FO_FOUND_LIVE)
        fo_region_free_held(&at, now);
    else if (at.payload == payload && at.state == FO_FOUND_DAMAGED)
        fo_damaged_block(payload, FO_OPERATION_FREE, now);
    else
        refuse_free(payload, now);
}

void fo_free_long(uintptr_t payload, fo_site now)
{
    if (payload == 0)
        return;
    if (is_direct(payload)) {
        free_directly(payload, now);
        return;
    }
    uint8_t *slot = fo_registry_slot(payload);
    if (fo_unlikely(slot == NULL || !fo_registry_claim(slot, FO_SLOT_LIVE, FO_SLOT_FREED))) {
        refuse_free(payload, now);
        return;
    }
    struct fo_header *h = fo_header_of(payload);
    uint64_t word = h->word;
    if (fo_unlikely(!header_is_whole(payload, h))) {
        refuse_damaged(payload, slot, FO_OPERATION_FREE, now);
        return;
    }
    if (fo_unlikely(FO_RELAXED_LOAD(&fo_hot.watch)) &&
        watch_free(payload, h->site, word, FO_OPERATION_FREE, now))
        return;
    FO_RELAXED_STORE(&h->word, fo_word_freed(word));
    fo_quarantine_put(payload, h->site, word, now);
}

void fo_free_rotate(uintptr_t payload, fo_site now, uint64_t word)
{
    if (fo_cache_rotate(fo_region_class_of(fo_word_size(word))))
        fo_free((void *)payload, fo_site_file(now), fo_site_line(now));
    else
        fo_free_long(payload, now);
}

void fo_free_far_down(uintptr_t payload, const char *file, int line)
{
    fo_free((void *)payload, file, line < 0 || line > FO_LINE_MAX ? FO_LINE_MAX : line);
}

void fo_free_among_threads(uintptr_t payload, fo_site now, struct fo_bin *bin, uint64_t word)
{
    struct fo_header *h = fo_header_of(payload);

    if (fo_unlikely(!__atomic_compare_exchange_n(&h->word, &word, word ^ FO_REGION_HELD, false,
                                                 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))) {
        fo_free_long(payload, now);
        return;
    }
    fo_put_short(bin, bin->put, payload, now);
    __atomic_store_n(&h->word, word ^ FO_REGION_FREED, __ATOMIC_RELEASE);
}

void fo_free(void *p, const char *file, int line)
{
    fo_free_short(p, file, line, fo_free_long);
}

static FO_COLD void *refuse_realloc(uintptr_t p, size_t size, fo_site now)
{
    if (fo_wrong_pointer(p, FO_OPERATION_REALLOC, now) == FO_FINDING_FOREIGN &&
        fo_options.foreign == FO_FOREIGN_FREE && !fo_region_contains(p))
        return realloc((void *)p, size);
    return NULL;
}

/* From a backend that is not the active one. */
static void *allocate_from(unsigned id, size_t size, const char *file, int line)
{
    void *base = fo_backends[id]->alloc(fo_room(size) + 8, file, line);
    if (base == NULL)
        return NULL;
    uint64_t fresh = new_word(size, with_backend(fo_process_meta(fo_process_self()), id));
    uintptr_t payload = payload_in(base, &fresh);
    uint8_t *slot = fo_registry_slot_make(payload);
    if (slot == NULL) {
        fo_backends[id]->free(base, fo_room(size) + 8, file, line);
        return out_of_memory();
    }
    return dress(payload, fresh, fo_site_pack(file, line), slot);
}

/* A block keeps its backend (law 6) when it moves, even if the active one is another by now; unless
 * it was guarded: that is chosen anew. */
static void *allocate_like(uint64_t word, size_t size, const char *file, int line)
{
    unsigned id = fo_word_backend(word);

    if (id == fo_word_backend(fo_process_meta(fo_process_self())) || id == FO_BACKEND_GUARD ||
        size > FO_SIZE_MAX)
        return fo_malloc(size, file, line);
    return allocate_from(id, size, file, line);
}

static void *realloc_directly(uintptr_t payload, size_t size, const char *file, int line)
{
    fo_site now = fo_site_pack(file, line);
    struct fo_at at = fo_region_hold(payload);

    if (at.payload == payload && at.state == FO_FOUND_DAMAGED) {
        fo_damaged_block(payload, FO_OPERATION_REALLOC, now);
        return NULL;
    }
    if (at.payload != payload || at.state != FO_FOUND_LIVE)
        return refuse_realloc(payload, size, now);
    void *moved = fo_malloc(size, file, line);
    if (moved == NULL) {
        fo_region_let_go(&at);
        return NULL;
    }
    size_t old = fo_word_size(at.word);
    memcpy(moved, (const void *)payload, old < size ? old : size);
    fo_region_free_held(&at, now);
    return moved;
}

/* Always a new block and a copy: so the old address goes through the quarantine, and a stale
 * pointer to it is found. */
void *fo_realloc(void *p, size_t size, const char *file, int line)
{
    uintptr_t payload = (uintptr_t)p;

    if (p == NULL)
        return fo_malloc(size, file, line);
    if (size == 0) {
        fo_free(p, file, line);
        return NULL;
    }
    if (is_direct(payload))
        return realloc_directly(payload, size, file, line);
    fo_site now = fo_site_pack(file, line);
    uint8_t *slot = fo_registry_slot(payload);
    if (fo_unlikely(slot == NULL || !fo_registry_claim(slot, FO_SLOT_LIVE, FO_SLOT_BUSY)))
        return refuse_realloc(payload, size, now);
    struct fo_header *h = fo_header_of(payload);
    uint64_t word = h->word;
    if (fo_unlikely(!header_is_whole(payload, h))) {
        refuse_damaged(payload, slot, FO_OPERATION_REALLOC, now);
        return NULL;
    }
    void *moved = allocate_like(word, size, file, line);
    if (moved == NULL) {
        __atomic_store_n(slot, FO_SLOT_LIVE, __ATOMIC_RELEASE); /* as it was */
        return NULL;
    }
    size_t old = fo_word_size(word);
    memcpy(moved, p, old < size ? old : size);
    __atomic_store_n(slot, FO_SLOT_FREED, __ATOMIC_RELEASE);
    if (fo_unlikely(FO_RELAXED_LOAD(&fo_hot.watch)) &&
        watch_free(payload, h->site, word, FO_OPERATION_REALLOC, now))
        return moved;
    FO_RELAXED_STORE(&h->word, fo_word_freed(word));
    fo_quarantine_put(payload, h->site, word, now);
    return moved;
}
