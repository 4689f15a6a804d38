/* Findings are many (4,650 at one shutdown of 11 processes): the same finding, of the same kind at
 * the same three places, is printed once and then counted, for all processes of the tree together.
 * The count is printed when it reaches a power of ten, and at exit.
 *
 * Processes share the counts, and nothing else: a process has the records of those findings that it
 * or its ancestors saw.  They share them from the first fork(2) on: most processes never fork, and
 * shared memory takes long to make and to remove.  After a call for which no handler of
 * pthread_atfork(3) runs, such as a raw clone(2), parent and child have counts of their own, unless
 * they were shared before. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/apart.h"
#include "base/format.h"
#include "base/freed.h"
#include "options/options.h"
#include "process/process.h"
#include "process/rows.h"
#include "report/counts.h"
#include "report/journal.h"
#include "report/output.h"
#include "report/record.h"

struct fo_counts *fo_counts;

static FO_BULKY struct fo_counts private_counts;

enum kept { NOT_KEPT, KEEPING, KEPT };

/* The same rows, in memory of this process. */
static FO_BULKY struct own {
    uint32_t kept;           /* enum kept: is the record there? */
    uint32_t journal;        /* row of the finding there; 0: not yet */
    struct fo_record record; /* for the count that is printed at exit */
} own[FO_KINDS_OF_FINDING];

void fo_record_freed(struct fo_record *r, const struct fo_freed *f)
{
    r->size = fo_word_size(f->word);
    r->allocated = (struct fo_place){
        true, f->allocated, fo_word_process(f->word), 0, 0, (uint32_t)(f->stacks >> 32)};
    r->first = (struct fo_place){true,
                                 f->freed,
                                 fo_thread_id_process(f->thread_id),
                                 fo_thread_id_number(f->thread_id),
                                 f->caller,
                                 (uint32_t)f->stacks};
}

/* --- the counts of the tree ----------------------------------------------------------------------
 */

/* NULL: nothing was found, and the process has not forked. */
static struct fo_counts *known_counts(void)
{
    return __atomic_load_n(&fo_counts, __ATOMIC_ACQUIRE);
}

/* In front of the first fork those of this process alone. */
static struct fo_counts *counts_to_change(void)
{
    struct fo_counts *none = NULL;

    __atomic_compare_exchange_n(&fo_counts, &none, &private_counts, false, __ATOMIC_ACQ_REL,
                                __ATOMIC_ACQUIRE);
    return known_counts();
}

static void copy_seen(struct fo_seen *to, const struct fo_seen *from)
{
    fo_shared_set(&to->key, fo_shared_number(&from->key));
    fo_shared_set(&to->count, fo_shared_number(&from->count));
    fo_shared_set(&to->printed, fo_shared_number(&from->printed));
}

static void copy(struct fo_counts *to, const struct fo_counts *from)
{
    for (size_t i = 0; i < FO_KINDS_OF_FINDING; i++)
        copy_seen(&to->table[i], &from->table[i]);
    fo_shared_set(&to->has_findings, fo_shared_number(&from->has_findings));
}

/* What another thread counts at this moment may be missing in the shared counts, and be printed
 * again.  Without memory for them, each process has its own. */
void fo_report_before_fork(void)
{
    struct fo_counts *before = known_counts();

    if (before != NULL && before != &private_counts)
        return;
    struct fo_counts *shared = fo_apart_map(sizeof *shared, MAP_SHARED);
    if (shared == NULL)
        return;
    if (before != NULL)
        copy(shared, before);
    if (__atomic_compare_exchange_n(&fo_counts, &before, shared, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED))
        fo_output_share(&shared->unprinted);
    else /* another thread forks, or has found something */
        fo_apart_unmap(shared, sizeof *shared);
}

/* -------------------------------------------------------------------------------------------------
 */

enum {
#define FO_FINDING(KIND, id, free_text, realloc_text) COUNT_##KIND,
#include "report/findings.def"
#undef FO_FINDING
    COUNT
};
_Static_assert(COUNT < 128, "fo_seen_key");

static uint64_t key_of(const struct fo_record *r)
{
    uint64_t size = r->kind == FO_FINDING_LEAK ? r->size << 16 : 0; /* it tells objects apart */
    const uint64_t parts[] = {((uint64_t)r->kind << 2 | r->operation) ^ (uintptr_t)r->verb ^ size,
                              r->allocated.known ? r->allocated.site : 0,
                              r->first.known ? r->first.site ^ r->first.caller : 0,
                              r->now.site ^ r->now.caller};
    uint64_t key = 0;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        key = (key ^ parts[i]) * UINT64_C(0x9e3779b97f4a7c15) + (key >> 29);
    return fo_seen_key(key, r->kind);
}

/* Its row; FO_KINDS_OF_FINDING: the table is full. */
static size_t find(struct fo_counts *counts, uint64_t key)
{
    for (size_t i = 0; i < FO_KINDS_OF_FINDING; i++) {
        size_t row = ((key >> 40) + i) % FO_KINDS_OF_FINDING;
        uint64_t none = 0;
        if (fo_shared_replace(&counts->table[row].key, &none, key) || none == key)
            return row;
    }
    return FO_KINDS_OF_FINDING;
}

static bool is_power_of_ten(uint64_t n)
{
    while (n >= 10 && n % 10 == 0)
        n /= 10;
    return n == 1;
}

/* The report again, with how often it was seen. */
static void print_seen(const struct fo_record *record, uint64_t count)
{
    if (!fo_output_has_findings())
        return;
    char text[8192];
    struct fo_text t = FO_TEXT(text);

    fo_put(&t, "freeonce: seen ");
    fo_put_dec(&t, count);
    fo_put(&t, " times in all processes:\n");
    fo_record_text(&t, record);
    fo_output_finding(text, t.used, record, count);
}

static bool is_kept(const struct own *o)
{
    return __atomic_load_n(&o->kept, __ATOMIC_ACQUIRE) == KEPT;
}

/* One of the threads that see the finding keeps its record. */
static void keep(struct own *o, const struct fo_record *record)
{
    uint32_t not_yet = NOT_KEPT;

    if (!__atomic_compare_exchange_n(&o->kept, &not_yet, KEEPING, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return;
    o->record = *record;
    __atomic_store_n(&o->kept, KEPT, __ATOMIC_RELEASE);
}

/* The count with the finding as this process first saw it. */
static void print_count(const struct own *o, const struct fo_record *record, uint64_t count)
{
    print_seen(is_kept(o) ? &o->record : record, count);
}

typedef void output_function(const char *text, size_t length, const struct fo_record *record,
                             uint64_t count);

static void print(const struct fo_record *record, output_function *output)
{
    if (!fo_output_has_findings())
        return;
    char text[8192];
    struct fo_text t = FO_TEXT(text);

    fo_record_text(&t, record);
    output(text, t.used, record, 1);
}

/* The process that saw this finding first has not printed it yet.  It never will if it was killed:
 * when the finding was seen a few times, another process prints it. */
static void print_if_first_is_late(struct fo_seen *s, const struct own *o,
                                   const struct fo_record *record, uint64_t n)
{
    uint64_t none = 0;

    if (n >= 4 && fo_shared_replace(&s->printed, &none, n))
        print_count(o, record, n);
}

static void count_in_row(struct fo_seen *s, struct own *o, const struct fo_record *record,
                         uint64_t times)
{
    uint64_t n = fo_shared_add(&s->count, times) + times, none = 0;

    keep(o, record);
    if (n == times) {
        print(record, fo_output_finding);
        fo_shared_replace(&s->printed, &none, n);
    } else if (fo_shared_number(&s->printed) == 0) {
        print_if_first_is_late(s, o, record, n);
    } else if (is_power_of_ten(n)) {
        fo_shared_set(&s->printed, n);
        print_count(o, record, n);
    }
}

static void count(const struct fo_record *record, uint64_t times)
{
    struct fo_counts *counts = counts_to_change();
    uint32_t unseen = 0;

    fo_shared_set(&counts->has_findings, 1);
    size_t row = find(counts, key_of(record));
    fo_journal_finding(record, times, row < FO_KINDS_OF_FINDING ? &own[row].journal : &unseen);
    if (row < FO_KINDS_OF_FINDING)
        count_in_row(&counts->table[row], &own[row], record, times);
    else
        print(record, fo_output_finding_bounded);
}

void fo_report_at_end(const struct fo_record *record, uint64_t times)
{
    count(record, times);
}

bool fo_report_ends;

void fo_report(const struct fo_record *record)
{
    count(record, 1);
    if (fo_options.on_error.what == FO_ON_ERROR_EXIT)
        _exit(fo_options.on_error.status);
    if (fo_options.on_error.what == FO_ON_ERROR_ABORT) {
        FO_RELAXED_STORE(&fo_report_ends, true); /* relaxed: for this thread's SIGABRT */
        abort();
    }
}

/* The count of findings that this process has no record of: other processes have printed them. */
static void print_unknown(uint64_t times)
{
    if (times == 0 || !fo_output_has_findings())
        return;
    char line[120];
    struct fo_text t = FO_TEXT(line);

    fo_put(&t, "freeonce: findings of other processes were seen ");
    fo_put_dec(&t, times);
    fo_put(&t, times == 1 ? " more time\n" : " more times\n");
    fo_output_finding(line, t.used, NULL, times);
}

/* The first process of the tree prints every count.  Its descendants, which may be many, print only
 * a count that has grown fourfold since it was printed. */
static void print_grown_counts(struct fo_counts *counts)
{
    bool root = fo_row_parent(fo_process_self()->index) == 0;
    uint64_t unknown = 0;

    for (size_t i = 0; i < FO_KINDS_OF_FINDING; i++) {
        struct fo_seen *s = &counts->table[i];
        uint64_t n = fo_shared_number(&s->count), printed = fo_shared_number(&s->printed);
        bool known = is_kept(&own[i]), grown = known ? root || n / 4 >= printed : root;
        if (printed == 0 || n <= printed || !grown || !fo_shared_replace(&s->printed, &printed, n))
            continue;
        if (known)
            print_seen(&own[i].record, n);
        else
            unknown += n - printed;
    }
    print_unknown(unknown);
}

void fo_report_counts(void)
{
    struct fo_counts *counts = known_counts();

    if (counts != NULL && fo_shared_number(&counts->has_findings) != 0)
        print_grown_counts(counts);
    fo_output_unprinted();
}
