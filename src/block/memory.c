/* Maps and lays out struct fo_memory.  Called by load/engine.c when OpenSSL is found, and by
 * shared/shared.c if the blocks may be shared. */
#include "block/memory.h"

#include <sys/mman.h>

#include "base/apart.h"
#include "base/futex.h"
#include "heap/system.h"
#include "options/options.h"
#include "process/process.h"

/* A shared map must have room for all leaves from the start, since all processes have to see a leaf
 * that is made after a fork.  1,024 leaves cover 16 GiB of pools; half as many are tried where an
 * address space limit forbids them, and so on. */
enum { SHARED_LEAVES = 1024 };

enum { PAGE = 4096 };

static size_t round_page(size_t n)
{
    return (n + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static uint32_t power_of_two(size_t least, size_t wanted, size_t most)
{
    size_t n = least;

    while (n < wanted && n < most)
        n *= 2;
    return (uint32_t)n;
}

/* Records of one class.  7,000 of the 8,000 blocks of a handshake have up to 128 bytes. */
static uint32_t class_capacity(int class)
{
    size_t wanted = fo_options.quarantine / (class < 8 ? 512 : 4096);

    return power_of_two(256, wanted, 1 << 16);
}

static uint32_t other_capacity(void)
{
    return power_of_two(256, fo_options.tombstones + fo_options.quarantine / 2048, 1 << 24);
}

/* No huge pages: few of the small pages are used. */
static void avoid_huge_pages(void *p, size_t size)
{
    madvise(p, size, MADV_NOHUGEPAGE);
}

static char *map(size_t size, int sharing)
{
    char *p = fo_apart_map(size, sharing);

    if (p != NULL)
        avoid_huge_pages(p, size);
    return p;
}

/* --- shards --------------------------------------------------------------------------------------
 */

static uint32_t capacity_of(int queue)
{
    return queue < FO_CLASSES ? class_capacity(queue) : other_capacity();
}

static size_t tombstones_of(int queue)
{
    return queue < FO_CLASSES ? 64 : fo_options.tombstones;
}

static size_t entries_of_shard(void)
{
    size_t entries = 0;

    for (int i = 0; i < FO_QUEUES; i++)
        entries += capacity_of(i);
    return entries;
}

size_t fo_shard_entries_size(void)
{
    return entries_of_shard() * sizeof(struct fo_freed);
}

static size_t share_of(uint32_t users)
{
    return fo_options.quarantine / (users == 0 ? 1 : users);
}

/* The blocks of a class that OpenSSL allocates, in 19 of 20 cases, among 1,000 allocations of a
 * mutual TLS 1.3 handshake (unit.stale has the mix).  If as many wait, a stale free of a block that
 * was freed 1,000 allocations ago still finds no other block there.  The shares of several threads
 * would be less.  The share of one thread is enough except for 32 bytes, where more would cost a
 * short process page faults. */
static uint32_t least_ripe(int class, uint32_t users)
{
    static const uint16_t least[] = {640, 512, 96, 64, 56, 16, 20, 16, 28, 16, 16, 16, 16, 42};

    if (users <= 1)
        return FO_CLASS_WAIT_LEAST;
    return class < (int)(sizeof least / sizeof *least) ? least[class] : class < 32 ? 12 : 8;
}

/* Most blocks have up to 128 bytes.  A waiting block passes through the processor's cache between
 * its free and its next use.  So each class has a share of its own: with all bytes for the few
 * classes that a program uses most, they would evict the program's data from that cache. */
static uint32_t ripe_in(int class, uint32_t users)
{
    size_t share = share_of(users) / (class < 8 ? 128 : 256);
    size_t ripe = share / (((size_t) class + 1) * 16);
    uint32_t least = least_ripe(class, users);

    return ripe < least ? least : (uint32_t)(ripe < UINT32_MAX ? ripe : UINT32_MAX);
}

static void set_ripe(struct fo_shard *s, uint32_t users)
{
    for (int i = 0; i < FO_CLASSES; i++)
        FO_RELAXED_STORE(&s->queues[i].ripe, ripe_in(i, users));
}

/* Limits are relaxed: an old one serves as well. */
void fo_shard_limit(struct fo_shard *s, uint32_t users)
{
    FO_RELAXED_STORE(&s->limit, share_of(users) / 2);
    set_ripe(s, users);
}

/* Another thread may lower the limits (block/quarantine.c) at the same time. */
static void lay_out_shard(struct fo_shard *s, uint32_t users, struct fo_freed *entries)
{
    size_t none = 0, limit = share_of(users) / 2;

    if (__atomic_compare_exchange_n(&s->limit, &none, limit, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED))
        set_ripe(s, users);
    for (int i = 0; i < FO_QUEUES; i++) {
        uint32_t capacity = capacity_of(i);
        size_t tombstones = tombstones_of(i);
        s->queues[i].mask = capacity - 1;
        s->queues[i].held =
            capacity - (tombstones < capacity / 2 ? (uint32_t)tombstones : capacity / 2);
        s->queues[i].entries = entries;
        entries += capacity;
    }
    __atomic_store_n(&s->open, true, __ATOMIC_RELEASE);
}

/* One thread opens a shard (a failure is relaxed).  A forked child adopts what a thread of its
 * parent began. */
static bool claim_opening(struct fo_shard *s)
{
    uint32_t before = 0, me = fo_process_id();

    return __atomic_compare_exchange_n(&s->opener, &before, me, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED) ||
           (before != me && __atomic_compare_exchange_n(&s->opener, &before, me, false,
                                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
}

/* Another thread opens the shard at this moment.  The wait is short: other shards can be used. */
static bool await_opening(const struct fo_shard *s)
{
    enum { PATIENCE = 10000 };

    for (int i = 0; i < PATIENCE; i++) {
        if (__atomic_load_n(&s->open, __ATOMIC_ACQUIRE))
            return true;
        fo_relax();
    }
    return false;
}

bool fo_shard_open(struct fo_shard *s)
{
    if (__atomic_load_n(&s->open, __ATOMIC_ACQUIRE))
        return true;
    if (!claim_opening(s))
        return await_opening(s);
    struct fo_freed *entries = (struct fo_freed *)fo_system_map_apart(
        0, round_page(entries_of_shard() * sizeof(struct fo_freed)));
    if (entries == NULL) {
        __atomic_store_n(&s->opener, 0, __ATOMIC_RELEASE);
        return false;
    }
    uint32_t users = FO_RELAXED_LOAD(&fo_hot.memory->shards_used);
    lay_out_shard(s, users < FO_SHARDS ? users : FO_SHARDS, entries);
    return true;
}

/* --- the map -------------------------------------------------------------------------------------
 */

static size_t head_size(void)
{
    return round_page(sizeof(struct fo_memory));
}

/* All but the leaves. */
static size_t fixed_size(bool shared)
{
    size_t entries = shared ? FO_SHARDS * entries_of_shard() : 0;

    return head_size() + FO_ROOT_SIZE + round_page(entries * sizeof(struct fo_freed));
}

static void lay_out(struct fo_memory *m, bool shared)
{
    struct fo_freed *entries = (struct fo_freed *)((char *)m + head_size() + FO_ROOT_SIZE);

    m->root = (struct fo_root *)((char *)m + head_size());
    for (int i = 0; i < FO_SHARDS && shared; i++)
        lay_out_shard(&m->shards[i], 1, entries + (size_t)i * entries_of_shard());
    fo_shared_set(&m->tree.processes_used, 1);
}

/* No core dump: it would commit every page of a shared map. */
struct fo_memory *fo_memory_map(bool shared)
{
    uint32_t leaves = shared ? SHARED_LEAVES : 0;
    size_t size;
    char *p;

    while ((p = map(size = fixed_size(shared) + (size_t)leaves * FO_LEAF_MAPPED,
                    shared ? MAP_SHARED : MAP_PRIVATE)) == NULL)
        if ((leaves /= 2) == 0)
            return NULL;
    if (shared)
        madvise(p + head_size(), size - head_size(), MADV_DONTDUMP);
    struct fo_memory *m = (struct fo_memory *)p;
    lay_out(m, shared);
    m->pool = (struct fo_leaf_pool){(uint8_t *)p + fixed_size(shared), leaves, 0};
    m->size = size;
    m->tree.common = shared;
    return m;
}

void fo_memory_unmap(struct fo_memory *m)
{
    fo_apart_unmap(m, m->size);
}

bool fo_memory_make_private(struct fo_memory *m)
{
    size_t size = m->size, needed = fixed_size(false);

    if (!fo_apart_map_over(m, needed, MAP_PRIVATE))
        return false;
    avoid_huge_pages(m, needed);
    lay_out(m, false);
    m->size = size;
    if (fo_hot_is_concurrent()) /* another thread may be reading the rest */
        return true;
    uintptr_t end = (uintptr_t)m + needed;
    if (fo_system_close(end, PAGE)) { /* as the page behind the whole map was */
        munmap((void *)(end + PAGE), size - needed);
        m->size = needed;
    }
    return true;
}
