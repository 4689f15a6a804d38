/* The caches of threads: who has which, and how much each may keep.  A cache outlives its thread:
 * whoever comes next gets it with all that waits in it.  See region.h. */
#include "backend/region.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/options.h"
#include "core/raw.h"
#include "fork/ending.h"
#include "fork/process.h"

struct fo_cache fo_no_cache;

void fo_cache_empty(struct fo_cache *cache)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        struct fo_bin *bin = &cache->bins[c];
        FO_RELAXED_STORE(&bin->take, fo_no_cells());
        FO_RELAXED_STORE(&bin->put, fo_no_cells());
        bin->first = bin->last = bin->queued = bin->ready = bin->readied = bin->spare =
            bin->spares = bin->grown = 0;
    }
}

uint16_t fo_cache_number(const struct fo_cache *cache)
{
    return cache == &fo_no_cache ? 0 : (uint16_t)(fo_cache_index(cache) + 1);
}

uint32_t fo_of_mine(enum fo_page_state state)
{
    return (uint32_t)fo_cache_number(fo_thread.cache) << FO_PAGE_CACHE_SHIFT | state;
}

bool fo_may_move(void)
{
    return fo_cache_own() != NULL || !fo_region->shared;
}

/* --- owners ------------------------------------------------------------------------------------
 */

/* Shares of the option's bytes: most for the sizes that turn over most.  What waits passes through
 * the processor's cache between its free and its next use, so that it is not more than that: about
 * a half with all classes in use, and a magazine of each that comes and goes on either side. */
static size_t share_of(unsigned class)
{
    return fo_options.quarantine / (class < 8 ? 64 : class < 16 ? 128 : 512);
}

/* So many bytes more may wait for a thread that frees many at once: it will want them back. */
enum { BURST = 64 << 10 };

/* A quarter of all magazines may be empty ones that bins keep for themselves, and a half full ones
 * that have waited. */
static uint32_t spares_for(uint32_t users)
{
    return fo_region->magazine_count / 4 / FO_REGION_CLASSES / users;
}

static uint32_t ready_for(uint32_t users)
{
    return 1 + fo_region->magazine_count / 2 / FO_REGION_CLASSES / users;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void set_limits(struct fo_cache *cache)
{
    uint32_t users = FO_RELAXED_LOAD(&fo_region->caches);

    users = users != 0 ? users : 1;
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        size_t bytes = (size_t)fo_region->class[c].cells * fo_class_slot(c);
        size_t keep = share_of(c) / users / bytes;
        uint32_t most = least((uint32_t)(2 + BURST / bytes), ready_for(users));
        /* A slot that another thread has freed shares cache lines with what that one still uses:
         * it serves the worse the sooner.  Processes seldom free each other's. */
        if (keep == 0 && fo_options.quarantine != 0 && !fo_region->shared)
            keep = 1;
        keep = keep < 1u << 20 ? keep : 1u << 20;
        FO_RELAXED_STORE(&cache->bins[c].keep, (uint32_t)keep);
        FO_RELAXED_STORE(&cache->bins[c].most, most);
        FO_RELAXED_STORE(&cache->bins[c].most_spares, least(most, spares_for(users)));
    }
}

/* Of another process: of the parent that this private heap was copied from, or of one that shares
 * it. */
static bool may_inherit(uint64_t owner, uint64_t self, uint32_t used)
{
    enum { MANY = 64 };

    if (owner >> 32 != self >> 32)
        return fo_region->shared || fo_hot.process->direct.orphans;
    /* Asking for each thread whether it lives takes time, so that is left until there are many: a
     * thread says when it goes. */
    return used >= MANY || (fo_region->shared && owner == self);
}

static bool make(struct fo_cache *cache)
{
    fo_cache_empty(cache);
    if (!fo_living_start(&cache->owner, fo_region->shared))
        return false;
    set_limits(cache);
    __atomic_store_n(&cache->made, true, __ATOMIC_RELEASE);
    return true;
}

/* Or by whoever comes later, if its maker vanished before. */
static bool is_made(struct fo_cache *cache, uint64_t self)
{
    uint64_t maker = FO_RELAXED_LOAD(&cache->maker);

    if (__atomic_load_n(&cache->made, __ATOMIC_ACQUIRE))
        return true;
    return maker != 0 && !fo_living_exists(maker) &&
           __atomic_compare_exchange_n(&cache->maker, &maker, self, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED) &&
           make(cache);
}

/* It has no owner, or one who is gone. */
static bool take_over(struct fo_cache *cache, uint64_t self, uint32_t used)
{
    if (!is_made(cache, self))
        return false;
    if (fo_living_claim(&cache->owner, self))
        return true;
    if (!may_inherit(FO_RELAXED_LOAD(&cache->owner.owner), self, used) ||
        !fo_living_inherit(&cache->owner, self))
        return false;
    fo_thread.cache = cache; /* should this thread vanish, too, others go on with it */
    fo_cache_recover(cache);
    return true;
}

/* When all are made, a few at a time: who has none asks again with each block. */
static struct fo_cache *adopt(uint64_t self)
{
    enum { A_FEW = 64 };
    uint32_t used = FO_RELAXED_LOAD(&fo_region->caches), looks = used, first = 0;

    if (used == fo_region->cache_count && used > A_FEW) {
        looks = A_FEW;
        first = __atomic_fetch_add(&fo_region->looked, A_FEW, __ATOMIC_RELAXED);
    }
    for (uint32_t i = 0; i < looks; i++) {
        struct fo_cache *cache = fo_cache_at((first + i) % used);
        if (take_over(cache, self, used))
            return cache;
    }
    return NULL;
}

/* Whose it is to make is said first, then that it is there, by everybody. */
static struct fo_cache *next_to_make(uint64_t self)
{
    for (;;) {
        uint32_t n = FO_RELAXED_LOAD(&fo_region->caches);
        uint64_t nobody = 0;
        if (n == fo_region->cache_count)
            return NULL;
        bool mine = __atomic_compare_exchange_n(&fo_cache_at(n)->maker, &nobody, self, false,
                                                __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
        struct fo_cache *cache = fo_cache_at(n);
        __atomic_compare_exchange_n(&fo_region->caches, &n, n + 1, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED);
        if (mine)
            return cache;
    }
}

static struct fo_cache *new_cache(uint64_t self)
{
    struct fo_cache *cache;

    do {
        cache = next_to_make(self);
        if (cache == NULL || !make(cache))
            return NULL;
    } while (!fo_living_claim(&cache->owner, self)); /* somebody was faster */
    /* The option is for all threads together: with another one, each may keep less. */
    uint32_t n = fo_cache_index(cache);
    for (uint32_t i = 0; (n & (n + 1)) == 0 && i <= n; i++)
        set_limits(fo_cache_at(i));
    return cache;
}

/* --- threads that go ---------------------------------------------------------------------------
 */

void fo_cache_leave(void)
{
    struct fo_cache *cache = fo_thread.cache;

    fo_thread.cache = &fo_no_cache;
    if (cache != &fo_no_cache && FO_RELAXED_LOAD(&cache->owner.owner) == fo_living_me())
        fo_living_release(&cache->owner);
}

static struct fo_cache *guest(uint32_t i)
{
    return fo_cache_at(fo_region->cache_count + i);
}

void fo_caches_start(void)
{
    fo_cache_empty(&fo_no_cache);
    for (uint32_t i = 0; i < FO_GUESTS && fo_region->shared; i++)
        make(guest(i));
    fo_ending_start();
}

static bool take_over_guest(uint64_t self)
{
    for (uint32_t i = 0; i < FO_GUESTS; i++)
        if (take_over(guest(i), self, fo_region->cache_count)) {
            guest(i)->drained = false;
            fo_thread.cache = guest(i);
            return true;
        }
    return false;
}

/* Whoever has one gives it back after one block, unless he is stopped: a second is enough. */
bool fo_cache_visit(void)
{
    const long a_moment = 1000000; /* ns */
    uint64_t self = fo_living_me();
    int saved_errno = errno;
    bool has = take_over_guest(self);

    for (unsigned turn = 0; turn < 1000 && !has; turn++) {
        fo_raw_sleep(a_moment);
        has = take_over_guest(self);
    }
    errno = saved_errno;
    return has;
}

FO_COLD static struct fo_cache *get_cache(void)
{
    uint64_t self = fo_living_me();
    int saved_errno = errno;
    struct fo_cache *cache = adopt(self);

    if (cache == NULL)
        cache = new_cache(self);
    if (cache != NULL) {
        fo_ending_watch();
        fo_region_mark();
        cache->drained = false;
        fo_thread.cache = cache;
    }
    errno = saved_errno;
    return cache;
}

void fo_cache_keep(void)
{
    __atomic_store_n(&fo_thread.cache->owner.owner, fo_living_me(), __ATOMIC_RELEASE);
    fo_region_mark();
}

/* In a child that a raw clone(2) made, and in which another thread was here before the one that was
 * forked: that one's cache is its parent's. */
static FO_COLD struct fo_cache *own_while_held_back(void)
{
    struct fo_direct *d = &fo_process_self()->direct;
    bool forked = (uint32_t)syscall(SYS_gettid) == fo_getpid();

    if (forked) {
        fo_thread.who = 0;
        fo_thread.cache = &fo_no_cache;
        fo_region_go_ahead(d);
    }
    return fo_thread.cache != &fo_no_cache ? fo_thread.cache : get_cache();
}

struct fo_cache *fo_cache_own(void)
{
    struct fo_cache *cache = fo_thread.cache;

    if (fo_unlikely(FO_RELAXED_LOAD(&fo_hot.process->direct.held_back)))
        return own_while_held_back();
    return fo_likely(cache != &fo_no_cache) ? cache : get_cache();
}

/* In the name of the one who is gone. */
static void hand_out(struct fo_cache *cache)
{
    struct fo_cache *mine = fo_thread.cache;

    fo_thread.cache = cache;
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++)
        fo_slots_offer(&cache->bins[c]);
    fo_cache_tidy(cache);
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++)
        fo_cache_share_all(c);
    FO_RELAXED_STORE(&cache->drained, true);
    fo_thread.cache = mine;
    fo_living_release(&cache->owner);
}

static void reclaim(struct fo_cache *cache, uint64_t self)
{
    struct fo_cache *mine = fo_thread.cache;
    bool drained = FO_RELAXED_LOAD(&cache->owner.owner) == 0 && FO_RELAXED_LOAD(&cache->drained);

    if (cache == mine || drained || !take_over(cache, self, UINT32_MAX))
        return;
    fo_thread.cache = mine;
    hand_out(cache);
}

void fo_caches_reclaim(void)
{
    uint64_t self = fo_living_me();

    for (uint32_t i = 0; i < FO_RELAXED_LOAD(&fo_region->caches); i++)
        reclaim(fo_cache_at(i), self);
    for (uint32_t i = 0; i < FO_GUESTS; i++)
        reclaim(guest(i), self);
    fo_large_cool();
    fo_pages_go_on(0);
}

void fo_region_mark(void)
{
    uint64_t who = fo_who();
    uint32_t n = __atomic_fetch_add(&fo_region->marks, 1, __ATOMIC_RELAXED);

    if (n >= FO_MARKS)
        n = n % (FO_MARKS - 1) + 1;
    FO_RELAXED_STORE(&fo_mark_at(n)->process, fo_who_process(who));
    FO_RELAXED_STORE(&fo_mark_at(n)->thread, fo_who_thread(who));
    fo_thread.mark = (uint64_t)n << FO_ADDRESS_BITS;
    fo_thread_enter(fo_thread.caller);
}
