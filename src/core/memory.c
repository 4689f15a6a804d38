/* Mapping and laying out struct fo_memory.  Called by engine.c when OpenSSL shows up, and again
 * if the program brings an allocator that may be shared. */
#include "core/memory.h"

#include <sys/mman.h>

#include "core/options.h"

/* A shared map must have room for all leaves beforehand, for a leaf made after a fork has to be
 * seen by everybody.  64 leaves cover 16 GiB of pools; half as many are tried where an address
 * space limit forbids them. */
enum { SHARED_LEAVES = 64 };

static size_t round_page(size_t n)
{
    return (n + 4095) & ~(size_t)4095;
}

static size_t ring_capacity(void)
{
    size_t wanted = fo_options.tombstones + fo_options.quarantine / 64 + 64, capacity = 64;

    while (capacity < wanted && capacity < (size_t)1 << 24)
        capacity *= 2;
    return capacity;
}

static void *map(size_t size, int sharing)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, size, MADV_NOHUGEPAGE); /* sparse use: a huge page per touch would be a waste */
    return p;
}

static void lay_out(struct fo_memory *m, char *at, size_t capacity)
{
    m->root = (uint8_t **)at;
    at += FO_ROOT_SIZE;
    for (int i = 0; i < FO_SHARDS; i++, at += capacity * sizeof(struct fo_freed))
        m->shards[i].entries = (struct fo_freed *)at;
    m->ring_mask = capacity - 1;
    m->ring_held = capacity - (fo_options.tombstones < capacity / 2 ? fo_options.tombstones : capacity / 2);
    m->shard_limit = fo_options.quarantine;
    m->processes_used = 1;
}

struct fo_memory *fo_memory_map(bool shared)
{
    size_t capacity = ring_capacity(), head = round_page(sizeof(struct fo_memory));
    size_t fixed = head + FO_ROOT_SIZE + round_page(capacity * sizeof(struct fo_freed)) * FO_SHARDS;
    uint32_t leaves = shared ? SHARED_LEAVES : 0;
    char *p;

    while ((p = map(fixed + (size_t)leaves * FO_LEAF_SIZE, shared ? MAP_SHARED : MAP_PRIVATE)) == NULL)
        if ((leaves /= 2) == 0)
            return NULL;
    struct fo_memory *m = (struct fo_memory *)p;
    lay_out(m, p + head, capacity);
    m->pool = (struct fo_leaf_pool){(uint8_t *)p + fixed, leaves, 0};
    return m;
}
