/* How a thread acquires a lock for writing, and releases any; see rwlock.h.  A seat's own counts
 * are relaxed (own_seat.h), and a lock's key, which does not change while the lock can be used.
 * Called by load/locks.c for locks in shared memory. */
#include "shared/rwlock.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>

#include "process/process.h"
#include "shared/reads.h"
#include "shared/rwlock_word.h"

_Static_assert(sizeof(struct fo_rwlock) <= sizeof(pthread_rwlock_t),
               "it takes the place of glibc's");
_Static_assert(_Alignof(struct fo_rwlock) <= _Alignof(pthread_rwlock_t), "the same");
_Static_assert(offsetof(struct fo_rwlock, magic) == 0, "fo_rwlock_is_own() looks there");
_Static_assert(FO_SEAT_BITS + FO_GENERATION_BITS == 27, "an owner's name has room in the word");

/* --- writers -------------------------------------------------------------------------------------
 */

static int begin_write(struct fo_rwlock *l, const struct fo_own_seat *own)
{
    FO_RELAXED_STORE(&own->seat->written, FO_RELAXED_LOAD(&own->seat->written) + 1);
    fo_rwlock_written = (const pthread_rwlock_t *)(void *)l;
    return 0;
}

/* Set and clear flags; readers that wait are woken, to read the word again. */
static void change_flags(struct fo_rwlock *l, uint64_t on, uint64_t off)
{
    uint64_t word = fo_rwlock_word(l);

    while (!fo_rwlock_change(l, &word, (word | on) & ~(off | FO_RWLOCK_READERS_WAIT)))
        ;
    if ((word & FO_RWLOCK_READERS_WAIT) != 0)
        fo_rwlock_wake(l, FO_READERS, INT_MAX);
}

/* For a slice of time, while further readers may acquire the lock. */
static void await_reader(struct fo_rwlock *l, const struct fo_entry *reader, uint64_t key,
                         struct fo_patience *p)
{
    change_flags(l, FO_RWLOCK_PENDING, 0);
    switch (fo_entry_await(reader, key, &p->deadline, p->turn++)) {
    case FO_WAIT_SLICE:
        fo_seat_recover(reader->seat);
        break;
    case FO_WAIT_LATE:
        p->now = true; /* one more try */
        break;
    default:
        break;
    }
    change_flags(l, 0, FO_RWLOCK_PENDING);
}

/* The word names this thread: it holds the lock when no thread reads it. */
static int await_readers(struct fo_rwlock *l, const struct fo_own_seat *own, struct fo_patience *p)
{
    const uint64_t seen = (uint64_t)UINT32_MAX << FO_SEEN_SHIFT;
    uint64_t key = fo_rwlock_key(l);
    struct fo_entry reader;

    p->turn = 0;
    while (fo_seats_find(key, fo_rwlock_seen(fo_rwlock_word(l)), &reader)) {
        if (p->turn == 0 && fo_seat_recover(reader.seat))
            continue; /* it was dead */
        if (p->now) {
            fo_rwlock_release(l);
            return p->answer;
        }
        await_reader(l, &reader, key, p);
    }
    change_flags(l, FO_RWLOCK_HELD, seen);
    return begin_write(l, own);
}

/* This thread may have been woken in place of another writer, which the next release must wake. */
static int stop_writing(struct fo_rwlock *l, const struct fo_patience *p)
{
    uint64_t word = fo_rwlock_word(l);

    while (p->turn != 0 && fo_rwlock_owner(word) != 0 && (word & FO_RWLOCK_WRITERS_WAIT) == 0)
        fo_rwlock_change(l, &word, word | FO_RWLOCK_WRITERS_WAIT);
    return p->answer;
}

/* The readers that should come before this writer did not: they were killed, or stopped. */
static void end_readers_turn(struct fo_rwlock *l, uint64_t word)
{
    fo_rwlock_change(l, &word, word & ~(uint64_t)FO_RWLOCK_READERS_TURN);
}

/* 0: try again. */
static int await_place(struct fo_rwlock *l, uint64_t word, struct fo_patience *p)
{
    if (p->now)
        return stop_writing(l, p);
    if (!fo_rwlock_sleep(l, word, FO_WRITERS, p) && fo_rwlock_owner(word) == 0)
        end_readers_turn(l, word | FO_RWLOCK_WRITERS_WAIT);
    return 0;
}

static int write_with(pthread_rwlock_t *lock, struct fo_patience p)
{
    struct fo_rwlock *l = fo_rwlock_of(lock);
    const struct fo_own_seat *own = fo_seat_own();
    uint64_t waits = 0;

    if (own->seat == NULL)
        return EAGAIN;
    for (;;) {
        uint64_t word = fo_rwlock_word(l);
        uint32_t owner = fo_rwlock_owner(word);
        bool read = fo_rwlock_seen(word) != 0;
        if (owner == 0 && (word & FO_RWLOCK_READERS_TURN) == 0) {
            uint64_t name = own->owner | waits | (read ? 0 : FO_RWLOCK_HELD);
            if (fo_rwlock_change(l, &word, word | name))
                return read ? await_readers(l, own, &p) : begin_write(l, own);
            continue;
        }
        if (owner == own->owner)
            return p.answer == EBUSY ? EBUSY : EDEADLK;
        if (!p.now && fo_rwlock_can_change_soon(l, word, &p))
            continue;
        if (owner != 0 && fo_rwlock_recover(l, word, own->owner))
            return await_readers(l, own, &p);
        int status = await_place(l, word, &p);
        if (status != 0)
            return status;
        waits = FO_RWLOCK_WRITERS_WAIT; /* another writer may wait, too */
    }
}

int fo_rwlock_write(pthread_rwlock_t *lock)
{
    return write_with(lock, fo_patience_endless);
}

int fo_rwlock_try_write(pthread_rwlock_t *lock)
{
    return write_with(lock, fo_patience_none);
}

int fo_rwlock_write_until(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *end)
{
    struct fo_patience p;

    return fo_patience_until(&p, clock, end) ? write_with(lock, p) : EINVAL;
}

/* --- unlock --------------------------------------------------------------------------------------
 */

/* Any thread may release what another one acquired. */
static int release_written(struct fo_rwlock *l, const struct fo_own_seat *own)
{
    const void *lock = l;
    uint32_t owner = fo_rwlock_owner(fo_rwlock_release(l));

    if (owner != own->owner || own->seat == NULL)
        fo_seat_released(owner);
    else {
        FO_RELAXED_STORE(&own->seat->released, FO_RELAXED_LOAD(&own->seat->released) + 1);
        if (fo_rwlock_written == lock)
            fo_rwlock_written = NULL;
    }
    return 0;
}

int fo_rwlock_unlock(pthread_rwlock_t *lock)
{
    struct fo_rwlock *l = fo_rwlock_of(lock);
    struct fo_own_seat *own = fo_seat_own();

    if ((fo_rwlock_word(l) & FO_RWLOCK_HELD) != 0)
        return release_written(l, own);
    uint64_t key = fo_rwlock_key(l);
    return fo_reads_release(own, key) ? 0 : fo_rwlock_release_any(l, key);
}

int fo_rwlock_unlock_removed(pthread_rwlock_t *lock, uint64_t *entry, uint64_t was)
{
    if ((was & FO_AWAITED) == 0) /* another thread removed it for its release */
        return fo_rwlock_release_any(fo_rwlock_of(lock), fo_rwlock_key(fo_rwlock_of(lock)));
    fo_entry_wake(entry, was);
    return 0;
}

bool fo_rwlock_has_writer_here(void)
{
    return fo_own_seat.seat != NULL && fo_own_seat.process == fo_process_self()->id &&
           fo_seat_writes(fo_own_seat.seat);
}

/* --- init and destroy ----------------------------------------------------------------------------
 */

bool fo_rwlock_has_room(const pthread_rwlock_t *lock)
{
    uintptr_t address = (uintptr_t)lock;

    return fo_is_address(address) && address % _Alignof(struct fo_rwlock) == 0;
}

int fo_rwlock_init(pthread_rwlock_t *lock)
{
    enum { BIRTHS_SHIFT = 48 };
    struct fo_rwlock *l = fo_rwlock_of(lock);
    uint64_t births = __atomic_add_fetch(&fo_seats->births, 1, __ATOMIC_RELAXED);

    FO_RELAXED_STORE(&l->word, 0);
    FO_RELAXED_STORE(&l->key, (uintptr_t)lock | births << BIRTHS_SHIFT);
    __atomic_store_n(&l->magic, FO_RWLOCK_MAGIC, __ATOMIC_RELEASE);
    return 0;
}

/* As with glibc's, also while a thread holds it. */
int fo_rwlock_destroy(pthread_rwlock_t *lock)
{
    FO_RELAXED_STORE(&fo_rwlock_of(lock)->magic, 0);
    return 0;
}
