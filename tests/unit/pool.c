/* See pool.h.  Blocks come from malloc(3), so that sanitizers check them too. */
#include "pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "backend/backend.h"

enum { BLOCKS_MAX = 1 << 16 };

struct pool pool;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    uintptr_t address; /* as handed out; 0: free, 1: was in use */
    uintptr_t malloced;
    size_t size;
} blocks[BLOCKS_MAX];

static size_t place_of(uintptr_t address)
{
    return (address * UINT64_C(0x9e3779b97f4a7c15) >> 40) % BLOCKS_MAX;
}

static size_t find(uintptr_t address)
{
    for (size_t n = 0, i = place_of(address); n < BLOCKS_MAX; n++, i = (i + 1) % BLOCKS_MAX) {
        if (blocks[i].address == address)
            return i;
        if (blocks[i].address == 0)
            break;
    }
    return BLOCKS_MAX;
}

static void *give(size_t size)
{
    unsigned number = pool.allocated + pool.failed + 1;

    if (pool.fail_always || number == pool.fail_at) {
        pool.failed++;
        return NULL;
    }
    bool odd = pool.misaligned != 0 && number % pool.misaligned == 0;
    uintptr_t base = (uintptr_t)malloc(size + (odd ? 8 : 0)), address = base + (odd ? 8 : 0);
    size_t i = place_of(address);
    while (blocks[i].address > 1)
        i = (i + 1) % BLOCKS_MAX;
    blocks[i].address = address;
    blocks[i].malloced = base;
    blocks[i].size = size;
    pool.allocated++;
    pool.live_bytes += size;
    return (void *)address;
}

static void *pool_malloc(size_t size, const char *file, int line)
{
    pthread_mutex_lock(&mutex);
    pool.alloc_file = file;
    pool.alloc_line = line;
    void *p = give(size);
    pthread_mutex_unlock(&mutex);
    return p;
}

static void pool_free(void *block, const char *file, int line)
{
    pthread_mutex_lock(&mutex);
    size_t i = find((uintptr_t)block);
    pool.free_file = file;
    pool.free_line = line;
    pool.last_freed = block;
    if (i == BLOCKS_MAX) {
        pool.wrong++;
    } else {
        if (!pool.keeps)
            free((void *)blocks[i].malloced);
        blocks[i].address = 1;
        pool.freed++;
        pool.live_bytes -= blocks[i].size;
    }
    pthread_mutex_unlock(&mutex);
}

static void *pool_realloc(void *block, size_t size, const char *file, int line)
{
    (void)block;
    (void)size;
    (void)file;
    (void)line;
    pool.wrong++; /* the library always allocates a new block and copies */
    return NULL;
}

void pool_register(void)
{
    fo_host = (struct fo_host){pool_malloc, pool_realloc, pool_free};
}

bool pool_holds(const void *block)
{
    pthread_mutex_lock(&mutex);
    bool holds = find((uintptr_t)block) != BLOCKS_MAX;
    pthread_mutex_unlock(&mutex);
    return holds;
}

void pool_check(unsigned kept)
{
    assert_int_equal(pool.wrong, 0);
    assert_int_equal(pool.allocated - pool.freed, kept);
}
