/* How a thread acquires a lock for reading, when the fast path cannot.  See rwlock.h. */
#include <errno.h>
#include <limits.h>

#include "shared/reads.h"
#include "shared/rwlock_word.h"

/* The lock's word, once it has the bit of this thread's seat. */
static uint64_t mark_seen(struct fo_rwlock *l, const struct fo_own_seat *own)
{
    uint64_t word = fo_rwlock_word(l);

    if ((word & own->bit) == 0)
        word = __atomic_fetch_or(&l->word, own->bit, __ATOMIC_SEQ_CST) | own->bit;
    return word;
}

static bool can_read(uint64_t word)
{
    return fo_rwlock_owner(word) == 0 || (word & FO_RWLOCK_PENDING) != 0;
}

static int begin_read(struct fo_rwlock *l, uint64_t word)
{
    while (fo_unlikely((word & FO_RWLOCK_READERS_TURN) != 0))
        if (fo_rwlock_change(l, &word, word & ~(uint64_t)FO_RWLOCK_READERS_TURN)) {
            if ((word & FO_RWLOCK_WRITERS_WAIT) != 0)
                fo_rwlock_wake(l, FO_WRITERS, 1);
            break;
        }
    return 0;
}

/* A thread may release what another one acquired.  Entries come and go during the search, so it is
 * repeated. */
int fo_rwlock_release_any(const struct fo_rwlock *l, uint64_t key)
{
    enum { LOOKS = 10000 };

    for (unsigned i = 0; i < LOOKS; i++) {
        if (fo_seats_remove(key, fo_rwlock_seen(fo_rwlock_word(l))))
            return 0;
        fo_relax();
    }
    return EPERM;
}

/* Other readers that wait are woken to set the flag again: else the next release would give the
 * turn to a reader that waits no longer. */
static int stop_reading(struct fo_rwlock *l, const struct fo_patience *p)
{
    uint64_t word = fo_rwlock_word(l);

    while (p->turn != 0 && (word & FO_RWLOCK_READERS_WAIT) != 0)
        if (fo_rwlock_change(l, &word, word & ~(uint64_t)FO_RWLOCK_READERS_WAIT)) {
            fo_rwlock_wake(l, FO_READERS, INT_MAX);
            break;
        }
    return p->answer;
}

/* 0: try again. */
static int await_writer(struct fo_rwlock *l, const struct fo_own_seat *own, uint64_t word,
                        struct fo_patience *p)
{
    if (fo_rwlock_owner(word) == own->owner)
        return p->answer == EBUSY ? EBUSY : EDEADLK;
    /* A writer that still searches for readers does not hold the lock. */
    bool soon = p->now && (word & FO_RWLOCK_HELD) == 0;
    if ((!p->now || soon) && fo_rwlock_can_change_soon(l, word, p))
        return 0;
    if (fo_rwlock_recover(l, word, 0))
        return 0;
    if (p->now && !soon)
        return stop_reading(l, p);
    struct fo_patience until_held = fo_patience_endless;
    fo_rwlock_sleep(l, word, FO_READERS, soon ? &until_held : p);
    return 0;
}

/* The entry is in the seat. */
static FO_COLD int read_or_wait(struct fo_rwlock *l, struct fo_own_seat *own, uint64_t *entry,
                                struct fo_patience *p)
{
    uint64_t key = fo_rwlock_key(l);
    int status = 0;

    while (entry != NULL) {
        uint64_t word = mark_seen(l, own);
        if (can_read(word))
            return begin_read(l, word);
        if (!fo_reads_remove(own, entry, key)) /* another thread removed it for its release */
            fo_rwlock_release_any(l, key);
        status = await_writer(l, own, word, p);
        if (status != 0)
            return status;
        entry = fo_reads_put(own, key);
    }
    return EAGAIN;
}

static int read_with(pthread_rwlock_t *lock, struct fo_patience p)
{
    struct fo_own_seat *own = fo_seat_own();

    return read_or_wait(fo_rwlock_of(lock), own,
                        fo_reads_put(own, fo_rwlock_key(fo_rwlock_of(lock))), &p);
}

int fo_rwlock_read_entered(pthread_rwlock_t *lock, uint64_t *entry)
{
    struct fo_patience p = fo_patience_endless;

    return read_or_wait(fo_rwlock_of(lock), &fo_own_seat, entry, &p);
}

int fo_rwlock_read(pthread_rwlock_t *lock)
{
    return read_with(lock, fo_patience_endless);
}

int fo_rwlock_try_read(pthread_rwlock_t *lock)
{
    return read_with(lock, fo_patience_none);
}

int fo_rwlock_read_until(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *end)
{
    struct fo_patience p;

    return fo_patience_until(&p, clock, end) ? read_with(lock, p) : EINVAL;
}
