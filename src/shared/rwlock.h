/* A lock for readers and writers of several processes, any of which may be killed while it holds
 * the lock.  It takes the place of glibc's pthread_rwlock_t, in its 56 bytes, where OpenSSL puts
 * one into memory that processes share: glibc's would stay locked for ever.
 *
 * It behaves as glibc's process-shared lock does.  Readers are counted, and may acquire the lock
 * again while a writer waits.  Any thread may release it.  A writer that holds it already gets
 * EDEADLK.  Waiting threads sleep in futex(2).  One atomic operation releases it, after which no
 * byte of it is read or written.
 *
 * A reader writes to no memory that it has in common with other readers (after BRAVO, Dice and
 * Kogan 2019): it puts an entry into its own seat (seat.h), then reads the lock's word, and holds
 * the lock if no writer does.  A writer puts its name into the word, then searches the seats of
 * threads that have read the lock since the last writer.  In any order, one of them sees the other.
 *
 * A writer that was killed is found by its name, a reader by its entries: the next thread that
 * waits for it recovers the lock. */
#ifndef FO_SHARED_RWLOCK_H
#define FO_SHARED_RWLOCK_H

#include <pthread.h>

#include "base/base.h"
#include "base/futex.h"

struct fo_rwlock {
    uint32_t magic;
    uint32_t unused;
    uint64_t word; /* below; the lower half is a futex */
    uint64_t key;  /* address | births << 48: a new lock at the same address has another one */
};

/* The word: a writer's name (seat.h), flags, and in the upper half the seats that have read the
 * lock since the last writer had it. */
enum {
    FO_RWLOCK_OWNER = (1 << 27) - 1,
    FO_RWLOCK_HELD = 1 << 27,    /* the owner holds the lock */
    FO_RWLOCK_PENDING = 1 << 28, /* the owner waits for readers, and further ones may acquire it */
    FO_RWLOCK_READERS_WAIT = 1 << 29, /* for the owner */
    FO_RWLOCK_WRITERS_WAIT = 1 << 30, /* for the owner, or for its place */
};
#define FO_RWLOCK_READERS_TURN                                                                     \
    (UINT32_C(1) << 31) /* a reader that has waited comes before writers */

/* The first word of the library's lock.  glibc's begins with its number of readers, times 8, and
 * three flags: 166 million readers would look the same. */
enum { FO_RWLOCK_MAGIC = 0x4f466b63 };

/* Is it the library's lock, and not glibc's? */
static inline bool fo_rwlock_is_own(const pthread_rwlock_t *lock)
{
    return __atomic_load_n((const uint32_t *)(const void *)lock, __ATOMIC_ACQUIRE) ==
           FO_RWLOCK_MAGIC;
}

/* A lock of glibc's with which the calling thread tests whether its calls are interposed: these set
 * it to NULL. */
extern __thread const pthread_rwlock_t *fo_rwlock_tried;

/* The lock that the calling thread acquired last for writing, while it holds it; NULL: none. */
extern __thread const pthread_rwlock_t *fo_rwlock_written;

/* Does the calling thread hold a lock for writing, as far as is known? */
bool fo_rwlock_has_writer_here(void);

/* The number of locks that the calling thread has recovered from writers that were killed. */
extern __thread uint32_t fo_rwlocks_recovered;

/* Can the library's lock lie there? */
bool fo_rwlock_has_room(const pthread_rwlock_t *lock);

/* They return 0, or an error number as pthread_rwlock_...(3) do; EAGAIN also where a thread has no
 * seat, or no room in it. */
int fo_rwlock_init(pthread_rwlock_t *lock);
int fo_rwlock_destroy(pthread_rwlock_t *lock);
int fo_rwlock_read(pthread_rwlock_t *lock);
int fo_rwlock_write(pthread_rwlock_t *lock);
int fo_rwlock_try_read(pthread_rwlock_t *lock);
int fo_rwlock_try_write(pthread_rwlock_t *lock);
int fo_rwlock_read_until(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *end);
int fo_rwlock_write_until(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *end);
int fo_rwlock_unlock(pthread_rwlock_t *lock);

/* The rest of a read acquisition, and of a release, after the fast path (rwlock_fast.h): the entry
 * is in the seat, or was removed from it. */
int fo_rwlock_read_entered(pthread_rwlock_t *lock, uint64_t *entry);
int fo_rwlock_unlock_removed(pthread_rwlock_t *lock, uint64_t *entry, uint64_t was);

#endif
