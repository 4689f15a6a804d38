/* See pool.h.  In front of each block is a mark: the block is in use, or freed. */
#include "pool.h"

#include <openssl/crypto.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"

enum { MARK_USED = 0x55534544, MARK_FREED = 0x46524545 };
#define SHARED_SIZE ((size_t)256 << 20)

struct mark {
    struct mark *next; /* in the list of freed blocks */
    uint32_t size, state;
};
_Static_assert(sizeof(struct mark) == 16, "blocks stay aligned");

static struct pool_log private_log;
struct pool_log *pool_log = &private_log;

static size_t shift; /* of private blocks: 8 makes them aligned to 8 bytes only */
static bool opened;
enum { CLASSES = 128 }; /* of shared blocks, 16 bytes apart; larger ones are not used again */
static struct shared {
    struct pool_log log;
    size_t used;
    int lock;
    struct mark *freed[CLASSES];
    _Alignas(16) char memory[];
} * shared;

static void lock_shared(void)
{
    while (__atomic_exchange_n(&shared->lock, 1, __ATOMIC_ACQUIRE) != 0)
        sched_yield();
}

static void unlock_shared(void)
{
    __atomic_store_n(&shared->lock, 0, __ATOMIC_RELEASE);
}

static struct mark **freed_of(size_t size)
{
    size_t class = (size + 15) / 16;
    return class < CLASSES ? &shared->freed[class] : NULL;
}

static void *take_shared(size_t size)
{
    size_t need = sizeof(struct mark) + ((size + 15) & ~(size_t)15);
    struct mark **freed = freed_of(size), *m = NULL;

    lock_shared();
    if (freed != NULL && *freed != NULL) {
        m = *freed;
        *freed = m->next;
    } else if (shared->used + need <= SHARED_SIZE - sizeof *shared) {
        m = (struct mark *)(void *)(shared->memory + shared->used);
        shared->used += need;
    }
    unlock_shared();
    return m;
}

static void give_shared(struct mark *m)
{
    struct mark **freed = freed_of(m->size);

    if (freed == NULL)
        return;
    lock_shared();
    m->next = *freed;
    *freed = m;
    unlock_shared();
}

void *pool_malloc(size_t size, const char *file, int line)
{
    struct mark *m;

    if (!opened)
        return NULL;
    m = shared != NULL ? take_shared(size) : malloc(sizeof *m + size + shift);
    if (m == NULL)
        return NULL;
    m = (struct mark *)((char *)m + shift);
    *m = (struct mark){NULL, (uint32_t)size, MARK_USED};
    pool_log->malloc_file = file;
    pool_log->malloc_line = line;
    __atomic_fetch_add(&pool_log->mallocs, 1, __ATOMIC_RELAXED);
    return m + 1;
}

void pool_free(void *p, const char *file, int line)
{
    struct mark *m = (struct mark *)p - 1;

    if (__atomic_exchange_n(&m->state, MARK_FREED, __ATOMIC_RELAXED) != MARK_USED) {
        static const char text[] = "pool: this is no block in use\n";
        (void)!write(STDERR_FILENO, text, sizeof text - 1);
        abort();
    }
    memset(p, 0xdd, m->size);
    pool_log->free_file = file;
    pool_log->free_line = line;
    __atomic_fetch_add(&pool_log->frees, 1, __ATOMIC_RELAXED);
    if (shared != NULL)
        give_shared(m);
    else
        free((char *)m - shift);
}

void *pool_realloc(void *p, size_t size, const char *file, int line)
{
    void *moved = pool_malloc(size, file, line);

    if (p == NULL || moved == NULL)
        return moved;
    size_t old = ((struct mark *)p - 1)->size;
    memcpy(moved, p, old < size ? old : size);
    pool_free(p, file, line);
    return moved;
}

void pool_prepare(const char *kind)
{
    bool late = strcmp(kind, "late") == 0;

    if (late || strcmp(kind, "shared") == 0) {
        void *map = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        CHECK(map != MAP_FAILED);
        shared = map;
        pool_log = &shared->log;
    } else if (strcmp(kind, "8") == 0) {
        shift = 8;
    } else {
        CHECK(strcmp(kind, "private") == 0);
    }
    opened = !late;
}

void pool_open(void)
{
    opened = true;
}

void pool_register(const char *kind)
{
    pool_prepare(kind);
    if (CRYPTO_set_mem_functions(pool_malloc, pool_realloc, pool_free) != 1)
        fail("OpenSSL does not take the pool's functions");
}
