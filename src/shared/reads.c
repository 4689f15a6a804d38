/* See reads.h.  The thread itself puts entries into its seat, and `top` is its own: a relaxed look
 * finds them, since another thread can only remove one, by an exchange. */
#include "shared/reads.h"

#include "base/say.h"

/* No entry is at own->top or above. */
static void drop_gaps(struct fo_own_seat *own)
{
    while (own->top > own->seat->first.reads && FO_RELAXED_LOAD(own->top - 1) == 0)
        own->top--;
}

static void leave_empty_lines(struct fo_own_seat *own)
{
    while (own->last != &own->seat->first && fo_line_is_empty(own->last))
        own->last = fo_line_leave(own->last, own->seat);
}

static uint64_t *find_in_first(const struct fo_own_seat *own, uint64_t key)
{
    uint64_t *first = own->seat->first.reads;

    for (uint64_t *entry = own->top; entry-- > first;)
        if ((FO_RELAXED_LOAD(entry) & ~FO_AWAITED) == key)
            return entry;
    return NULL;
}

static uint64_t *put_in_first(struct fo_own_seat *own, uint64_t *entry, uint64_t key)
{
    bool last = entry == own->top;

    if (last)
        FO_RELAXED_STORE(&own->top, entry + 1); /* as in rwlock_fast.h */
    __atomic_exchange_n(entry, key, __ATOMIC_SEQ_CST);
    if (own->top <= entry)
        FO_RELAXED_STORE(&own->top, entry + 1);
    return entry;
}

static FO_COLD void report_full(void)
{
    static bool is_reported; /* relaxed: once is enough */

    if (!__atomic_exchange_n(&is_reported, true, __ATOMIC_RELAXED))
        fo_say_words(
            "the threads of all processes have more than 458,745 of OpenSSL's locks in shared "
            "memory for reading: they get no further ones",
            NULL);
}

static uint64_t *put_in_further(struct fo_own_seat *own, uint64_t key)
{
    uint64_t *entry = fo_line_find(own->last, own->seat, 0);

    if (entry == NULL) {
        struct fo_line *line = fo_line_next(own->last, own->seat);
        if (line == NULL) {
            report_full();
            return NULL;
        }
        own->last = line;
        entry = line->reads;
    }
    __atomic_exchange_n(entry, key, __ATOMIC_SEQ_CST);
    own->last = fo_line_recover(fo_line_of(entry), own->last, own->seat);
    return entry;
}

uint64_t *fo_reads_put(struct fo_own_seat *own, uint64_t key)
{
    if (own->seat == NULL)
        return NULL;
    drop_gaps(own);
    if (!fo_line_is_full(own->top))
        return put_in_first(own, own->top, key);
    uint64_t *gap = find_in_first(own, 0);
    return gap != NULL ? put_in_first(own, gap, key) : put_in_further(own, key);
}

static uint64_t *find_entry(const struct fo_own_seat *own, uint64_t key)
{
    uint64_t *entry = fo_line_find(own->last, own->seat, key);

    return entry != NULL ? entry : find_in_first(own, key);
}

static void drop_empty(struct fo_own_seat *own)
{
    leave_empty_lines(own);
    drop_gaps(own);
}

bool fo_reads_remove(struct fo_own_seat *own, uint64_t *entry, uint64_t key)
{
    bool removed = fo_entry_remove(entry, key);

    drop_empty(own);
    return removed;
}

bool fo_reads_release(struct fo_own_seat *own, uint64_t key)
{
    uint64_t *entry;
    bool removed = false;

    if (own->seat == NULL)
        return false;
    while (!removed && (entry = find_entry(own, key)) != NULL)
        removed = fo_entry_remove(entry, key); /* else another thread has removed it */
    drop_empty(own);
    return removed;
}
