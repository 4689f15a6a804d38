/* See rwlock.h.  Called by load/locks.c for locks in shared memory. */
#include "fork/rwlock.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/memory.h"
#include "fork/own_seat.h"
#include "fork/pause.h"
#include "fork/process.h"
#include "report/output.h"

_Static_assert(sizeof(struct fo_rwlock) <= sizeof(pthread_rwlock_t),
               "it takes the place of glibc's");
_Static_assert(_Alignof(struct fo_rwlock) <= _Alignof(pthread_rwlock_t), "the same");

_Static_assert(offsetof(struct fo_rwlock, magic) == 0, "fo_rwlock_is() looks there");

/* So often a lock is tried before the thread goes to sleep. */
enum { TRIES = 100 };

static struct fo_rwlock *of(pthread_rwlock_t *lock)
{
    return (struct fo_rwlock *)(void *)lock;
}

int fo_rwlock_init(pthread_rwlock_t *lock)
{
    struct fo_rwlock *l = of(lock);
    pthread_mutexattr_t how;

    pthread_mutexattr_init(&how);
    int status = pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
    if (status == 0)
        status = pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
    if (status == 0)
        status = pthread_mutexattr_settype(&how, PTHREAD_MUTEX_ERRORCHECK);
    if (status == 0)
        status = pthread_mutex_init(&l->mutex, &how);
    pthread_mutexattr_destroy(&how);
    if (status != 0)
        return status;
    FO_RELAXED_STORE(&l->writer, 0);
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

/* --- who died with it ----------------------------------------------------------------------------
 */

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

static int alone(struct fo_rwlock *l)
{
    int status = EBUSY;

    for (unsigned i = 0; i < TRIES && (status = try_alone(l)) == EBUSY; i++)
        fo_relax();
    if (status == EBUSY) {
        status = pthread_mutex_lock(&l->mutex);
        if (status == EOWNERDEAD)
            status = take_over(l);
    }
    return status;
}

static uint32_t thread_of(const struct fo_seat *seat)
{
    return seat != NULL ? (uint32_t)FO_RELAXED_LOAD(&seat->owner.owner)
                        : (uint32_t)syscall(SYS_gettid);
}

/* --- readers -------------------------------------------------------------------------------------
 */

enum { NO_PLACE = FO_READS };

/* Where in the thread's seat this lock is. */
static unsigned place_of(const struct fo_seat *seat, uintptr_t lock)
{
    for (uint32_t left = fo_own_seat.held; left != 0; left &= left - 1) {
        unsigned place = (unsigned)__builtin_ctz(left);
        if (FO_RELAXED_LOAD(&seat->reads[place]) == lock)
            return place;
    }
    return NO_PLACE;
}

static unsigned free_place(void)
{
    return (unsigned)__builtin_ctz(~fo_own_seat.held | 1u << NO_PLACE);
}

static void take_place(struct fo_seat *seat, unsigned place, const struct fo_rwlock *l)
{
    fo_own_seat.held |= 1u << place;
    __atomic_store_n(&seat->reads[place], (uintptr_t)l, __ATOMIC_SEQ_CST);
}

static void leave_place(struct fo_seat *seat, unsigned place)
{
    __atomic_store_n(&seat->reads[place], 0, __ATOMIC_RELEASE);
    fo_own_seat.held &= ~(1u << place);
}

/* False: somebody writes. */
static bool read_at(struct fo_seat *seat, unsigned place, struct fo_rwlock *l)
{
    take_place(seat, place, l);
    if (fo_likely(__atomic_load_n(&l->writer, __ATOMIC_SEQ_CST) == 0))
        return true;
    leave_place(seat, place);
    return false;
}

/* Who reads already may read once more, though a writer waits. */
static bool read_again(struct fo_seat *seat, const struct fo_rwlock *l)
{
    unsigned place = place_of(seat, (uintptr_t)l);

    if (place == NO_PLACE)
        return false;
    seat->again[place]++;
    return true;
}

/* When nobody writes any more. */
static FO_COLD int read_late(struct fo_seat *seat, unsigned place, struct fo_rwlock *l)
{
    if (FO_RELAXED_LOAD(&l->writer) == thread_of(seat))
        return EDEADLK;
    int status = alone(l);
    if (status != 0)
        return status;
    take_place(seat, place, l);
    return pthread_mutex_unlock(&l->mutex);
}

int fo_rwlock_read(pthread_rwlock_t *lock)
{
    struct fo_rwlock *l = of(lock);
    struct fo_seat *seat = fo_seat_own();

    if (fo_own_seat.held != 0 && read_again(seat, l))
        return 0;
    unsigned place = free_place();
    if (fo_unlikely(seat == NULL || place == NO_PLACE)) /* then it reads this one alone */
        return fo_rwlock_write(lock);
    return fo_likely(read_at(seat, place, l)) ? 0 : read_late(seat, place, l);
}

int fo_rwlock_try_read(pthread_rwlock_t *lock)
{
    struct fo_rwlock *l = of(lock);
    struct fo_seat *seat = fo_seat_own();

    if (read_again(seat, l))
        return 0;
    unsigned place = free_place();
    if (seat == NULL || place == NO_PLACE)
        return fo_rwlock_try_write(lock);
    return read_at(seat, place, l) ? 0 : EBUSY;
}

/* --- writers -------------------------------------------------------------------------------------
 */

static int leave(struct fo_rwlock *l, int status)
{
    __atomic_store_n(&l->writer, 0, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&l->mutex);
    return status;
}

int fo_rwlock_write(pthread_rwlock_t *lock)
{
    struct fo_rwlock *l = of(lock);
    struct fo_seat *seat = fo_seat_own();
    int status = alone(l);

    if (status != 0)
        return status;
    __atomic_store_n(&l->writer, thread_of(seat), __ATOMIC_SEQ_CST);
    return fo_seats_await((uintptr_t)l, seat) ? 0 : leave(l, EDEADLK);
}

int fo_rwlock_try_write(pthread_rwlock_t *lock)
{
    struct fo_rwlock *l = of(lock);
    int status = try_alone(l);

    if (status != 0)
        return status == EDEADLK ? EBUSY : status;
    __atomic_store_n(&l->writer, thread_of(fo_seat_own()), __ATOMIC_SEQ_CST);
    return fo_seats_read((uintptr_t)l) ? leave(l, EBUSY) : 0;
}

int fo_rwlock_unlock(pthread_rwlock_t *lock)
{
    struct fo_rwlock *l = of(lock);
    struct fo_seat *seat = fo_seat_own();
    unsigned place = place_of(seat, (uintptr_t)l);

    if (fo_unlikely(place == NO_PLACE))
        return FO_RELAXED_LOAD(&l->writer) == thread_of(seat) ? leave(l, 0) : EPERM;
    if (fo_unlikely(seat->again[place] != 0))
        seat->again[place]--;
    else
        leave_place(seat, place);
    return 0;
}
