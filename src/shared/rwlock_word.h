/* What the files of the lock have in common: its word, and how a thread waits for it.  See
 * rwlock.h. */
#ifndef FO_SHARED_RWLOCK_WORD_H
#define FO_SHARED_RWLOCK_WORD_H

#include "base/futex.h"
#include "shared/own_seat.h"
#include "shared/rwlock.h"

enum fo_sleepers { FO_READERS = 1, FO_WRITERS = 2 }; /* groups that sleep on the lock's word */

enum { FO_SEEN_SHIFT = 32 };

/* How long does a thread wait, and what does it return after that? */
struct fo_patience {
    struct fo_deadline deadline;
    unsigned looks; /* at the word, before it sleeps for the first time */
    unsigned turn;  /* how often it has slept */
    bool now;       /* it waits no longer */
    int answer;
};

extern const struct fo_patience fo_patience_endless, fo_patience_none;

/* False: the clock or the time is wrong. */
bool fo_patience_until(struct fo_patience *p, clockid_t clock, const struct timespec *end);

static inline struct fo_rwlock *fo_rwlock_of(pthread_rwlock_t *lock)
{
    return (struct fo_rwlock *)(void *)lock;
}

static inline uint64_t fo_rwlock_word(const struct fo_rwlock *l)
{
    return __atomic_load_n(&l->word, __ATOMIC_SEQ_CST);
}

/* Relaxed: it does not change while the lock can be used. */
static inline uint64_t fo_rwlock_key(const struct fo_rwlock *l)
{
    return FO_RELAXED_LOAD(&l->key) & ~FO_AWAITED;
}

static inline uint32_t fo_rwlock_owner(uint64_t word)
{
    return (uint32_t)word & FO_RWLOCK_OWNER;
}

static inline uint32_t fo_rwlock_seen(uint64_t word)
{
    return (uint32_t)(word >> FO_SEEN_SHIFT);
}

/* *word is then what the lock's word was before, also on failure. */
static inline bool fo_rwlock_change(struct fo_rwlock *l, uint64_t *word, uint64_t to)
{
    return __atomic_compare_exchange_n(&l->word, word, to, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

/* Wake sleepers.  The lock may be destroyed: nothing of it is read or written. */
void fo_rwlock_wake(struct fo_rwlock *l, enum fo_sleepers group, int count);

/* By the writer that holds it; returns the word before. */
uint64_t fo_rwlock_release(struct fo_rwlock *l);

/* If the writer is dead, the word names `heir` from now on; 0: it is released.  False: it lives, or
 * the word has changed. */
FO_COLD bool fo_rwlock_recover(struct fo_rwlock *l, uint64_t word, uint32_t heir);

/* Before a thread sleeps for the first time: does the word change soon? */
bool fo_rwlock_can_change_soon(const struct fo_rwlock *l, uint64_t word, struct fo_patience *p);

/* False: it slept for a slice of time, and was not woken. */
bool fo_rwlock_sleep(struct fo_rwlock *l, uint64_t word, enum fo_sleepers group,
                     struct fo_patience *p);

/* Remove one of this lock's entries, of any thread. */
FO_COLD int fo_rwlock_release_any(const struct fo_rwlock *l, uint64_t key);

#endif
