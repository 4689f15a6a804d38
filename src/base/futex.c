/* See futex.h. */
#include "base/futex.h"

#include <errno.h>
#include <linux/futex.h>

enum { NS_PER_S = 1000000000 };

static bool is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* The first slice is 20 ms, since many waits are for a thread that was just killed; the longest is
 * 640 ms. */
static struct timespec end_of_slice(clockid_t clock, unsigned turn)
{
    enum { FIRST_NS = 20000000, DOUBLINGS = 5 };
    struct timespec t;

    clock_gettime(clock, &t);
    t.tv_nsec += (long)FIRST_NS << (turn < DOUBLINGS ? turn : DOUBLINGS);
    if (t.tv_nsec >= NS_PER_S) {
        t.tv_nsec -= NS_PER_S;
        t.tv_sec++;
    }
    return t;
}

enum fo_wait fo_wait(uint32_t *word, uint32_t value, uint32_t group,
                     const struct fo_deadline *deadline, unsigned turn)
{
    int saved_errno = errno;
    clockid_t clock = deadline->end != NULL ? deadline->clock : CLOCK_MONOTONIC;
    int operation = FUTEX_WAIT_BITSET | (clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0);
    struct timespec slice = end_of_slice(clock, turn);
    const struct timespec *end = &slice;

    if (deadline->end != NULL && deadline->end->tv_sec < 0) /* the kernel rejects it */
        return FO_WAIT_LATE;
    if (deadline->end != NULL && is_before(deadline->end, &slice))
        end = deadline->end;
    bool in_time =
        syscall(SYS_futex, word, operation, value, end, NULL, group) == 0 || errno != ETIMEDOUT;
    errno = saved_errno;
    return in_time ? FO_WAIT_OVER : end == &slice ? FO_WAIT_SLICE : FO_WAIT_LATE;
}

void fo_wake(uint32_t *word, uint32_t groups, int count)
{
    int saved_errno = errno;

    syscall(SYS_futex, word, FUTEX_WAKE_BITSET, count, NULL, NULL, groups);
    errno = saved_errno;
}
