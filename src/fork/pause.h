/* Waiting for what is over in an instant, unless whoever does it is not running, or gone. */
#ifndef FO_FORK_PAUSE_H
#define FO_FORK_PAUSE_H

#include <errno.h>
#include <sched.h>

#include "core/base.h"
#include "core/raw.h"

static inline void fo_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("yield");
#endif
}

/* Called with 0, 1, 2, ...: longer each time.  True: it took long, so ask whether he lives. */
static inline bool fo_pause(unsigned turn)
{
    enum { SPINS = 100, YIELDS = 20, LONGEST_NS = 1000000 };

    if (turn < SPINS) {
        fo_relax();
        return false;
    }
    if (turn < SPINS + YIELDS) {
        sched_yield();
        return false;
    }
    unsigned doublings = turn - SPINS - YIELDS;
    long ns = doublings < 6 ? 20000L << doublings : LONGEST_NS;
    int saved_errno = errno;
    fo_raw_sleep(ns);
    errno = saved_errno;
    return true;
}

#endif
