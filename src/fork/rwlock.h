/* A lock for readers and writers of several processes, of which any may be killed while it has the
 * lock.  It takes the place of glibc's pthread_rwlock_t, in its 56 bytes, where OpenSSL puts one
 * into memory that processes share: glibc's is left locked for ever.
 *
 * Writers hold a robust mutex, so that the kernel tells the next one of a death.  Readers touch no
 * common memory: each thread has a seat, where it writes down what it reads, and a writer looks at
 * the seats that ever read this lock and waits for those who do (after BRAVO, Dice and Kogan 2019).
 * A seat belongs to its thread as long as that lives (living.h); nobody waits for the dead.
 *
 * As with glibc's: not recursive for writers (EDEADLK), recursive for readers.  Writers go first.  A
 * thread that reads FO_READS locks takes further ones alone. */
#ifndef FO_FORK_RWLOCK_H
#define FO_FORK_RWLOCK_H

#include <pthread.h>

#include "core/base.h"

struct fo_rwlock {
    uint32_t magic;
    uint32_t writer; /* thread that writes, or waits for readers to leave; 0: nobody */
    union {
        pthread_mutex_t mutex;
        struct {
            struct __pthread_mutex_s glibcs; /* all that it uses of a mutex, also on arm64 */
            uint32_t seen; /* seats that ever read the lock: a writer looks at no others */
        };
    };
};

/* The first word of ours.  glibc's begins with its number of readers, times 8, and three flags: it
 * would need 166 million of them. */
enum { FO_RWLOCK_MAGIC = 0x4f466b63 };

/* Is this one of ours? */
static inline bool fo_rwlock_is(const pthread_rwlock_t *lock)
{
    return __atomic_load_n((const uint32_t *)(const void *)lock, __ATOMIC_ACQUIRE) ==
           FO_RWLOCK_MAGIC;
}

/* A lock of glibc's that the calling thread tries: NULL again if the call comes by here. */
extern __thread const pthread_rwlock_t *fo_rwlock_tried;

/* What the calling thread locked last to write, as long as it has that; NULL: nothing. */
extern __thread const pthread_rwlock_t *fo_rwlock_written;

/* So many did the calling thread take over from whoever died while it wrote. */
extern __thread uint32_t fo_rwlocks_taken_over;

/* They return 0, or an error number as pthread_rwlock_...(3) do. */
int fo_rwlock_init(pthread_rwlock_t *lock);
int fo_rwlock_destroy(pthread_rwlock_t *lock);
int fo_rwlock_read(pthread_rwlock_t *lock);
int fo_rwlock_write(pthread_rwlock_t *lock);
int fo_rwlock_try_read(pthread_rwlock_t *lock);
int fo_rwlock_try_write(pthread_rwlock_t *lock);
int fo_rwlock_unlock(pthread_rwlock_t *lock);

#endif
