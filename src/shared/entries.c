/* Which locks do threads read?  Lines of entries, of the calling thread's seat and of other seats.
 * See seat.h.
 *
 * Lines and entries are added by the seat's owner alone; any thread may remove an entry. */
#include <limits.h>

#include "shared/own_seat.h"

enum {
    NEXT_SHIFT = 1,
    IN_USE = 1u << 31,
    PREVIOUS_SHIFT = 32,
};
_Static_assert(FO_LINES <= IN_USE >> NEXT_SHIFT, "a line's number fits below the flag");

/* --- lines ---------------------------------------------------------------------------------------
 */

static uint64_t links_of(const struct fo_line *line)
{
    return __atomic_load_n(&line->links, __ATOMIC_ACQUIRE);
}

static uint32_t next_of(uint64_t links)
{
    uint32_t n = ((uint32_t)links & ~IN_USE) >> NEXT_SHIFT;

    return n < FO_LINES ? n : 0;
}

static uint32_t number_of(const struct fo_line *line, const struct fo_seat *seat)
{
    return line == &seat->first ? 0 : (uint32_t)(line - fo_seats->line);
}

static void link_lines(struct fo_line *line, uint64_t previous, uint32_t next, uint32_t in_use)
{
    __atomic_store_n(&line->links, previous << PREVIOUS_SHIFT | in_use | next << NEXT_SHIFT | 1,
                     __ATOMIC_RELEASE);
}

static uint32_t new_line(void)
{
    uint32_t n = __atomic_add_fetch(&fo_seats->lines_used, 1, __ATOMIC_ACQ_REL);

    if (n < FO_LINES && n != 0)
        return n;
    __atomic_store_n(&fo_seats->lines_used, FO_LINES - 1, __ATOMIC_RELEASE);
    return 0;
}

struct fo_line *fo_line_next(struct fo_line *line, const struct fo_seat *seat)
{
    uint64_t links = links_of(line);
    uint32_t next = next_of(links);

    if (next == 0)
        next = new_line();
    if (next == 0)
        return NULL;
    struct fo_line *after = &fo_seats->line[next];
    link_lines(after, number_of(line, seat), next_of(links_of(after)), 0);
    link_lines(line, links >> PREVIOUS_SHIFT, next, IN_USE);
    return after;
}

static struct fo_line *line_before(const struct fo_line *line, struct fo_seat *seat)
{
    uint32_t previous = (uint32_t)(links_of(line) >> PREVIOUS_SHIFT);

    return previous != 0 && previous < FO_LINES ? &fo_seats->line[previous] : &seat->first;
}

struct fo_line *fo_line_leave(const struct fo_line *line, struct fo_seat *seat)
{
    struct fo_line *previous = line_before(line, seat);
    uint64_t links = links_of(previous);

    link_lines(previous, links >> PREVIOUS_SHIFT, next_of(links), 0);
    return previous;
}

static bool is_up_to(const struct fo_line *line, const struct fo_line *last, struct fo_seat *seat)
{
    for (uint32_t steps = FO_LINES; last != line && steps != 0; steps--) {
        if (last == &seat->first)
            return false;
        last = line_before(last, seat);
    }
    return true;
}

struct fo_line *fo_line_recover(struct fo_line *line, struct fo_line *last, struct fo_seat *seat)
{
    struct fo_line *kept = is_up_to(line, last, seat) ? last : line;

    line = kept;
    for (uint32_t steps = FO_LINES; line != &seat->first && steps != 0; steps--) {
        struct fo_line *previous = line_before(line, seat);
        uint64_t links = links_of(previous);
        if ((links & IN_USE) == 0)
            link_lines(previous, links >> PREVIOUS_SHIFT, number_of(line, seat), IN_USE);
        line = previous;
    }
    /* A barrier before the lock is read; ThreadSanitizer does not support fences. */
    __atomic_fetch_or(&seat->first.links, 1, __ATOMIC_SEQ_CST);
    return kept;
}

/* At most *steps in all: the links may be a circle. */
static struct fo_line *step(const struct fo_line *line, uint32_t *steps)
{
    uint64_t links = links_of(line);
    uint32_t next = next_of(links);

    if ((links & IN_USE) == 0 || next == 0 || *steps == 0)
        return NULL;
    --*steps;
    return &fo_seats->line[next];
}

/* --- entries of one seat -------------------------------------------------------------------------
 */

static uint64_t *find_in_line(struct fo_line *line, uint64_t key)
{
    for (unsigned i = 0; i < FO_LINE_READS; i++)
        if ((__atomic_load_n(&line->reads[i], __ATOMIC_SEQ_CST) & ~FO_AWAITED) == key)
            return &line->reads[i];
    return NULL;
}

uint64_t *fo_line_find(struct fo_line *last, struct fo_seat *seat, uint64_t key)
{
    uint64_t *entry = NULL;

    for (uint32_t steps = FO_LINES; last != &seat->first && entry == NULL && steps != 0; steps--) {
        entry = find_in_line(last, key);
        last = line_before(last, seat);
    }
    return entry;
}

static uint64_t *find_in_seat(struct fo_seat *seat, uint64_t key, uint32_t *steps)
{
    uint64_t *entry = NULL;

    for (struct fo_line *line = &seat->first; line != NULL && entry == NULL;
         line = step(line, steps))
        entry = find_in_line(line, key);
    return entry;
}

bool fo_line_is_empty(const struct fo_line *line)
{
    for (unsigned i = 0; i < FO_LINE_READS; i++)
        if (__atomic_load_n(&line->reads[i], __ATOMIC_ACQUIRE) != 0)
            return false;
    return true;
}

bool fo_seat_is_empty(struct fo_seat *seat)
{
    uint32_t steps = FO_LINES;

    for (const struct fo_line *line = &seat->first; line != NULL; line = step(line, &steps))
        if (!fo_line_is_empty(line))
            return false;
    return true;
}

/* The lower half, little-endian: the threads that wait for the entry's removal sleep there. */
static uint32_t *futex_of(uint64_t *entry)
{
    return (uint32_t *)(void *)entry;
}

void fo_entry_wake(uint64_t *entry, uint64_t was)
{
    if (fo_unlikely((was & FO_AWAITED) != 0))
        fo_wake(futex_of(entry), 1, INT_MAX);
}

static void empty_line(struct fo_line *line)
{
    for (unsigned i = 0; i < FO_LINE_READS; i++)
        if (__atomic_load_n(&line->reads[i], __ATOMIC_ACQUIRE) != 0)
            fo_entry_wake(&line->reads[i],
                          __atomic_exchange_n(&line->reads[i], 0, __ATOMIC_SEQ_CST));
}

void fo_seat_empty(struct fo_seat *seat)
{
    uint32_t steps = FO_LINES;

    for (struct fo_line *line = &seat->first; line != NULL; line = step(line, &steps))
        empty_line(line);
    link_lines(&seat->first, 0, next_of(links_of(&seat->first)), 0);
}

/* A failed exchange is relaxed: another thread has removed the entry, and this one does nothing. */
bool fo_entry_remove(uint64_t *entry, uint64_t key)
{
    uint64_t was = key;

    if (!__atomic_compare_exchange_n(entry, &was, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED) &&
        (was != (key | FO_AWAITED) ||
         !__atomic_compare_exchange_n(entry, &was, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)))
        return false;
    fo_entry_wake(entry, was);
    return true;
}

/* --- entries of all seats ------------------------------------------------------------------------
 */

static uint32_t count_seats(void)
{
    uint32_t used = __atomic_load_n(&fo_seats->used, __ATOMIC_SEQ_CST);

    return used < FO_SEATS ? used : FO_SEATS - 1;
}

static bool find_with_bit(uint64_t key, uint32_t bit, uint32_t *steps, struct fo_entry *found)
{
    for (uint32_t n = bit != 0 ? bit : 32, used = count_seats(); n <= used; n += 32) {
        found->at = find_in_seat(&fo_seats->seat[n], key, steps);
        found->seat = n;
        if (found->at != NULL)
            return true;
    }
    return false;
}

bool fo_seats_find(uint64_t key, uint32_t mask, struct fo_entry *found)
{
    uint32_t steps = FO_LINES;

    for (; mask != 0; mask &= mask - 1)
        if (find_with_bit(key, (uint32_t)__builtin_ctz(mask), &steps, found))
            return true;
    return false;
}

bool fo_seats_remove(uint64_t key, uint32_t mask)
{
    struct fo_entry found;

    if (!fo_seats_find(key, mask, &found) || !fo_entry_remove(found.at, key))
        return false;
    fo_seat_free_if_done(fo_seat_at(found.seat));
    return true;
}

enum fo_wait fo_entry_await(const struct fo_entry *entry, uint64_t key,
                            const struct fo_deadline *deadline, unsigned turn)
{
    uint64_t was = key;

    if (!__atomic_compare_exchange_n(entry->at, &was, key | FO_AWAITED, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST) &&
        was != (key | FO_AWAITED))
        return FO_WAIT_OVER;
    return fo_wait(futex_of(entry->at), (uint32_t)key | FO_AWAITED, 1, deadline, turn);
}
