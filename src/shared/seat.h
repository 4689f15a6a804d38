/* The log of the locks that threads have acquired for reading, so that the locks of a thread that
 * was killed are found.  Each thread that uses locks in shared memory owns a seat, which lies in
 * memory that all processes share.
 *
 * A seat's entries are the keys (rwlock.h) of the locks that its owner reads, one for each
 * acquisition, in lines of seven.  The first line belongs to the seat; the next ones are taken from
 * a common supply, one when the line before is full, and stay with the seat.
 *
 * Any process may write here: each number that is read is bounded, and there are no pointers. */
#ifndef FO_SHARED_SEAT_H
#define FO_SHARED_SEAT_H

#include "base/base.h"
#include "base/futex.h"
#include "process/living.h"

enum {
    FO_SEAT_BITS = 15,
    FO_SEATS = 1 << FO_SEAT_BITS, /* no. 0 is not used */
    FO_GENERATION_BITS = 12,
    FO_THREADS_KNOWN = 8,
    FO_LINES = 1 << 16, /* without the seats' own ones; no. 0 is not used */
    FO_LINE_WORDS = 8,
    FO_LINE_SIZE = FO_LINE_WORDS * sizeof(uint64_t),
    FO_LINE_READS = FO_LINE_WORDS - 1,
};

/* Set in an entry: a thread waits for its removal. */
#define FO_AWAITED UINT64_C(1)

/* The first word of a line: 1 | next line << 1 | the next one is in use << 31 | previous << 32.  An
 * odd number, so that it is never taken for an entry. */
struct fo_line {
    _Alignas(FO_LINE_SIZE) uint64_t links;
    uint64_t reads[FO_LINE_READS]; /* 0: none */
};
_Static_assert(sizeof(struct fo_line) == FO_LINE_SIZE, "an address tells where a line ends");

struct fo_seat {
    struct fo_line first;
    struct fo_living owner;             /* with thread 0 when the thread has ended and left locks */
    uint32_t ready;                     /* the owner's mutex can be used */
    uint32_t generation;                /* of owners; changed by the owner only */
    uint32_t threads[FO_THREADS_KNOWN]; /* owners, by their generation */
    /* Locks acquired for writing, and released, by the owner; and released by other threads. */
    uint32_t written, released, released_by_others;
};

struct fo_seats {
    uint32_t used;                                       /* seats 1 ... used have had an owner */
    uint32_t lines_used;                                 /* likewise */
    uint32_t looked;                                     /* where dead owners are looked for next */
    _Alignas(FO_LINE_SIZE) uint32_t births;              /* of locks; rwlock.h */
    _Alignas(FO_LINE_SIZE) uint64_t free[FO_SEATS / 64]; /* a hint: seats that were released */
    struct fo_seat seat[FO_SEATS];
    struct fo_line line[FO_LINES];
};

/* In this process, and in those that it forks later; NULL: memory is not shared. */
extern FO_HIDDEN struct fo_seats *fo_seats;

/* False: no memory. */
bool fo_seats_map(void);
void fo_seats_unmap(void);

/* An owner as a lock names it: number | generation << FO_SEAT_BITS.  0: none. */
static inline uint32_t fo_seat_number(uint32_t owner)
{
    return owner & (FO_SEATS - 1);
}

struct fo_seat *fo_seat_at(uint32_t number);

/* The bit of a mask that stands for a seat, and for every 32nd other one. */
static inline uint32_t fo_seat_bit(uint32_t number)
{
    return UINT32_C(1) << number % 32;
}

/* Is the owner that a lock names dead?  If so, its entries are removed. */
bool fo_seat_is_dead(uint32_t owner);

/* The owner's number as a thread; 0: not known, another thread owns the seat by now. */
uint32_t fo_seat_thread(uint32_t owner);

/* If the owner of this seat is dead, remove its entries.  False: it lives. */
bool fo_seat_recover(uint32_t number);

/* The calling thread ends: its seat is released, or left to its process if it holds locks. */
void fo_seat_leave(void);

/* Another thread released a lock that this owner acquired for writing. */
void fo_seat_released(uint32_t owner);

/* An entry, and its seat. */
struct fo_entry {
    uint64_t *at;
    uint32_t seat;
};

/* Does any thread read the lock with this key?  Searches the seats of this mask. */
bool fo_seats_find(uint64_t key, uint32_t mask, struct fo_entry *found);

/* Wake the threads that wait for the removal of an entry; `was` is its old value. */
void fo_entry_wake(uint64_t *entry, uint64_t was);

/* Wait for a change of this entry, for a slice of time; see fo_wait(). */
enum fo_wait fo_entry_await(const struct fo_entry *entry, uint64_t key,
                            const struct fo_deadline *deadline, unsigned turn);

/* Remove an entry if it is of this lock, and wake the thread that waits for it.  False: it is not,
 * or another thread has removed it. */
bool fo_entry_remove(uint64_t *entry, uint64_t key);

/* Remove one entry of this lock, from any seat of this mask: any thread may release what another
 * one reads.  False: there is none. */
bool fo_seats_remove(uint64_t key, uint32_t mask);

/* For the owner: no entry of this seat is left. */
bool fo_seat_is_empty(struct fo_seat *seat);
void fo_seat_empty(struct fo_seat *seat);

/* Free a seat that an ended owner has left to its process, if no lock is left in it. */
void fo_seat_free_if_done(struct fo_seat *seat);

/* For the owner: the next line, in use from now on; NULL: the supply is used up. */
struct fo_line *fo_line_next(struct fo_line *line, const struct fo_seat *seat);

/* For the owner: this line, which is empty, is no longer in use.  Returns the line before. */
struct fo_line *fo_line_leave(const struct fo_line *line, struct fo_seat *seat);

/* For the owner: this line, which has an entry, is in use.  A signal handler may have marked it as
 * not in use before the entry was there.  Returns the last line that is in use. */
struct fo_line *fo_line_recover(struct fo_line *line, struct fo_line *last, struct fo_seat *seat);

/* For the owner: an entry of this lock, or an empty one (0), in the lines after the first one, up
 * to `last`; NULL: there is none. */
uint64_t *fo_line_find(struct fo_line *last, struct fo_seat *seat, uint64_t key);
bool fo_line_is_empty(const struct fo_line *line);

#endif
