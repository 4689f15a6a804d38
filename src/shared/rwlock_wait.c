/* How threads wait for a lock and release it, and recover it from a writer that was killed.  See
 * rwlock.h. */
#include <errno.h>
#include <limits.h>

#include "base/say.h"
#include "block/memory.h"
#include "process/process.h"
#include "shared/rwlock_word.h"

const struct fo_patience fo_patience_endless = {.answer = ETIMEDOUT};
const struct fo_patience fo_patience_none = {.now = true, .answer = EBUSY};

/* As in glibc, clock and time are checked even if the lock is free. */
bool fo_patience_until(struct fo_patience *p, clockid_t clock, const struct timespec *end)
{
    enum { NS_PER_S = 1000000000 };

    *p = (struct fo_patience){.deadline = {clock, end}, .answer = ETIMEDOUT};
    return (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC) && end->tv_nsec >= 0 &&
           end->tv_nsec < NS_PER_S;
}

/* The lower half, little-endian. */
static uint32_t *futex_of(struct fo_rwlock *l)
{
    return (uint32_t *)(void *)&l->word;
}

/* --- release -------------------------------------------------------------------------------------
 */

void fo_rwlock_wake(struct fo_rwlock *l, enum fo_sleepers group, int count)
{
    fo_wake(futex_of(l), group, count);
}

static uint64_t released(uint64_t word)
{
    uint64_t to = word >> FO_SEEN_SHIFT << FO_SEEN_SHIFT;

    if ((word & FO_RWLOCK_READERS_WAIT) != 0)
        to |= FO_RWLOCK_READERS_TURN | (word & FO_RWLOCK_WRITERS_WAIT);
    return to;
}

/* The lock may be destroyed: nothing of it is read or written. */
static void wake_after(struct fo_rwlock *l, uint64_t was)
{
    if ((was & FO_RWLOCK_READERS_WAIT) != 0)
        fo_rwlock_wake(l, FO_READERS, INT_MAX);
    else if ((was & FO_RWLOCK_WRITERS_WAIT) != 0)
        fo_rwlock_wake(l, FO_WRITERS, 1);
}

uint64_t fo_rwlock_release(struct fo_rwlock *l)
{
    uint64_t word = fo_rwlock_word(l);

    while (!fo_rwlock_change(l, &word, released(word)))
        ;
    wake_after(l, word);
    return word;
}

/* --- recovery from a writer that was killed ------------------------------------------------------
 */

__thread const pthread_rwlock_t *fo_rwlock_written;
__thread uint32_t fo_rwlocks_recovered;
__thread const pthread_rwlock_t *fo_rwlock_tried;

static FO_COLD void report_recovery(const struct fo_rwlock *l, uint32_t owner)
{
    char line[400];
    struct fo_text t = FO_TEXT(line);
    uint32_t thread = fo_seat_thread(owner);

    fo_put(&t, "a lock of OpenSSL (");
    fo_put_hex(&t, (uintptr_t)l);
    fo_put(&t, ") was left locked for writing by ");
    fo_put(&t, thread != 0 ? "thread " : "a thread");
    if (thread != 0)
        fo_put_dec(&t, thread);
    fo_put(&t, ", which is gone (killed?); pid ");
    fo_put_dec(&t, fo_process_self()->pid);
    fo_put(&t, " took it over. What it guards may be half changed; no. ");
    /* A count: relaxed. */
    fo_put_dec(&t, __atomic_add_fetch(&fo_hot.memory->locks_recovered, 1, __ATOMIC_RELAXED));
    fo_put(&t, " in these processes");
    fo_say(&t);
}

bool fo_rwlock_recover(struct fo_rwlock *l, uint64_t word, uint32_t heir)
{
    uint64_t all = FO_RWLOCK_OWNER | FO_RWLOCK_HELD | FO_RWLOCK_PENDING;

    if (!fo_seat_is_dead(fo_rwlock_owner(word)) ||
        !fo_rwlock_change(l, &word, heir != 0 ? (word & ~all) | heir : released(word)))
        return false;
    if ((word & FO_RWLOCK_HELD) != 0) {
        fo_rwlocks_recovered++;
        report_recovery(l, fo_rwlock_owner(word));
    }
    if (heir == 0)
        wake_after(l, word);
    return true;
}

/* --- waiting -------------------------------------------------------------------------------------
 */

/* Not for ever: a reader counts as waiting, and gets its turn, only once it sleeps. */
bool fo_rwlock_can_change_soon(const struct fo_rwlock *l, uint64_t word, struct fo_patience *p)
{
    enum { LOOKS = 100 };

    while (p->looks < LOOKS) {
        p->looks++;
        if (fo_rwlock_word(l) != word)
            return true;
        fo_relax();
    }
    return false;
}

bool fo_rwlock_sleep(struct fo_rwlock *l, uint64_t word, enum fo_sleepers group,
                     struct fo_patience *p)
{
    uint64_t flag = group == FO_READERS ? FO_RWLOCK_READERS_WAIT : FO_RWLOCK_WRITERS_WAIT;

    if ((word & flag) == 0 && !fo_rwlock_change(l, &word, word | flag))
        return true;
    switch (fo_wait(futex_of(l), (uint32_t)(word | flag), group, &p->deadline, p->turn++)) {
    case FO_WAIT_OVER:
        return true;
    case FO_WAIT_LATE:
        p->now = true; /* one more try */
        return true;
    default:
        return false;
    }
}
