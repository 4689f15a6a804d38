/* Findings are many (4,650 at one shutdown of 11 processes): the same finding, of the same kind at
 * the same three places, is printed once and then counted, for all processes of the tree together.
 * The count is printed when it reaches a power of ten, and at exit. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/options.h"
#include "core/raw.h"
#include "fork/process.h"
#include "report/format.h"
#include "report/journal.h"
#include "report/output.h"
#include "report/record.h"

enum { KINDS_OF_FINDING_MAX = 1024 }; /* distinct ones; those beyond are printed each time */

enum kept { NOT_KEPT, KEEPING, KEPT };

/* A finding seen.  The key is a hash of what makes it the same; 0: free. */
struct seen {
    uint64_t key;
    uint64_t count, printed;
    uint32_t journal;        /* row of the finding there; 0: not yet */
    uint32_t kept;           /* enum kept: is the record there? */
    struct fo_record record; /* for the count that is told at exit */
};

/* Shared by all processes of the tree. */
static struct shared {
    struct fo_unprinted unprinted;
    uint32_t has_findings; /* else the table is all zero, and needs no memory to be looked at */
    struct seen table[KINDS_OF_FINDING_MAX];
} * shared;

void fo_record_freed(struct fo_record *r, const struct fo_freed *f)
{
    r->size = fo_word_size(f->word);
    r->allocated = (struct fo_place){
        true, f->allocated, fo_word_process(f->word), 0, 0, (uint32_t)(f->stacks >> 32)};
    r->first = (struct fo_place){
        true,      f->freed,           fo_who_process(f->who), fo_who_thread(f->who),
        f->caller, (uint32_t)f->stacks};
}

bool fo_report_start(void)
{
    void *p = fo_raw_map(sizeof *shared, MAP_SHARED | MAP_NORESERVE);
    if (p == MAP_FAILED)
        return false;
    shared = p;
    fo_output_share(&shared->unprinted);
    return true;
}

static uint64_t key_of(const struct fo_record *r)
{
    const uint64_t parts[] = {
        (uint64_t)r->kind << 2 | r->operation, r->allocated.known ? r->allocated.site : 0,
        r->first.known ? r->first.site ^ r->first.caller : 0, r->now.site ^ r->now.caller};
    uint64_t key = 0;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        key = (key ^ parts[i]) * UINT64_C(0x9e3779b97f4a7c15) + (key >> 29);
    return key | 1;
}

static struct seen *find(uint64_t key)
{
    for (size_t i = 0; i < KINDS_OF_FINDING_MAX; i++) {
        struct seen *s = &shared->table[((key >> 40) + i) % KINDS_OF_FINDING_MAX];
        uint64_t none = 0;
        if (__atomic_compare_exchange_n(&s->key, &none, key, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE) ||
            none == key)
            return s;
    }
    return NULL;
}

static bool is_power_of_ten(uint64_t n)
{
    while (n >= 10 && n % 10 == 0)
        n /= 10;
    return n == 1;
}

/* The report again in short: its places and how often it was seen. */
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
    fo_output_finding(text, t.used);
}

static bool is_kept(const struct seen *s)
{
    return __atomic_load_n(&s->kept, __ATOMIC_ACQUIRE) == KEPT;
}

/* One of those who see it writes it down.  If that one is killed meanwhile, exit tells no count. */
static void keep(struct seen *s, const struct fo_record *record)
{
    uint32_t not_yet = NOT_KEPT;

    if (!__atomic_compare_exchange_n(&s->kept, &not_yet, KEEPING, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return;
    s->record = *record;
    __atomic_store_n(&s->kept, KEPT, __ATOMIC_RELEASE);
}

/* The count with the finding as it was first printed, or with this one. */
static void print_count(const struct seen *s, const struct fo_record *record, uint64_t count)
{
    print_seen(is_kept(s) ? &s->record : record, count);
}

static void print(const struct fo_record *record)
{
    if (!fo_output_has_findings())
        return;
    char text[8192];
    struct fo_text t = FO_TEXT(text);

    fo_record_text(&t, record);
    fo_output_finding(text, t.used);
}

/* Whoever saw this finding first has not printed it yet.  It may never do so, if it was killed:
 * once it has come up a few times, somebody else does. */
static void first_printer_is_slow(struct seen *s, const struct fo_record *record, uint64_t n)
{
    uint64_t none = 0;

    if (n < 4 || !__atomic_compare_exchange_n(&s->printed, &none, n, false, __ATOMIC_ACQ_REL,
                                              __ATOMIC_RELAXED))
        return;
    keep(s, record);
    print_count(s, record, n);
}

static void count(const struct fo_record *record)
{
    __atomic_store_n(&shared->has_findings, 1, __ATOMIC_RELEASE);
    struct seen *s = find(key_of(record));
    uint32_t unseen = 0;

    fo_journal_finding(record, s != NULL ? &s->journal : &unseen);
    if (s == NULL) {
        print(record);
        return;
    }
    uint64_t n = __atomic_add_fetch(&s->count, 1, __ATOMIC_ACQ_REL);
    if (n == 1) {
        keep(s, record);
        print(record);
        uint64_t none = 0;
        __atomic_compare_exchange_n(&s->printed, &none, 1, false, __ATOMIC_RELEASE,
                                    __ATOMIC_RELAXED);
    } else if (__atomic_load_n(&s->printed, __ATOMIC_ACQUIRE) == 0) {
        first_printer_is_slow(s, record, n);
    } else if (is_power_of_ten(n)) {
        __atomic_store_n(&s->printed, n, __ATOMIC_RELEASE);
        print_count(s, record, n);
    }
}

void fo_report(const struct fo_record *record)
{
    count(record);
    if (fo_options.on_error.what == FO_ON_ERROR_EXIT)
        _exit(fo_options.on_error.status);
    if (fo_options.on_error.what == FO_ON_ERROR_ABORT)
        abort();
}

/* The process that the tree descends from tells every count; one of its children, which may be
 * many, only what has grown fourfold since it was told. */
static void print_grown_counts(void)
{
    const struct fo_process *me = fo_process_self();
    bool root = fo_hot.memory->processes[me->index].parent == 0;

    for (size_t i = 0; i < KINDS_OF_FINDING_MAX; i++) {
        struct seen *s = &shared->table[i];
        uint64_t n = FO_RELAXED_LOAD(&s->count);
        uint64_t printed = __atomic_load_n(&s->printed, __ATOMIC_ACQUIRE);
        if (is_kept(s) && printed != 0 && n > printed && (root || n / 4 >= printed) &&
            __atomic_compare_exchange_n(&s->printed, &printed, n, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED))
            print_seen(&s->record, n);
    }
}

void fo_report_counts(void)
{
    if (shared == NULL)
        return;
    if (__atomic_load_n(&shared->has_findings, __ATOMIC_ACQUIRE) != 0)
        print_grown_counts();
    fo_output_unprinted();
}
