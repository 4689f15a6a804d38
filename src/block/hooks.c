/* Allocation: called for every OpenSSL block, 8,000 times in a handshake.  Relaxed: what the choice
 * of a backend set (hot.h), and limits of which an old one serves. */
#include "block/hooks.h"

#include <errno.h>

#include "backend/backend.h"
#include "backend/guard.h"
#include "backend/origins.h"
#include "block/hooks_parts.h"
#include "block/quarantine.h"
#include "block/fast.h"
#include "block/sample.h"
#include "heap/direct.h"
#include "process/process.h"

void *fo_out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* For an address where no block was before, or that is not aligned to 16 bytes. */
static FO_COLD void *set_header_slowly(void *base, size_t size, const char *file, int line)
{
    struct fo_process *me = fo_process_self();
    size_t room = fo_room(size) + FO_RELAXED_LOAD(&fo_hot.pad);

    if (((uintptr_t)base & 15) != 0 && FO_RELAXED_LOAD(&fo_hot.pad) == 0) {
        /* The program's pool aligns to 8.  From now on 8 bytes more are requested. */
        fo_backends[fo_word_backend(fo_process_meta(me))]->free(base, room, file, line);
        FO_RELAXED_STORE(&fo_hot.pad, 8);
        room = fo_room(size) + 8;
        base = fo_hot.alloc(room, file, line);
        if (base == NULL)
            return NULL;
    }
    uint64_t word = fo_new_word(size, fo_process_meta(me));
    uintptr_t payload = fo_payload_in(base, &word);
    uint8_t *slot = ((uintptr_t)base & 7) == 0 ? fo_registry_slot_make(payload) : NULL;
    if (slot == NULL) {
        fo_backends[fo_word_backend(fo_process_meta(me))]->free(base, room, file, line);
        return fo_out_of_memory();
    }
    return fo_header_set_any(payload, word, fo_site_pack(file, line), slot);
}

/* On pages of its own, if the block is chosen for it; NULL: use the backend beneath. */
static FO_COLD void *allocate_guarded(size_t size, const char *file, int line)
{
    const struct fo_process *me = fo_process_self();
    if (!fo_guard_is_chosen(fo_process_serial()))
        return NULL;
    uint64_t word = fo_new_word(size, fo_with_backend(fo_process_meta(me), FO_BACKEND_GUARD));
    fo_site site = fo_site_pack(file, line);
    uintptr_t payload = fo_guard_take(word, site);
    if (payload == 0)
        return NULL;
    uint8_t *slot = fo_registry_slot_make(payload);
    if (slot != NULL)
        return fo_header_set(payload, word, site, slot);
    fo_backend_free(payload, word, site);
    return NULL;
}

/* The first allocation decides whether blocks are guarded, and has used the backend beneath. */
static FO_COLD void *allocate_first_guarded(void *base, size_t size, const char *file, int line)
{
    size_t room = fo_room(size) + FO_RELAXED_LOAD(&fo_hot.pad);
    void *guarded = allocate_guarded(size, file, line);

    if (guarded != NULL)
        fo_backends[fo_word_backend(fo_process_meta(fo_process_self()))]->free(base, room, file,
                                                                               line);
    return guarded;
}

/* From the region, or from libc when that is full and its blocks are not shared. */
static FO_COLD void *allocate_directly(size_t size, const char *file, int line)
{
    fo_process_self();
    void *p = fo_region_malloc(size, fo_site_pack(file, line));
    if (p != NULL)
        return p;
    if (!fo_layout.shared)
        return fo_allocate_from(FO_BACKEND_LIBC, size, file, line);
    fo_region_report_full(size);
    return fo_out_of_memory();
}

/* From the backend. */
static __attribute__((noinline)) void *allocate(size_t size, const char *file, int line)
{
    if (fo_unlikely(size - 1 >= FO_SIZE_MAX))
        return size == 0 ? NULL : fo_out_of_memory();
    fo_alloc_function *alloc = __atomic_load_n(&fo_hot.alloc, __ATOMIC_ACQUIRE);
    bool decided = fo_hot_is_chosen(alloc); /* else alloc() waits for the thread that decides */
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
    if (fo_unlikely(!decided && FO_RELAXED_LOAD(&fo_hot.guard))) {
        void *guarded = allocate_first_guarded(base, size, file, line);
        if (guarded != NULL)
            return guarded;
    }
    uintptr_t payload = (uintptr_t)base + sizeof(struct fo_header);
    uint8_t *slot = fo_registry_slot(payload);
    if (fo_unlikely(FO_RELAXED_LOAD(&fo_hot.shared)))
        fo_origins_learn(payload);
    if (fo_unlikely(slot == NULL))
        return set_header_slowly(base, size, file, line);
    return fo_header_set_any(payload, fo_new_word(size, fo_process_meta(fo_process_self())),
                             fo_site_pack(file, line), slot);
}

/* From the quarantine, where its blocks may be reused. */
static inline void *allocate_recycled(size_t size, const char *file, int line)
{
    struct fo_process *me = fo_hot.process;
    uint32_t id = __atomic_load_n(&me->id, __ATOMIC_ACQUIRE);
    if (fo_unlikely(id == 0))
        return allocate(size, file, line);
    uintptr_t payload = fo_quarantine_recycle(fo_class_of(size + fo_hot.tail), id);
    if (fo_unlikely(payload == 0))
        return allocate(size, file, line);
    return fo_header_set(payload, fo_new_word(size, fo_process_meta(me)), fo_site_pack(file, line),
                         fo_registry_slot_known(payload));
}

static inline void *refill(const struct fo_direct *d, uint64_t most, size_t size, const char *file,
                           int line)
{
    return fo_cache_fill(fo_direct_class(d, size))
               ? fo_malloc_fast(d, most, size, file, line, false)
               : NULL;
}

/* The thread has borrowed a cache for this call. */
static void *allocate_borrowing(const struct fo_direct *d, uint64_t most, size_t size,
                                const char *file, int line)
{
    void *p = fo_malloc_fast(d, most, size, file, line, false);

    if (fo_unlikely(p == NULL))
        p = refill(d, most, size, file, line);
    fo_cache_leave();
    return p;
}

static FO_COLD __attribute__((noinline)) void *allocate_sampled(struct fo_direct *d, size_t size,
                                                                const char *file, int line)
{
    void *p = fo_sample_refill(d, size, file, line);

    return p != NULL ? p : allocate(size, file, line);
}

void *fo_malloc_refill(size_t size, const char *file, int line)
{
    struct fo_direct *d = fo_direct_of(fo_process_self());
    uint64_t most = __atomic_load_n(&d->size, __ATOMIC_ACQUIRE); /* another thread may set it up */
    void *p = NULL;

    if (fo_likely(size - 1 < most)) {
        if (fo_unlikely(FO_RELAXED_LOAD(&d->fine) != FO_RELAXED_LOAD(&fo_region->fine))) {
            if (fo_direct_is_sampled)
                return allocate_sampled(d, size, file, line);
            fo_region_refine(d);
        }
        p = fo_cache_enter() ? allocate_borrowing(d, most, size, file, line)
                             : refill(d, most, size, file, line);
    } else if (fo_region != NULL && fo_layout.shared) { /* first what costs no page fault */
        p = fo_malloc_shared(size, file, line);
    }
    return fo_likely(p != NULL) ? p : allocate(size, file, line);
}

void *fo_malloc_slow(size_t size, const char *file, int line)
{
    if (fo_unlikely(!FO_RELAXED_LOAD(&fo_hot.recycle)))
        return fo_malloc_refill(size, file, line);
    if (fo_unlikely(size - 1 >= FO_CLASS_MAX - fo_hot.tail))
        return allocate(size, file, line);
    return allocate_recycled(size, file, line);
}

void *fo_malloc(size_t size, const char *file, int line)
{
    const struct fo_direct *d = fo_direct_of(fo_hot.process);
    void *p = fo_malloc_fast(d, FO_HOT_LOAD(&d->size), size, file, line, false);

    return fo_likely(p != NULL) ? p : fo_malloc_slow(size, file, line);
}
