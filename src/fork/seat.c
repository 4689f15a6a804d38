/* See seat.h. */
#include "fork/seat.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/memory.h"
#include "fork/ending.h"
#include "fork/own_seat.h"
#include "fork/pause.h"

_Alignas(FO_SEAT_LINE) uintptr_t fo_no_reads[FO_READS + 1];

__thread struct fo_own_seat fo_own_seat = {.top = FO_NO_READS_END};

static uint32_t count_seats(void)
{
    uint32_t used = __atomic_load_n(&fo_hot.memory->seats_used, __ATOMIC_SEQ_CST);

    return used < FO_SEATS ? used : FO_SEATS;
}

static struct fo_seat *seat_at(uint32_t number)
{
    return &fo_hot.memory->seats[number];
}

static void forget_reads(struct fo_seat *seat)
{
    for (unsigned i = 0; i < FO_READS; i++)
        __atomic_store_n(&seat->reads[i], 0, __ATOMIC_RELEASE);
}

static struct fo_seat *new_seat(uint64_t me)
{
    uint32_t n = __atomic_fetch_add(&fo_hot.memory->seats_used, 1, __ATOMIC_SEQ_CST);

    if (n >= FO_SEATS) {
        __atomic_store_n(&fo_hot.memory->seats_used, FO_SEATS, __ATOMIC_RELEASE);
        return NULL;
    }
    struct fo_seat *seat = seat_at(n);
    if (!fo_living_start(&seat->owner, FO_RELAXED_LOAD(&fo_hot.shared)) ||
        !fo_living_claim(&seat->owner, me))
        return NULL;
    __atomic_store_n(&seat->ready, 1, __ATOMIC_RELEASE);
    return seat;
}

typedef bool take_function(struct fo_living *owner, uint64_t me);

static struct fo_seat *take_seat(take_function *take, uint64_t me)
{
    for (uint32_t i = 0, used = count_seats(); i < used; i++) {
        struct fo_seat *seat = seat_at(i);
        if (__atomic_load_n(&seat->ready, __ATOMIC_ACQUIRE) != 0 && take(&seat->owner, me)) {
            forget_reads(seat);
            return seat;
        }
    }
    return NULL;
}

/* What others are asked costs system calls: a thread of this process says when it goes, and only
 * where there are many is it asked whether it did. */
static bool inherit(struct fo_living *owner, uint64_t me)
{
    enum { MANY = 64 };
    bool same = FO_RELAXED_LOAD(&owner->owner) >> 32 == me >> 32;

    if (same && !FO_RELAXED_LOAD(&fo_hot.shared) && count_seats() < MANY)
        return false;
    return fo_living_inherit(owner, me);
}

/* In private memory a forked child has a copy of all seats, and the thread that forked goes on with
 * what it had, unless a new thread was here before and took its seat for that of one who is gone.
 */
static bool keep_seat(uint32_t pid, uint64_t me)
{
    struct fo_seat *seat = fo_own_seat.seat;

    if (FO_RELAXED_LOAD(&fo_hot.shared) || seat == NULL || fo_own_seat.pid == pid ||
        !fo_living_go_on(&seat->owner, fo_own_seat.me, me))
        return false;
    fo_own_seat.me = me;
    fo_own_seat.pid = pid;
    return true;
}

void fo_seat_find(uint32_t pid)
{
    int saved_errno = errno;
    uint64_t me = fo_living_me();

    if (pid == 0) { /* nobody has noticed the fork to the end */
        pid = fo_getpid();
        me = (uint64_t)pid << 32 | (uint32_t)syscall(SYS_gettid);
    }
    struct fo_own_seat own = {.top = FO_NO_READS_END, .pid = pid, .me = me};

    if (keep_seat(pid, me))
        return;
    own.seat = take_seat(fo_living_claim, me);
    if (own.seat == NULL)
        own.seat = take_seat(inherit, me);
    if (own.seat == NULL)
        own.seat = new_seat(me);
    if (own.seat != NULL) {
        fo_ending_watch();
        own.top = own.seat->reads;
        own.bit = fo_seat_bit((uint32_t)(own.seat - fo_hot.memory->seats));
    }
    fo_own_seat = own;
    errno = saved_errno;
}

static bool is_empty(const struct fo_seat *seat)
{
    for (unsigned i = 0; i < FO_READS; i++)
        if (FO_RELAXED_LOAD(&seat->reads[i]) != 0)
            return false;
    return true;
}

/* Who still reads keeps it, until others see that its owner is gone. */
void fo_seat_leave(void)
{
    struct fo_seat *seat = fo_own_seat.seat;

    if (seat == NULL || fo_own_seat.pid != fo_process_self()->pid || !is_empty(seat))
        return;
    fo_own_seat = (struct fo_own_seat){.top = FO_NO_READS_END};
    fo_living_release(&seat->owner);
}

static bool reads(const struct fo_seat *seat, uintptr_t lock)
{
    for (unsigned i = 0; i < FO_READS; i++)
        if (__atomic_load_n(&seat->reads[i], __ATOMIC_SEQ_CST) == lock)
            return true;
    return false;
}

/* One who is gone reads no more. */
static void look_after(struct fo_seat *seat)
{
    if (!fo_living_inherit(&seat->owner, fo_living_me()))
        return;
    forget_reads(seat);
    fo_living_release(&seat->owner);
}

enum fo_awaited fo_seats_await(uintptr_t lock, uint32_t mask, const struct fo_seat *mine,
                               bool patient)
{
    if (mine != NULL && reads(mine, lock))
        return FO_AWAITED_SELF;
    for (uint32_t i = 0, used = count_seats(); i < used; i++) {
        struct fo_seat *seat = seat_at(i);
        if ((mask & fo_seat_bit(i)) == 0)
            continue;
        for (unsigned turn = 0; fo_unlikely(reads(seat, lock)); turn++)
            if (fo_pause(turn)) {
                look_after(seat);
                if (!patient)
                    return FO_AWAITED_LATE;
            }
    }
    return FO_AWAITED;
}

bool fo_seats_read(uintptr_t lock, uint32_t mask)
{
    for (uint32_t i = 0, used = count_seats(); i < used; i++)
        if ((mask & fo_seat_bit(i)) != 0 && reads(seat_at(i), lock))
            return true;
    return false;
}

bool fo_seats_strike(uintptr_t lock)
{
    for (uint32_t i = 0, used = count_seats(); i < used; i++)
        for (unsigned place = 0; place < FO_READS; place++) {
            uintptr_t read = lock;
            if (__atomic_compare_exchange_n(&seat_at(i)->reads[place], &read, 0, false,
                                            __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
                return true;
        }
    return false;
}
