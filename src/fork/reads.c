/* See reads.h. */
#include "fork/reads.h"

uintptr_t *fo_reads_find(const struct fo_own_seat *own, uintptr_t lock)
{
    if (own->seat == NULL)
        return NULL;
    uintptr_t *end = fo_seat_is_full(own->top) ? own->seat->reads + FO_READS : own->top;
    while (end-- > own->seat->reads)
        if (FO_RELAXED_LOAD(end) == lock)
            return end;
    return NULL;
}

static void drop_gaps(struct fo_own_seat *own)
{
    while (own->top != FO_NO_READS_END && own->top != own->seat->reads &&
           FO_RELAXED_LOAD(own->top - 1) == 0)
        own->top--;
}

uintptr_t *fo_reads_room(struct fo_own_seat *own)
{
    if (own->seat == NULL)
        return NULL;
    drop_gaps(own);
    if (!fo_seat_is_full(own->top))
        return own->top;
    for (unsigned i = 0; i < FO_READS; i++)
        if (FO_RELAXED_LOAD(&own->seat->reads[i]) == 0)
            return &own->seat->reads[i];
    return NULL;
}

void fo_reads_enter(struct fo_own_seat *own, uintptr_t *entry, uintptr_t lock)
{
    bool last = entry == own->top;

    if (last)
        FO_RELAXED_STORE(&own->top, entry + 1); /* as in rwlock_short.h */
    __atomic_store_n(entry, lock, __ATOMIC_SEQ_CST);
    if (last)
        FO_RELAXED_STORE(&own->top, entry + 1);
}

void fo_reads_strike(struct fo_own_seat *own, uintptr_t *entry)
{
    __atomic_store_n(entry, 0, __ATOMIC_RELEASE);
    drop_gaps(own);
}

void fo_reads_count(struct fo_own_seat *own, const uintptr_t *entry)
{
    own->top = FO_NO_READS_END;
    own->more_of_all++;
    own->more[entry - own->seat->reads]++;
}

static FO_COLD void count_less(struct fo_own_seat *own, const uintptr_t *entry)
{
    own->more[entry - own->seat->reads]--;
    if (--own->more_of_all == 0)
        own->top = own->seat->reads + FO_READS;
}

bool fo_reads_leave(struct fo_own_seat *own, uintptr_t lock)
{
    uintptr_t *entry = fo_reads_find(own, lock);

    if (entry == NULL)
        return false;
    if (own->more_of_all != 0 && own->more[entry - own->seat->reads] != 0)
        count_less(own, entry);
    else
        fo_reads_strike(own, entry);
    return true;
}

void fo_reads_forget(uintptr_t lock)
{
    if (fo_own_seat.pid != fo_process_self()->pid)
        return;
    while (fo_reads_leave(&fo_own_seat, lock))
        ;
}
