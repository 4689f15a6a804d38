/* See rwlock.h.  Called by load/locks.c for locks in shared memory. */
#include "fork/rwlock.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/memory.h"
#include "fork/pause.h"
#include "fork/process.h"
#include "fork/reads.h"
#include "report/output.h"

_Static_assert(sizeof(struct fo_rwlock) <= sizeof(pthread_rwlock_t),
               "it takes the place of glibc's");
_Static_assert(_Alignof(struct fo_rwlock) <= _Alignof(pthread_rwlock_t), "the same");

_Static_assert(offsetof(struct fo_rwlock, magic) == 0, "fo_rwlock_is() looks there");
_Static_assert(sizeof(struct __pthread_mutex_s) <= 40, "glibc leaves the rest of a mutex alone");

/* So often a lock is tried before the thread goes to sleep. */
enum { TRIES = 100 };

static struct fo_rwlock *of(pthread_rwlock_t *lock)
{
    return (struct fo_rwlock *)(void *)lock;
}

static uint32_t thread_of(const struct fo_own_seat *own)
{
    return own->seat != NULL ? (uint32_t)own->me : (uint32_t)syscall(SYS_gettid);
}

/* --- who died with it ----------------------------------------------------------------------------
 */

__thread const pthread_rwlock_t *fo_rwlock_written;
__thread uint32_t fo_rwlocks_taken_over;
__thread const pthread_rwlock_t *fo_rwlock_tried;

static FO_COLD void tell(const struct fo_rwlock *l, uint32_t writer)
{
    char line[400];
    struct fo_text t = FO_TEXT(line);

    fo_put(&t, "a lock of OpenSSL (");
    fo_put_hex(&t, (uintptr_t)l);
    fo_put(&t, ") was left locked for writing by thread ");
    fo_put_dec(&t, writer);
    fo_put(&t, ", which is gone (killed?); pid ");
    fo_put_dec(&t, fo_process_self()->pid);
    fo_put(&t, " took it over. What it guards may be half changed; no. ");
    fo_put_dec(&t, __atomic_add_fetch(&fo_hot.memory->locks_left, 1, __ATOMIC_RELAXED));
    fo_put(&t, " in these processes");
    fo_say(&t);
}

static FO_COLD int take_over(struct fo_rwlock *l)
{
    uint32_t writer = FO_RELAXED_LOAD(&l->writer);

    pthread_mutex_consistent(&l->mutex);
    if (writer != 0) { /* else it was only waiting, or done */
        fo_rwlocks_taken_over++;
        tell(l, writer);
    }
    __atomic_store_n(&l->writer, 0, __ATOMIC_RELEASE);
    return 0;
}

/* --- the mutex -----------------------------------------------------------------------------------
 */

static int try_alone(struct fo_rwlock *l)
{
    int status = pthread_mutex_trylock(&l->mutex);

    return status == EOWNERDEAD ? take_over(l) : status;
}

/* glibc takes the child of a raw clone(2) for its parent, who may have it. */
static FO_COLD int alone_at_last(struct fo_rwlock *l)
{
    int status = EDEADLK;

    for (unsigned turn = 0; status == EDEADLK || status == EBUSY; turn++) {
        fo_pause(turn);
        status = try_alone(l);
    }
    return status;
}

static int alone(struct fo_rwlock *l, const struct fo_own_seat *own)
{
    int status = EBUSY;

    for (unsigned i = 0; i < TRIES && (status = try_alone(l)) == EBUSY; i++)
        fo_relax();
    if (status == EBUSY) {
        status = pthread_mutex_lock(&l->mutex);
        if (status == EOWNERDEAD)
            status = take_over(l);
    }
    if (status == EDEADLK && FO_RELAXED_LOAD(&l->writer) != thread_of(own))
        status = alone_at_last(l);
    return status;
}

/* --- readers -------------------------------------------------------------------------------------
 */

static void enter(struct fo_own_seat *own, uintptr_t *entry, struct fo_rwlock *l)
{
    if ((FO_RELAXED_LOAD(&l->seen) & own->bit) == 0)
        __atomic_fetch_or(&l->seen, own->bit, __ATOMIC_SEQ_CST);
    fo_reads_enter(own, entry, (uintptr_t)l);
}

static int read_alone(struct fo_own_seat *own, struct fo_rwlock *l)
{
    enter(own, fo_reads_room(own), l);
    return pthread_mutex_unlock(&l->mutex);
}

/* False: somebody writes, or is about to. */
static bool read_now(struct fo_own_seat *own, struct fo_rwlock *l)
{
    uintptr_t *entry = fo_reads_room(own);

    enter(own, entry, l);
    if (fo_likely(__atomic_load_n(&l->writer, __ATOMIC_SEQ_CST) == 0))
        return true;
    fo_reads_strike(own, entry);
    return false;
}

/* When nobody writes any more. */
static FO_COLD int read_late(struct fo_own_seat *own, struct fo_rwlock *l)
{
    int status = alone(l, own); /* EDEADLK: this thread writes */
    return status == 0 ? read_alone(own, l) : status;
}

static int give_up(struct fo_own_seat *own, struct fo_rwlock *l)
{
    (void)own, (void)l;
    return EBUSY;
}

/* Who reads already may read once more, though somebody waits to write. */
static int read_slowly(struct fo_rwlock *l, int (*write)(pthread_rwlock_t *),
                       int (*late)(struct fo_own_seat *, struct fo_rwlock *))
{
    struct fo_own_seat *own = fo_seat_own();
    const uintptr_t *before = fo_reads_find(own, (uintptr_t)l);
    uintptr_t *entry = fo_reads_room(own);

    if (before == NULL && entry == NULL)
        return write((pthread_rwlock_t *)(void *)l);
    if (before == NULL)
        return fo_likely(read_now(own, l)) ? 0 : late(own, l);
    if (entry != NULL)
        enter(own, entry, l);
    else
        fo_reads_count(own, before);
    return 0;
}

int fo_rwlock_read(pthread_rwlock_t *lock)
{
    return read_slowly(of(lock), fo_rwlock_write, read_late);
}

int fo_rwlock_try_read(pthread_rwlock_t *lock)
{
    return read_slowly(of(lock), fo_rwlock_try_write, give_up);
}

/* --- writers -------------------------------------------------------------------------------------
 */

static int enter_to_write(const pthread_rwlock_t *lock)
{
    fo_rwlock_written = lock;
    return 0;
}

static int leave(struct fo_rwlock *l, int status)
{
    __atomic_store_n(&l->writer, 0, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&l->mutex);
    return status;
}

static uint32_t seen(const struct fo_rwlock *l)
{
    return __atomic_load_n(&l->seen, __ATOMIC_SEQ_CST);
}

/* False: this thread reads. */
static bool await_readers(struct fo_rwlock *l, const struct fo_own_seat *own)
{
    __atomic_store_n(&l->writer, thread_of(own), __ATOMIC_SEQ_CST);
    return fo_seats_await((uintptr_t)l, seen(l), own->seat);
}

int fo_rwlock_write(pthread_rwlock_t *lock)
{
    struct fo_rwlock *l = of(lock);
    struct fo_own_seat *own = fo_seat_own();
    int status = alone(l, own);

    if (status != 0)
        return status;
    return await_readers(l, own) ? enter_to_write(lock) : leave(l, EDEADLK);
}

int fo_rwlock_try_write(pthread_rwlock_t *lock)
{
    struct fo_rwlock *l = of(lock);
    int status = try_alone(l);

    if (status != 0)
        return status == EDEADLK ? EBUSY : status;
    __atomic_store_n(&l->writer, thread_of(fo_seat_own()), __ATOMIC_SEQ_CST);
    return fo_seats_read((uintptr_t)l, seen(l)) ? leave(l, EBUSY) : enter_to_write(lock);
}

int fo_rwlock_unlock(pthread_rwlock_t *lock)
{
    struct fo_rwlock *l = of(lock);
    struct fo_own_seat *own = fo_seat_own();

    if (fo_reads_leave(own, (uintptr_t)l))
        return 0;
    if (FO_RELAXED_LOAD(&l->writer) == thread_of(own)) {
        if (fo_rwlock_written == lock)
            fo_rwlock_written = NULL;
        return leave(l, 0);
    }
    return EPERM;
}

/* --- made and unmade -----------------------------------------------------------------------------
 */

int fo_rwlock_init(pthread_rwlock_t *lock)
{
    struct fo_rwlock *l = of(lock);
    pthread_mutexattr_t how;

    pthread_mutexattr_init(&how);
    int status = pthread_mutexattr_settype(&how, PTHREAD_MUTEX_ERRORCHECK);
    if (status == 0)
        status = pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
    if (status == 0)
        status = pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
    if (status == 0)
        status = pthread_mutex_init(&l->mutex, &how);
    pthread_mutexattr_destroy(&how);
    if (status != 0)
        return status;
    FO_RELAXED_STORE(&l->writer, 0);
    FO_RELAXED_STORE(&l->seen, 0);
    fo_reads_forget((uintptr_t)l);
    __atomic_store_n(&l->magic, FO_RWLOCK_MAGIC, __ATOMIC_RELEASE);
    return 0;
}

int fo_rwlock_destroy(pthread_rwlock_t *lock)
{
    struct fo_rwlock *l = of(lock);

    if (FO_RELAXED_LOAD(&l->writer) != 0)
        return EBUSY;
    FO_RELAXED_STORE(&l->magic, 0);
    return pthread_mutex_destroy(&l->mutex);
}
