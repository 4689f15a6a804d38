/* The hooks' slow path through the region, for what their fast path (block/hooks.c) leaves out:
 * large blocks, threads without a cache, full magazines, other threads that may free the same block
 * at this moment.
 *
 * Relaxed is what one thread alone does at a time (the process's copy of limits and bins, of which
 * an old value takes the slow path; a held block's header and page), and a failed exchange. */
#include "heap/direct.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/wipe.h"
#include "options/options.h"
#include "process/process.h"

struct fo_region_range fo_region_range;
bool fo_direct_by_name, fo_direct_wrapped, fo_direct_is_sampled;

/* In a forked child that shares the heap, the caches belong to the parent.  Only the thread that
 * was forked has one.  If another thread calls first (raw clone(2)), the fast path stays off until
 * the forked thread calls. */
static bool is_held_back(void)
{
    if ((uint32_t)syscall(SYS_gettid) != fo_getpid())
        return true;
    fo_cache_disown();
    return false;
}

void fo_region_start_fast_path(struct fo_direct *d)
{
    FO_RELAXED_STORE(&d->held_back, false);
    fo_region_update_limit(d);
    if (fo_layout.shared) {
        __atomic_store_n(&d->shared_size, FO_REGION_SMALL, __ATOMIC_RELEASE);
        return;
    }
    FO_RELAXED_STORE(&d->by_name, FO_RELAXED_LOAD(&fo_direct_by_name) ? FO_REGION_SMALL : 0);
    __atomic_store_n(&d->size, FO_REGION_SMALL, __ATOMIC_RELEASE);
}

static unsigned steps_of(unsigned class)
{
    return (fo_class_payload(class) + 15) / 16;
}

void fo_region_refine(struct fo_direct *d)
{
    uint64_t fine = FO_RELAXED_LOAD(&fo_region->fine);

    FO_RELAXED_STORE(&d->fine, fine | (fo_direct_is_sampled ? FO_FINE_SAMPLED : 0));
    for (unsigned class = 0, step = 0; class < FO_REGION_CLASSES; class ++) {
        uint16_t bin = (uint16_t)(fo_class_as(fine, class) * sizeof(struct fo_bin));
        for (; step < steps_of(class); step++)
            FO_RELAXED_STORE(&d->bins[step], bin);
    }
}

/* The classes that this one stands for are below it. */
void fo_region_stop(struct fo_direct *d, unsigned class, bool stopped)
{
    uint64_t fine = FO_RELAXED_LOAD(&fo_region->fine);
    uint16_t where =
        (uint16_t)(stopped ? offsetof(struct fo_cache, nothing) : class * sizeof(struct fo_bin));
    unsigned least = class;

    while (least != 0 && fo_class_as(fine, least - 1) == class)
        least--;
    for (unsigned step = least != 0 ? steps_of(least - 1) : 0; step < steps_of(class); step++)
        FO_RELAXED_STORE(&d->bins[step], where);
}
_Static_assert(offsetof(struct fo_cache, nothing) / sizeof(struct fo_bin) >= FO_REGION_CLASSES,
               "no class has this place");

void fo_region_enter(struct fo_direct *d, uint32_t index, bool forked)
{
    fo_direct_begin(d, fo_layout.base + FO_PAGE_SIZE + sizeof(struct fo_header));
    d->grounds = fo_layout.ground + 1;
    d->meta = (uint64_t)index << FO_META_SHIFT | (uint64_t)FO_BACKEND_ARENA << FO_BACKEND_SHIFT;
    d->key = fo_layout.key;
    fo_region_refine(d);
    FO_RELAXED_STORE(&d->held_back, forked && fo_layout.shared && is_held_back());
    if (!d->held_back)
        fo_region_start_fast_path(d);
}

/* In private memory, the thread that forked is the only one now, and keeps its cache.  It can be
 * recognised only when it calls: after a raw clone(2), a new thread may call first. */
void fo_region_forked(void)
{
    if (fo_layout.shared && !fo_direct_of(fo_hot.process)->held_back)
        fo_region_mark();
    if (fo_layout.shared)
        return;
    if (fo_thread.cache != &fo_no_cache)
        fo_cache_claim_after_fork();
    else if ((uint32_t)syscall(SYS_gettid) == fo_getpid())
        fo_cache_disown();
    else
        return;
    fo_direct_of(fo_hot.process)->orphans = true;
}

void fo_region_mark(void)
{
    uint64_t thread_id = fo_thread_id();
    uint32_t n = __atomic_fetch_add(&fo_region->marks, 1, __ATOMIC_RELAXED);

    if (n >= FO_MARKS)
        n = n % (FO_MARKS - 1) + 1;
    FO_RELAXED_STORE(&fo_mark_at(n)->process, fo_thread_id_process(thread_id));
    FO_RELAXED_STORE(&fo_mark_at(n)->thread, fo_thread_id_number(thread_id));
    fo_thread.mark = (uint64_t)n << FO_ADDRESS_BITS;
    fo_thread_enter(fo_thread.caller);
}

void fo_region_update_limit(struct fo_direct *d)
{
    uint64_t committed = fo_region_committed(),
             hole = fo_layout.shared ? 0 : FO_RELAXED_LOAD(&fo_region->hole);
    /* X_free() reads a header before its page is known. */
    const uint64_t least = FO_PAGE_SIZE + sizeof(struct fo_header);
    uint64_t end = hole != 0 && hole < committed ? hole : committed;
    uint64_t limit = end > least ? end - least : 0;

    /* A block that another process made may have to stay. */
    FO_RELAXED_STORE(&d->object_bits,
                     FO_REGION_DEAD |
                         (FO_RELAXED_LOAD(&fo_hot.keeps_ancestors) ? FO_REGION_MAKER : 0));
    __atomic_store_n(&d->bytes, limit, __ATOMIC_RELEASE);
    if (!fo_options.wipe && !fo_direct_wrapped &&
        !FO_RELAXED_LOAD(&d->held_back)) /* else every free takes the slow path */
        __atomic_store_n(fo_layout.shared ? &d->shared_limit : &d->limit, limit, __ATOMIC_RELEASE);
    FO_RELAXED_STORE(&fo_region_range.start, fo_layout.base);
    /* Other processes may commit more, without notice: the whole range. */
    FO_RELAXED_STORE(&fo_region_range.size, fo_layout.shared
                                                ? (uint64_t)fo_layout.page_count << FO_PAGE_SHIFT
                                                : committed);
    fo_region_dump();
}

static uintptr_t take(size_t size)
{
    return size > FO_REGION_SMALL
               ? fo_large_take(size)
               : fo_cache_take(fo_direct_class_now(fo_direct_of(fo_process_self()), size));
}

/* The heap is shared and full. */
static FO_COLD uintptr_t take_when_full(size_t size)
{
    fo_caches_reclaim();
    uintptr_t payload = take(size);
    if (payload != 0)
        return payload;
    fo_region_make_room();
    payload = take(size);
    while (payload == 0 && fo_cache_can_own_pages() && fo_run_join(fo_large_pages(size)))
        payload = take(size);
    return payload;
}

void *fo_region_malloc(size_t size, fo_site site)
{
    struct fo_direct *d = fo_direct_of(fo_process_self());
    bool large = size > FO_REGION_SMALL, borrows = fo_cache_enter();
    uintptr_t payload = take(size);

    if (payload == 0 && fo_layout.shared)
        payload = take_when_full(size);
    if (borrows)
        fo_cache_leave();
    if (payload == 0)
        return NULL;
    uint64_t word = (uint64_t)size << FO_SIZE_SHIFT | FO_RELAXED_LOAD(&d->meta);
    struct fo_header *h = fo_header_of(payload);
    word |= fo_region_check(fo_layout.key, payload, site, word);
    FO_RELAXED_STORE(&h->site, site);
    __atomic_store_n(&h->word, word ^ (large ? FO_REGION_LARGE : 0), __ATOMIC_RELEASE);
    return (void *)payload;
}

static uint64_t *word_of(uintptr_t payload)
{
    return &fo_header_of(payload)->word;
}

static bool is_large(const struct fo_at *at)
{
    return fo_word_size(at->word) > FO_REGION_SMALL;
}

/* The bin gets room for the block before the block is held: so no other block is in flight. */
struct fo_at fo_region_hold(uintptr_t payload)
{
    struct fo_at at = fo_region_at(payload);

    if (at.state != FO_FOUND_LIVE || at.payload != payload)
        return at;
    if (!is_large(&at))
        fo_cache_rotate(fo_class_at(payload));
    uint64_t live = at.word ^ (is_large(&at) ? FO_REGION_LARGE : 0);
    if (!__atomic_compare_exchange_n(word_of(payload), &live, live ^ FO_REGION_HELD, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return fo_region_at(payload); /* another thread was faster */
    return at;
}

static void set_state(const struct fo_at *at, uint64_t flipped)
{
    uint64_t turned = is_large(at) ? FO_REGION_LARGE : 0;

    __atomic_store_n(word_of(at->payload), at->word ^ turned ^ flipped, __ATOMIC_RELEASE);
}

void fo_region_release(const struct fo_at *held)
{
    set_state(held, 0);
}

/* No thread reads half a header: while it is written, the page's word marks the block as held. */
static void rewrite_held(const struct fo_at *held, const struct fo_at *now)
{
    struct fo_page *pg = fo_page_at(fo_page_number(held->payload));

    FO_RELAXED_STORE(&pg->allocated, held->site);
    __atomic_store_n(&pg->word, held->word ^ FO_REGION_HELD, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    FO_RELAXED_STORE(&fo_header_of(held->payload)->site, now->site);
    set_state(now, FO_REGION_HELD);
    __atomic_store_n(&pg->word, now->word, __ATOMIC_RELEASE);
    set_state(now, 0);
}

bool fo_region_resize(const struct fo_at *held, size_t size, fo_site now)
{
    if (!is_large(held) || size > FO_SIZE_MAX)
        return false;
    bool borrows = fo_cache_enter(), fits = fo_large_fit(held->payload, size);
    if (borrows)
        fo_cache_leave();
    if (!fits)
        return false;
    struct fo_at resized = {FO_FOUND_LIVE, held->payload, (uint64_t)size << FO_SIZE_SHIFT, now};
    resized.word |= FO_RELAXED_LOAD(&fo_direct_of(fo_process_self())->meta);
    resized.word |= fo_region_check(fo_layout.key, held->payload, now, resized.word);
    rewrite_held(held, &resized);
    return true;
}

static void free_small(const struct fo_at *held, fo_site now)
{
    set_state(held, FO_REGION_FREED);
    fo_cache_put(fo_class_at(held->payload),
                 &(struct fo_cell){held->payload, now, fo_thread.stamp});
}

static void free_large(const struct fo_at *held, fo_site now)
{
    struct fo_page *pg = fo_page_at(fo_page_number(held->payload));

    FO_RELAXED_STORE(&pg->word, held->word);
    FO_RELAXED_STORE(&pg->allocated, held->site);
    FO_RELAXED_STORE(&pg->freed, now);
    FO_RELAXED_STORE(&pg->by, fo_thread.stamp);
    set_state(held, FO_REGION_FREED);
    fo_large_release(held->payload);
}

void fo_region_free_held(const struct fo_at *held, fo_site now)
{
    size_t size = fo_word_size(held->word);
    bool borrows = fo_cache_enter();

    if (fo_thread.mark == 0)
        fo_region_mark();
    if (fo_options.wipe)
        fo_wipe((void *)held->payload, size);
    if (is_large(held))
        free_large(held, now);
    else
        free_small(held, now);
    if (borrows)
        fo_cache_leave();
}
