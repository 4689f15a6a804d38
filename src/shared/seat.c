/* Which thread owns which seat, and what happens to the seat of a thread that ended or was killed.
 * See seat.h. */
#include "shared/seat.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/apart.h"
#include "base/say.h"
#include "process/ending.h"
#include "shared/own_seat.h"

struct fo_line fo_no_reads;
struct fo_seats *fo_seats;

__thread struct fo_own_seat fo_own_seat = {.top = FO_NO_READS_END};

bool fo_seats_map(void)
{
    struct fo_seats *seats = fo_apart_map(sizeof *seats, MAP_SHARED);

    if (seats == NULL)
        return false;
    /* Few of them are used: no huge pages, and no core dump, which would commit all of them. */
    madvise(seats, sizeof *seats, MADV_NOHUGEPAGE);
    madvise(seats, sizeof *seats, MADV_DONTDUMP);
    fo_seats = seats;
    return true;
}

void fo_seats_unmap(void)
{
    fo_apart_unmap(fo_seats, sizeof *fo_seats);
    fo_seats = NULL;
}

static uint32_t count_seats(void)
{
    uint32_t used = __atomic_load_n(&fo_seats->used, __ATOMIC_SEQ_CST);

    return used < FO_SEATS ? used : FO_SEATS - 1;
}

struct fo_seat *fo_seat_at(uint32_t number)
{
    return number != 0 && number < FO_SEATS ? &fo_seats->seat[number] : NULL;
}

static uint32_t number_of(const struct fo_seat *seat)
{
    return (uint32_t)(seat - fo_seats->seat);
}

static uint64_t *free_word(const struct fo_seat *seat)
{
    return &fo_seats->free[number_of(seat) / 64];
}

static uint64_t free_bit(const struct fo_seat *seat)
{
    return UINT64_C(1) << number_of(seat) % 64;
}

/* --- release -------------------------------------------------------------------------------------
 */

static void mark_free(const struct fo_seat *seat)
{
    __atomic_fetch_or(free_word(seat), free_bit(seat), __ATOMIC_RELEASE);
}

void fo_seat_free_if_done(struct fo_seat *seat)
{
    uint64_t owner = __atomic_load_n(&seat->owner.owner, __ATOMIC_ACQUIRE);

    if (fo_living_is_left(owner) && fo_seat_is_empty(seat) && !fo_seat_writes(seat) &&
        fo_living_disown(&seat->owner, owner))
        mark_free(seat);
}

void fo_seat_released(uint32_t owner)
{
    struct fo_seat *seat = fo_seat_at(fo_seat_number(owner));

    if (seat == NULL)
        return;
    __atomic_fetch_add(&seat->released_by_others, 1, __ATOMIC_ACQ_REL);
    fo_seat_free_if_done(seat);
}

/* If the thread still holds locks, another thread may release them. */
void fo_seat_leave(void)
{
    struct fo_seat *seat = fo_own_seat.seat;

    if (seat == NULL || fo_own_seat.process != fo_process_self()->id)
        return;
    fo_own_seat = (struct fo_own_seat){.top = FO_NO_READS_END};
    if (fo_seat_is_empty(seat) && !fo_seat_writes(seat)) {
        fo_living_release(&seat->owner);
        mark_free(seat);
        return;
    }
    fo_living_leave_to_process(&seat->owner);
    fo_seat_free_if_done(seat);
}

/* --- dead owners ---------------------------------------------------------------------------------
 */

/* Then the calling thread owns the seat, which is empty. */
static bool recover(struct fo_seat *seat, uint64_t me)
{
    if (!fo_living_adopt(&seat->owner, me))
        return false;
    fo_seat_empty(seat);
    __atomic_fetch_add(&seat->generation, 1, __ATOMIC_ACQ_REL);
    return true;
}

/* A seat with entries and without an owner: another process wrote them, which it should not. */
static FO_COLD bool claim_stray(struct fo_seat *seat, uint64_t me)
{
    if (!fo_living_claim(&seat->owner, me))
        return false;
    fo_seat_empty(seat);
    return true;
}

static uint32_t generations_since(const struct fo_seat *seat, uint32_t owner)
{
    uint32_t generation = __atomic_load_n(&seat->generation, __ATOMIC_ACQUIRE);

    return (generation - (owner >> FO_SEAT_BITS)) & ((1u << FO_GENERATION_BITS) - 1);
}

uint32_t fo_seat_thread(uint32_t owner)
{
    const struct fo_seat *seat = fo_seat_at(fo_seat_number(owner));
    uint32_t named = owner >> FO_SEAT_BITS;

    if (seat == NULL || generations_since(seat, owner) >= FO_THREADS_KNOWN)
        return 0;
    return FO_RELAXED_LOAD(&seat->threads[named % FO_THREADS_KNOWN]);
}

bool fo_seat_recover(uint32_t number)
{
    struct fo_seat *seat = &fo_seats->seat[number];
    uint64_t me = fo_living_me();

    if (!recover(seat, me) && !claim_stray(seat, me))
        return false;
    fo_living_release(&seat->owner);
    mark_free(seat);
    return true;
}

bool fo_seat_is_dead(uint32_t owner)
{
    struct fo_seat *seat = fo_seat_at(fo_seat_number(owner));

    if (seat == NULL || __atomic_load_n(&seat->ready, __ATOMIC_ACQUIRE) == 0 ||
        generations_since(seat, owner) != 0 ||
        __atomic_load_n(&seat->owner.owner, __ATOMIC_ACQUIRE) == 0)
        return true;
    return fo_seat_recover(fo_seat_number(owner));
}

/* --- claim ---------------------------------------------------------------------------------------
 */

static bool is_ready(const struct fo_seat *seat)
{
    return __atomic_load_n(&seat->ready, __ATOMIC_ACQUIRE) != 0;
}

/* The lowest one that was released, so that few seats have to be searched. */
static struct fo_seat *claim_free(uint64_t me)
{
    uint32_t used = count_seats();

    for (uint32_t w = 0; w <= used / 64; w++) {
        uint64_t bits = __atomic_load_n(&fo_seats->free[w], __ATOMIC_ACQUIRE);
        for (; bits != 0; bits &= bits - 1) {
            struct fo_seat *seat = &fo_seats->seat[w * 64 + (uint32_t)__builtin_ctzll(bits)];
            __atomic_fetch_and(free_word(seat), ~free_bit(seat), __ATOMIC_ACQ_REL);
            if (number_of(seat) != 0 && is_ready(seat) && fo_living_claim(&seat->owner, me))
                return seat;
        }
    }
    return NULL;
}

/* Also one whose owner was killed while it released it. */
static struct fo_seat *claim_dead(uint64_t me, uint32_t looks)
{
    uint32_t used = count_seats();
    uint32_t first = __atomic_fetch_add(&fo_seats->looked, looks, __ATOMIC_RELAXED); /* a hint */

    for (uint32_t i = 0; i < looks && i < used; i++) {
        struct fo_seat *seat = &fo_seats->seat[(first + i) % used + 1];
        if (is_ready(seat) && (fo_living_claim(&seat->owner, me) || recover(seat, me)))
            return seat;
    }
    return NULL;
}

static struct fo_seat *claim_new(uint64_t me)
{
    uint32_t n = __atomic_add_fetch(&fo_seats->used, 1, __ATOMIC_SEQ_CST);

    if (n >= FO_SEATS || n == 0) {
        __atomic_store_n(&fo_seats->used, FO_SEATS - 1, __ATOMIC_RELEASE);
        return NULL;
    }
    struct fo_seat *seat = &fo_seats->seat[n];
    if (!fo_living_start(&seat->owner, true) || !fo_living_claim(&seat->owner, me))
        return NULL;
    __atomic_store_n(&seat->ready, 1, __ATOMIC_RELEASE);
    return seat;
}

static FO_COLD void report_full(void)
{
    static bool is_reported; /* relaxed: once is enough */

    if (!__atomic_exchange_n(&is_reported, true, __ATOMIC_RELAXED))
        fo_say_words("more threads than 32,767 of all processes together use OpenSSL's locks in "
                     "shared memory: further ones get none of them",
                     NULL);
}

static struct fo_seat *claim(uint64_t me)
{
    enum { FIRST_LOOKS = 16 };
    struct fo_seat *seat = claim_free(me);

    if (seat == NULL)
        seat = claim_dead(me, FIRST_LOOKS);
    if (seat == NULL)
        seat = claim_new(me);
    if (seat == NULL)
        seat = claim_dead(me, FO_SEATS);
    if (seat == NULL)
        report_full();
    return seat;
}

/* Relaxed: no other thread reads these before a lock names this seat and generation. */
static void begin(struct fo_own_seat *own, struct fo_seat *seat, uint32_t thread)
{
    uint32_t number = number_of(seat);
    uint32_t generation = __atomic_add_fetch(&seat->generation, 1, __ATOMIC_ACQ_REL);

    fo_seat_empty(seat);
    FO_RELAXED_STORE(&seat->written, 0);
    FO_RELAXED_STORE(&seat->released, 0);
    FO_RELAXED_STORE(&seat->released_by_others, 0);
    FO_RELAXED_STORE(&seat->threads[generation % FO_THREADS_KNOWN], thread);
    own->seat = seat;
    own->top = seat->first.reads;
    own->last = &seat->first;
    own->bit = (uint64_t)fo_seat_bit(number) << 32;
    own->owner = number | (generation & ((1u << FO_GENERATION_BITS) - 1)) << FO_SEAT_BITS;
}

void fo_seat_claim(void)
{
    int saved_errno = errno;
    uint64_t me = fo_living_me();
    struct fo_own_seat own = {.top = FO_NO_READS_END, .process = fo_process_id()};
    struct fo_seat *seat = claim(me);

    if (seat != NULL) {
        fo_ending_watch(FO_ENDING_SEAT, fo_seat_leave);
        begin(&own, seat, (uint32_t)me);
    }
    fo_own_seat = own;
    errno = saved_errno;
}
