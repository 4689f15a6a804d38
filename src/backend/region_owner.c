/* The caches of threads: who has which, and how much each may keep.  A cache outlives its thread:
 * whoever comes next gets it with all that waits in it.  See region.h. */
#include "backend/region.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/options.h"
#include "fork/process.h"

struct fo_cache fo_no_cache;

static void make_empty(struct fo_cache *cache)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        cache->bins[c].take = &fo_region->none;
        cache->bins[c].put = &fo_region->end;
    }
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

static void set_limits(struct fo_cache *cache)
{
    uint32_t users = FO_RELAXED_LOAD(&fo_region->caches);

    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        size_t bytes = (size_t)fo_region->class[c].cells * fo_class_slot(c);
        size_t keep = share_of(c) / (users != 0 ? users : 1) / bytes;
        if (keep == 0 && fo_options.quarantine != 0)
            keep = 1;
        keep = keep < 1u << 20 ? keep : 1u << 20;
        FO_RELAXED_STORE(&cache->bins[c].keep, (uint32_t)keep);
        FO_RELAXED_STORE(&cache->bins[c].most, (uint32_t)keep + 2);
    }
}

static uint64_t me(void)
{
    const struct fo_process *self = fo_process_self();
    uint32_t thread = fo_who_thread(fo_who());

    return (uint64_t)self->pid << 32 | (thread != 0 ? thread : self->pid);
}

static bool is_gone(uint64_t owner, uint64_t self)
{
    return owner >> 32 == self >> 32 &&
           syscall(SYS_tgkill, (pid_t)(owner >> 32), (pid_t)(uint32_t)owner, 0) != 0 &&
           errno == ESRCH;
}

/* One without an owner.  Asking for each thread whether it lives takes time, so that is left until
 * there are many: a thread says when it goes. */
static struct fo_cache *adopt(uint64_t self)
{
    enum { MANY = 64 };
    uint32_t used = FO_RELAXED_LOAD(&fo_region->caches);
    used = used < fo_region->cache_count ? used : fo_region->cache_count;

    for (uint32_t i = 0; i < used; i++) {
        if (!__atomic_load_n(&fo_region->cache[i].made, __ATOMIC_ACQUIRE))
            continue;
        uint64_t owner = FO_RELAXED_LOAD(&fo_region->cache[i].owner);
        bool orphan = owner >> 32 != self >> 32 && fo_hot.process->direct.orphans;
        bool may = owner == 0 || orphan || (used >= MANY && is_gone(owner, self));
        if (may && __atomic_compare_exchange_n(&fo_region->cache[i].owner, &owner, self, false,
                                               __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return &fo_region->cache[i];
    }
    return NULL;
}

static struct fo_cache *new_cache(uint64_t self)
{
    uint32_t n = __atomic_fetch_add(&fo_region->caches, 1, __ATOMIC_RELAXED);

    if (n >= fo_region->cache_count) {
        FO_RELAXED_STORE(&fo_region->caches, fo_region->cache_count);
        return NULL;
    }
    struct fo_cache *cache = &fo_region->cache[n];
    make_empty(cache);
    FO_RELAXED_STORE(&cache->owner, self);
    __atomic_store_n(&cache->made, true, __ATOMIC_RELEASE);
    /* The option is for all threads together: with another one, each may keep less. */
    for (uint32_t i = 0; (n & (n + 1)) == 0 && i <= n; i++)
        set_limits(&fo_region->cache[i]);
    set_limits(cache);
    return cache;
}

/* --- threads that go ---------------------------------------------------------------------------
 */

static pthread_key_t key;
static bool has_key;

/* Other destructors, OpenSSL's above all, free after this one: so it asks to be called again, until
 * the last round but one (ThreadSanitizer is gone in the last).  Who frees later still gets a cache
 * again. */
static void thread_goes(void *rounds)
{
    if ((uintptr_t)rounds < PTHREAD_DESTRUCTOR_ITERATIONS - 1 &&
        pthread_setspecific(key, (char *)rounds + 1) == 0)
        return;
    struct fo_cache *cache = fo_thread.cache;
    fo_thread.cache = &fo_no_cache;
    if (cache != &fo_no_cache)
        __atomic_store_n(&cache->owner, 0, __ATOMIC_RELEASE);
}

void fo_caches_start(void)
{
    make_empty(&fo_no_cache);
    has_key = pthread_key_create(&key, thread_goes) == 0;
}

FO_COLD static struct fo_cache *get_cache(void)
{
    uint64_t self = me();
    int saved_errno = errno;
    struct fo_cache *cache = adopt(self);

    if (cache == NULL)
        cache = new_cache(self);
    if (cache != NULL) {
        if (has_key)
            pthread_setspecific(key, (void *)1);
        fo_region_mark();
        fo_thread.cache = cache;
    }
    errno = saved_errno;
    return cache;
}

void fo_cache_keep(void)
{
    __atomic_store_n(&fo_thread.cache->owner, me(), __ATOMIC_RELEASE);
    fo_region_mark();
}

struct fo_cache *fo_cache_own(void)
{
    struct fo_cache *cache = fo_thread.cache;

    return fo_likely(cache != &fo_no_cache) ? cache : get_cache();
}

void fo_region_mark(void)
{
    uint64_t who = fo_who();
    uint32_t n = __atomic_fetch_add(&fo_region->marks, 1, __ATOMIC_RELAXED);

    if (n >= FO_MARKS)
        n = n % (FO_MARKS - 1) + 1;
    FO_RELAXED_STORE(&fo_region->mark[n].process, fo_who_process(who));
    FO_RELAXED_STORE(&fo_region->mark[n].thread, fo_who_thread(who));
    fo_thread.mark = (uint64_t)n << FO_ADDRESS_BITS;
    fo_thread_enter(fo_thread.caller);
}
