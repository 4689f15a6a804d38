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

static uint32_t power_of_two(size_t least, size_t wanted, size_t most)
{
    size_t n = least;

    while (n < wanted && n < most)
        n *= 2;
    return (uint32_t)n;
}

/* Records of one class.  Those up to 128 bytes turn over most: 7,000 of the 8,000 blocks of a
 * handshake. */
static uint32_t class_capacity(int class)
{
    size_t wanted = fo_options.quarantine / (class < 8 ? 512 : 4096);

    return power_of_two(256, wanted, 1 << 16);
}

static uint32_t other_capacity(void)
{
    return power_of_two(256, fo_options.tombstones + fo_options.quarantine / 2048, 1 << 24);
}

static void *map(void *at, size_t size, int sharing)
{
    void *p =
        mmap(at, size, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, size, MADV_NOHUGEPAGE); /* sparse use: a huge page per touch would be a waste */
    return p;
}

static struct fo_freed *lay_out_queue(struct fo_queue *q, struct fo_freed *at, uint32_t capacity,
                                      size_t tombstones)
{
    *q = (struct fo_queue){.mask = capacity - 1, .entries = at};
    q->held = capacity - (tombstones < capacity / 2 ? (uint32_t)tombstones : capacity / 2);
    return at + capacity;
}

static void lay_out(struct fo_memory *m, char *at)
{
    struct fo_freed *entries = (struct fo_freed *)(at + FO_ROOT_SIZE);

    m->root = (uint8_t **)at;
    for (int i = 0; i < FO_SHARDS; i++) {
        m->shards[i].limit = fo_options.quarantine / 2;
        for (int c = 0; c < FO_CLASSES; c++)
            entries = lay_out_queue(&m->shards[i].queues[c], entries, class_capacity(c), 64);
        entries = lay_out_queue(&m->shards[i].queues[FO_CLASSES], entries, other_capacity(),
                                fo_options.tombstones);
    }
    m->processes_used = 1;
}

static size_t head_size(void)
{
    return round_page(sizeof(struct fo_memory));
}

/* All but the leaves. */
static size_t fixed_size(void)
{
    size_t records = other_capacity();

    for (int c = 0; c < FO_CLASSES; c++)
        records += class_capacity(c);
    records *= FO_SHARDS;
    return head_size() + FO_ROOT_SIZE + round_page(records * sizeof(struct fo_freed));
}

struct fo_memory *fo_memory_map(bool shared)
{
    uint32_t leaves = shared ? SHARED_LEAVES : 0;
    size_t size;
    char *p;

    while ((p = map(NULL, size = fixed_size() + (size_t)leaves * FO_LEAF_SIZE,
                    shared ? MAP_SHARED : MAP_PRIVATE)) == NULL)
        if ((leaves /= 2) == 0)
            return NULL;
    struct fo_memory *m = (struct fo_memory *)p;
    lay_out(m, p + head_size());
    m->pool = (struct fo_leaf_pool){(uint8_t *)p + fixed_size(), leaves, 0};
    m->size = size;
    return m;
}

void fo_memory_unmap(struct fo_memory *m)
{
    munmap(m, m->size);
}

bool fo_memory_make_private(struct fo_memory *m)
{
    size_t size = m->size;

    if (map(m, size, MAP_PRIVATE | MAP_FIXED) == NULL)
        return false;
    lay_out(m, (char *)m + head_size());
    m->size = size;
    return true;
}
