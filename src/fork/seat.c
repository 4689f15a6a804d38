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
    if (!fo_living_start(&seat->owner, true) ||
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

void fo_seat_find(uint32_t pid)
{
    int saved_errno = errno;
    uint64_t me = fo_living_me();

    if (pid == 0) { /* nobody has noticed the fork to the end */
        pid = fo_getpid();
        me = (uint64_t)pid << 32 | (uint32_t)syscall(SYS_gettid);
    }
    struct fo_own_seat own = {.top = FO_NO_READS_END, .pid = pid, .me = me};

    own.seat = take_seat(fo_living_claim, me);
    if (own.seat == NULL)
        own.seat = take_seat(fo_living_inherit, me);
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

bool fo_seats_await(uintptr_t lock, uint32_t mask, const struct fo_seat *mine)
{
    if (mine != NULL && reads(mine, lock))
        return false;
    for (uint32_t i = 0, used = count_seats(); i < used; i++) {
        struct fo_seat *seat = seat_at(i);
        if ((mask & fo_seat_bit(i)) == 0)
            continue;
        for (unsigned turn = 0; fo_unlikely(reads(seat, lock)); turn++)
            if (fo_pause(turn))
                look_after(seat);
    }
    return true;
}

bool fo_seats_read(uintptr_t lock, uint32_t mask)
{
    for (uint32_t i = 0, used = count_seats(); i < used; i++)
        if ((mask & fo_seat_bit(i)) != 0 && reads(seat_at(i), lock))
            return true;
    return false;
}
