/* The caches of threads: which thread has which.  A cache outlives its thread: the next thread gets
 * it with all that waits in it.  See region.h.
 *
 * A thread that is idle should keep no memory, and there may be thousands.  So one more cache can
 * be owned for each dozen handshakes that were made without, up to a limit; the other threads
 * borrow one for each call, of as many as there are calls at the same time.
 *
 * Relaxed is what the owner of a cache writes (the next one acquires the owner's word), counts, and
 * a failed exchange. */
#include "heap/owner.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "heap/direct.h"
#include "options/options.h"
#include "process/ending.h"
#include "process/process.h"

FO_BEGINNING(1) struct fo_cache fo_no_cache;

void fo_cache_empty(struct fo_cache *cache)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        struct fo_bin *bin = &cache->bins[c];
        FO_RELAXED_STORE(&bin->take, fo_no_cells());
        FO_RELAXED_STORE(&bin->put, fo_no_cells());
        bin->reciprocal = fo_reciprocal(fo_class_slot(c));
        bin->first = bin->last = bin->queued = bin->ready = bin->readied = bin->spare =
            bin->spares = 0;
        bin->grown = 0;
    }
    FO_RELAXED_STORE(&cache->nothing, fo_no_cells());
}

uint16_t fo_cache_number(const struct fo_cache *cache)
{
    return cache == &fo_no_cache ? 0 : (uint16_t)(FO_RELAXED_LOAD(&cache->index) + 1);
}

uint32_t fo_state_owned(enum fo_page_state state)
{
    return (uint32_t)fo_cache_number(fo_thread.cache) << FO_PAGE_CACHE_SHIFT | state;
}

bool fo_cache_can_own_pages(void)
{
    return fo_cache_own() != NULL || !fo_layout.shared;
}

/* --- two groups --------------------------------------------------------------------------------
 */

struct fo_caches fo_caches_owned(void)
{
    return (struct fo_caches){0, fo_layout.owned_most, &fo_region->caches};
}

struct fo_caches fo_caches_lent(void)
{
    uint32_t first = fo_layout.owned_most;

    return (struct fo_caches){first, fo_layout.cache_count - first, &fo_region->lent};
}

/* --- owners ------------------------------------------------------------------------------------
 */

/* From another process: the parent from which this private heap was copied, or one that shares the
 * heap.  In this process, a thread releases its cache when it ends; only if memory is short, all
 * threads are tested. */
static bool can_inherit(uint64_t owner, uint64_t self, bool asks_all)
{
    if (owner >> 32 != self >> 32)
        return fo_layout.shared || FO_RELAXED_LOAD(&fo_direct_of(fo_hot.process)->orphans);
    return fo_layout.shared && (asks_all || owner == self);
}

static bool make(struct fo_cache *cache)
{
    fo_cache_empty(cache);
    if (!fo_living_start(&cache->owner, fo_layout.shared))
        return false;
    fo_cache_limit(cache);
    __atomic_store_n(&cache->made, true, __ATOMIC_RELEASE);
    return true;
}

/* If its maker died before, this thread makes it. */
static bool is_made(struct fo_cache *cache, uint64_t self)
{
    uint64_t maker = FO_RELAXED_LOAD(&cache->maker);

    if (__atomic_load_n(&cache->made, __ATOMIC_ACQUIRE))
        return true;
    return maker != 0 && (fo_layout.shared || maker >> 32 != self >> 32) &&
           !fo_living_is_running(maker) &&
           __atomic_compare_exchange_n(&cache->maker, &maker, self, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED) &&
           make(cache);
}

bool fo_cache_take_over(struct fo_cache *cache, uint64_t self, bool asks_all)
{
    if (!is_made(cache, self))
        return false;
    if (fo_living_claim(&cache->owner, self))
        return true;
    if (!can_inherit(fo_living_owner(&cache->owner), self, asks_all) ||
        !fo_living_adopt(&cache->owner, self))
        return false;
    fo_thread.cache = cache; /* if this thread dies, too, another one recovers it */
    fo_cache_recover(cache);
    return true;
}

/* The first that has no owner, or a dead one; NULL: none. */
static struct fo_cache *adopt(const struct fo_caches *g, uint64_t self)
{
    uint32_t made = fo_caches_made(g);

    for (uint32_t i = 0; i < made; i++)
        if (fo_cache_take_over(fo_cache_at(g->first + i), self, false))
            return fo_cache_at(g->first + i);
    return NULL;
}

/* First one thread claims the making of a cache; then any thread counts it. */
static struct fo_cache *next_to_make(const struct fo_caches *g, uint64_t self)
{
    for (;;) {
        uint32_t n = fo_caches_made(g);
        uint64_t no_maker = 0;
        if (n == g->most)
            return NULL;
        if (!fo_layout_map_cache(g->first + n))
            return NULL;
        struct fo_cache *cache = fo_cache_at(g->first + n);
        FO_RELAXED_STORE(&cache->index, g->first + n);
        bool is_claimed = __atomic_compare_exchange_n(&cache->maker, &no_maker, self, false,
                                                      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
        __atomic_compare_exchange_n(g->made, &n, n + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
        if (is_claimed)
            return cache;
    }
}

/* The option is for all caches together: with one more, each may keep less. */
static void update_limits(void)
{
    uint32_t users = fo_caches_users();

    if ((users & (users - 1)) != 0)
        return;
    for (unsigned n = 0; n < 2; n++) {
        struct fo_caches g = n == 0 ? fo_caches_owned() : fo_caches_lent();
        for (uint32_t i = 0; i < fo_caches_made(&g); i++)
            fo_cache_limit(fo_cache_at(g.first + i));
    }
}

static struct fo_cache *new_cache(const struct fo_caches *g, uint64_t self)
{
    struct fo_cache *cache;

    do {
        cache = next_to_make(g, self);
        if (cache == NULL || !make(cache))
            return NULL;
    } while (!fo_living_claim(&cache->owner, self)); /* another thread was faster */
    update_limits();
    return cache;
}

/* --- threads that end --------------------------------------------------------------------------
 */

void fo_cache_leave(void)
{
    struct fo_cache *cache = fo_thread.cache;

    fo_thread.cache = &fo_no_cache;
    if (cache != &fo_no_cache && fo_living_owner(&cache->owner) == fo_thread.me)
        fo_living_release(&cache->owner);
}

void fo_cache_retire(void)
{
    struct fo_cache *cache = fo_thread.cache;

    for (unsigned c = 0; cache != &fo_no_cache && c < FO_REGION_CLASSES; c++)
        fo_cache_trim(c);
    fo_cache_leave();
}

void fo_caches_start(void)
{
    fo_cache_empty(&fo_no_cache);
    fo_ending_start();
}

/* --- for a call --------------------------------------------------------------------------------
 */

/* The one that this thread borrowed last, if it is free.  Another one only if two calls meet, so
 * that there are no more of them than calls at the same time. */
static struct fo_cache *borrow_free(uint32_t made, uint64_t self)
{
    struct fo_caches g = fo_caches_lent();
    uint32_t last = fo_thread.lent != NULL ? FO_RELAXED_LOAD(&fo_thread.lent->index) - g.first : 0;

    for (uint32_t i = 0; i < made; i++) {
        struct fo_cache *cache = fo_cache_at(g.first + (last + i) % made);
        if (__atomic_load_n(&cache->made, __ATOMIC_ACQUIRE) && fo_living_claim(&cache->owner, self))
            return cache;
    }
    return NULL;
}

static struct fo_cache *borrow_once(uint64_t self)
{
    struct fo_caches g = fo_caches_lent();
    uint32_t made = fo_caches_made(&g);
    struct fo_cache *cache = made != 0 ? borrow_free(made, self) : NULL;

    if (cache == NULL)
        cache = adopt(&g, self);
    return cache != NULL ? cache : new_cache(&g, self);
}

/* All caches to lend are in use, by threads that were stopped in a call: they run while this one
 * waits.  It waits as a lock does, since sandboxes allow that. */
static FO_COLD struct fo_cache *await(uint64_t self)
{
    const struct timespec timeout = {0, 1000000};
    static uint32_t never;
    struct fo_cache *cache = NULL;

    for (unsigned turn = 0; turn < 1000 && cache == NULL; turn++) {
        syscall(SYS_futex, &never, FUTEX_WAIT_PRIVATE, 0, &timeout, NULL, 0);
        cache = borrow_once(self);
    }
    return cache;
}

static struct fo_cache *borrow(uint64_t self)
{
    struct fo_cache *cache = borrow_once(self);

    return cache == NULL && fo_layout.shared ? await(self) : cache;
}

/* --- to own ------------------------------------------------------------------------------------
 */

/* A new thread: watch for its end, and give it a mark for records of frees. */
static void register_thread(void)
{
    fo_ending_watch(FO_ENDING_CACHE, fo_cache_retire);
    fo_region_mark();
}

/* Does this thread look for a cache to own with this call?  With its first, and now and then: one
 * without an owner costs nothing.  One more may be made for the main thread, for the first thread,
 * and after FO_CALLS_TO_OWN calls of all threads that borrow. */
static bool is_due(uint64_t self, bool *may_make)
{
    uint32_t calls = fo_thread.borrowed++;

    if (fo_unlikely(calls == 0)) {
        register_thread();
        *may_make =
            (uint32_t)self == fo_process_self()->pid || FO_RELAXED_LOAD(&fo_region->caches) == 0;
        return true;
    }
    if (fo_likely(calls % FO_CALLS_TO_LOOK != 0))
        return false;
    uint32_t all = __atomic_add_fetch(&fo_region->borrowed, FO_CALLS_TO_LOOK, __ATOMIC_RELAXED);
    *may_make = all % FO_CALLS_TO_OWN == 0;
    return true;
}

static struct fo_cache *get_owned(uint64_t self, bool may_make)
{
    struct fo_caches g = fo_caches_owned();
    struct fo_cache *cache = adopt(&g, self);

    return cache == NULL && may_make ? new_cache(&g, self) : cache;
}

/* The common case.  After a fork, this thread has a new identity. */
static inline bool borrow_again(void)
{
    struct fo_cache *cache = fo_thread.lent;
    uint32_t calls = fo_thread.borrowed;

    if (fo_unlikely(calls % FO_CALLS_TO_LOOK == 0) || fo_unlikely(cache == NULL) ||
        fo_unlikely(fo_thread.me >> 32 != FO_RELAXED_LOAD(&fo_hot.process->id)) ||
        fo_unlikely(!fo_living_claim(&cache->owner, fo_thread.me)))
        return false;
    fo_thread.borrowed = calls + 1;
    FO_RELAXED_STORE(&cache->drained, false);
    fo_thread.cache = cache;
    return true;
}

/* True: it is borrowed for this call. */
static __attribute__((noinline)) bool get_cache(void)
{
    uint64_t self = fo_living_me();
    int saved_errno = errno;
    bool may_make = false;
    struct fo_cache *cache = is_due(self, &may_make) ? get_owned(self, may_make) : NULL;
    bool is_owned = cache != NULL;

    if (!is_owned)
        fo_thread.lent = cache = borrow(self);
    if (cache != NULL) {
        FO_RELAXED_STORE(&cache->drained, false);
        fo_thread.me = self;
        fo_thread.cache = cache;
    }
    errno = saved_errno;
    return !is_owned && cache != NULL;
}

void fo_cache_claim_after_fork(void)
{
    fo_thread.me = fo_living_me();
    __atomic_store_n(&fo_thread.cache->owner.owner, fo_thread.me, __ATOMIC_RELEASE);
    fo_region_mark();
}

/* In a child of a raw clone(2), another thread called before the one that was forked: the cache of
 * the latter belongs to the parent. */
void fo_cache_end_hold_back(void)
{
    if ((uint32_t)syscall(SYS_gettid) != fo_getpid())
        return;
    fo_thread.id = 0;
    fo_cache_disown();
    fo_region_start_fast_path(fo_direct_of(fo_process_self()));
}

void fo_cache_disown(void)
{
    fo_thread.cache = &fo_no_cache;
    fo_thread.borrowed = 0;
}

bool fo_cache_enter(void)
{
    if (fo_unlikely(FO_RELAXED_LOAD(&fo_direct_of(fo_hot.process)->held_back)))
        fo_cache_end_hold_back();
    return fo_thread.cache == &fo_no_cache && (fo_likely(borrow_again()) || get_cache());
}

struct fo_cache *fo_cache_own(void)
{
    return fo_cache_is_own() ? fo_thread.cache : NULL;
}
