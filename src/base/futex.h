/* Waiting for a change of a word that processes share.  A thread sleeps in the kernel, in slices of
 * time: after each slice, the caller checks whether the thread that should change the word was
 * killed. */
#ifndef FO_BASE_FUTEX_H
#define FO_BASE_FUTEX_H

#include <time.h>

#include "base/base.h"

/* When a thread stops waiting: at `end` by this clock (CLOCK_REALTIME or CLOCK_MONOTONIC), or never
 * if `end` is NULL. */
struct fo_deadline {
    clockid_t clock;
    const struct timespec *end;
};

enum fo_wait {
    FO_WAIT_OVER,  /* the word differs from `value`, or the thread was woken */
    FO_WAIT_SLICE, /* time to check whether the other thread lives */
    FO_WAIT_LATE,  /* the deadline has passed */
};

/* Slices grow with `turn`: 0, 1, 2, ...  `group` is one bit, which fo_wake() names in `groups`.  No
 * cancellation point; errno is kept. */
enum fo_wait fo_wait(uint32_t *word, uint32_t value, uint32_t group,
                     const struct fo_deadline *deadline, unsigned turn);

/* Wake at most `count` threads of these groups.  The word is not read: it may be unmapped by now.
 */
void fo_wake(uint32_t *word, uint32_t groups, int count);

static inline void fo_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

#endif
