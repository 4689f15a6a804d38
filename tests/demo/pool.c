/* Which bytes of the shared mapping are in use, and by which source line? Size classes with a free
 * list each, cut from the mapping on demand and never given back. Called by OpenSSL through its
 * allocator hook and by sipd.c for what its processes share. */
#include "pool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    CLASS_COUNT = 48, /* 32, 48, 64, 96, 128, 192 ... bytes */
    STATE_USED = 0x55534544,
    STATE_FREED = 0x46524545,
};

/* The site of the first free stays in the header while the block waits in its free list: that is
 * all a pool can say about a double free, and it is gone as soon as the block is handed out again.
 */
struct block {
    alignas(16) uint32_t state;
    uint32_t kind;
    size_t size;
    const char *file; /* of the allocation, or of the free once the block is freed */
    int line;
    pid_t pid;
    struct block *next;
};

static_assert(sizeof(struct block) % 16 == 0, "payloads must be 16-byte aligned");

/* A lock for each size, so that four workers seldom wait for each other. */
struct shelf {
    pthread_mutex_t lock;
    struct block *freed;
};

struct pool {
    struct shelf shelves[CLASS_COUNT];
    atomic_size_t used; /* of bytes, never given back */
    size_t bytes;
};

static struct pool *pool;
static pid_t self; /* of this process: getpid() is a system call, too dear for each allocation */

static void remember_pid(void)
{
    self = getpid();
}

static size_t class_size(uint32_t kind)
{
    size_t step = (size_t)32 << (kind / 2);
    return kind % 2 == 0 ? step : step + step / 2;
}

static uint32_t class_of(size_t size)
{
    uint32_t kind = 0;
    while (kind < CLASS_COUNT && class_size(kind) < size)
        kind++;
    return kind;
}

int pool_map(size_t bytes)
{
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return -1;
    pool = map;
    pool->bytes = bytes;
    atomic_init(&pool->used, (sizeof(struct pool) + 15) / 16 * 16);

    /* Robust: a worker that dies inside the pool must not take the others with it. What they then
     * do to each other through OpenSSL is what the demo is about. */
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    for (int kind = 0; kind < CLASS_COUNT; kind++)
        pthread_mutex_init(&pool->shelves[kind].lock, &attr);
    pthread_mutexattr_destroy(&attr);

    remember_pid();
    errno = pthread_atfork(NULL, NULL, remember_pid);
    return errno == 0 ? 0 : -1;
}

static struct shelf *lock_shelf(uint32_t kind)
{
    struct shelf *shelf = &pool->shelves[kind];
    if (pthread_mutex_lock(&shelf->lock) == EOWNERDEAD)
        pthread_mutex_consistent(&shelf->lock);
    return shelf;
}

static void unlock_shelf(struct shelf *shelf)
{
    pthread_mutex_unlock(&shelf->lock);
}

static struct block *take_freed(uint32_t kind)
{
    struct shelf *shelf = lock_shelf(kind);
    struct block *block = shelf->freed;
    if (block != NULL)
        shelf->freed = block->next;
    unlock_shelf(shelf);
    return block;
}

static struct block *take_fresh(uint32_t kind)
{
    size_t need = sizeof(struct block) + class_size(kind);
    size_t at = atomic_fetch_add(&pool->used, need);
    if (at > pool->bytes || need > pool->bytes - at)
        return NULL;
    struct block *block = (struct block *)(void *)((unsigned char *)pool + at);
    block->kind = kind;
    return block;
}

void *pool_malloc(size_t size, const char *file, int line)
{
    if (size == 0)
        return NULL;
    uint32_t kind = class_of(size);
    if (kind == CLASS_COUNT)
        return NULL;

    struct block *block = take_freed(kind);
    if (block == NULL)
        block = take_fresh(kind);
    if (block == NULL) {
        dprintf(STDERR_FILENO, "pool: out of memory for %zu bytes\n", size);
        return NULL;
    }
    block->state = STATE_USED;
    block->size = size;
    block->file = file;
    block->line = line;
    block->pid = self;
    return block + 1;
}

static bool is_inside(const void *payload)
{
    uintptr_t at = (uintptr_t)payload, start = (uintptr_t)(pool + 1) + sizeof(struct block);
    return at % 16 == 0 && at >= start && at < (uintptr_t)pool + pool->bytes;
}

static const char *name(const char *file)
{
    return file != NULL ? file : "?";
}

static _Noreturn void die_bad_pointer(const void *payload, const char *file, int line)
{
    dprintf(STDERR_FILENO,
            "pool: freeing a pointer %p that is no block of the pool (%s:%d), pid %d\n", payload,
            name(file), line, (int)self);
    abort();
}

static _Noreturn void die_freed_twice(const struct block *block, const char *file, int line)
{
    dprintf(
        STDERR_FILENO,
        "pool: freeing already freed pointer %p (%s:%d), pid %d; first freed at %s:%d, pid %d\n",
        (const void *)(block + 1), name(file), line, (int)self, name(block->file), block->line,
        (int)block->pid);
    abort();
}

void pool_free(void *payload, const char *file, int line)
{
    if (payload == NULL)
        return;
    if (!is_inside(payload))
        die_bad_pointer(payload, file, line);

    struct block *block = (struct block *)payload - 1;
    uint32_t kind = block->kind;
    if (kind >= CLASS_COUNT)
        die_bad_pointer(payload, file, line);

    struct shelf *shelf = lock_shelf(kind);
    uint32_t state = block->state;
    if (state == STATE_USED) {
        block->next = shelf->freed;
        shelf->freed = block;
        block->state = STATE_FREED;
        block->file = file;
        block->line = line;
        block->pid = self;
    }
    unlock_shelf(shelf);

    /* Outside the lock: abort() is the last thing this process does. */
    if (state == STATE_FREED)
        die_freed_twice(block, file, line);
    if (state != STATE_USED)
        die_bad_pointer(payload, file, line);
}

void *pool_realloc(void *payload, size_t size, const char *file, int line)
{
    if (payload == NULL)
        return pool_malloc(size, file, line);
    if (size == 0) {
        pool_free(payload, file, line);
        return NULL;
    }
    if (!is_inside(payload))
        die_bad_pointer(payload, file, line);

    struct block *block = (struct block *)payload - 1;
    if (block->state == STATE_FREED)
        die_freed_twice(block, file, line);
    void *moved = pool_malloc(size, file, line);
    if (moved == NULL)
        return NULL;
    memcpy(moved, payload, block->size < size ? block->size : size);
    pool_free(payload, file, line);
    return moved;
}
