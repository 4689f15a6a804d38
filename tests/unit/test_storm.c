/* Eight threads, a million random operations each, among them planted double frees of the kinds
 * that programs and servers have: is every planted one reported, and nothing else?
 *
 * The library can report a double free for certain only while the block is in the quarantine.  In
 * this test only the frees of its own thread can evict a block:
 * - Each of the threads has a shard of its own (8 of 16), chosen before the storm begins. A thread
 *   tries the lock of another shard only if its own is held, which never happens here.
 * - Blocks of a class serve again in the order in which they were freed, and only while more than
 *   KEPT of the class wait: of 32M, each class has 16 KiB in each of eight threads, which is 16
 *   blocks of the largest. So a block stays until its thread has freed 16 others.
 * - Larger blocks leave in the order in which they were freed, after megabytes of others.
 * - Classes give blocks back to libc only above the limit. Reuse starts at half of the limit, and
 *   from then on a thread that allocates as much as it frees adds nothing. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/hooks.h"
#include "block/quarantine.h"
#include "block/verdict.h"
#include "fixture.h"

enum { SMALL = FIXTURE_TSAN || FIXTURE_ASAN };
enum { THREADS = 8, OPERATIONS = SMALL ? 20000 : 1000000, PLANT_EVERY = SMALL ? 50 : 2000 };
enum { OWN = 64, SHARED = 64, PARTS = 3, FREES_MAX = 1 + PARTS };
#define QUARANTINE "QUARANTINE=32M"

/* The operations of a thread between the two frees of a delayed block. */
enum { LATER = 3, KEPT = 16 };
_Static_assert(LATER *FREES_MAX < KEPT, "the block still waits then");
_Static_assert((int)THREADS < (int)FO_SHARDS, "each thread has a shard of its own");

/* The ways to free twice. Each reports at a place, or as a type, that is its own. */
enum plant { TWICE, REALLOC, MOVED, GIVEN, HANDED, DELAYED, OBJECT, REFERENCE, PLANTS };
static const char *const marks[PLANTS] = {
    "twice.c:1 ",  "realloc.c:1 ", "moved.c:1 ",       "given.c:1 ",
    "handed.c:1 ", "delayed.c:1 ", "free of SSL_CTX ", "reference to freed SSL_SESSION ",
};
static unsigned planted[PLANTS];

/* A freed block on its way to the thread that frees it again; its sender waits. */
struct letter {
    void *block;
    bool answered;
};

static struct letter *mailbox[THREADS];
static size_t *exchange[SHARED]; /* live blocks on their way from one thread to another */
static unsigned finished;
static pthread_barrier_t begin;

struct worker {
    unsigned number;
    uint64_t seed;
    size_t *own[OWN];
    void *delayed; /* freed, and freed again after `left` operations */
    unsigned left;
};

static unsigned choose(struct worker *w, unsigned n)
{
    return (unsigned)(fixture_random(&w->seed) >> 32) % n;
}

/* The first word of a block is its size, and its last byte depends on it: no other block overlaps.
 */
static size_t *stamp(size_t *p, size_t size)
{
    assert_non_null(p);
    *p = size;
    ((unsigned char *)p)[size - 1] = (unsigned char)(size | 1);
    return p;
}

static void check(const size_t *p)
{
    assert_in_range(*p, 16, 1 << 13);
    assert_int_equal(((const unsigned char *)p)[*p - 1], (unsigned char)(*p | 1));
}

static size_t *new_block(struct worker *w)
{
    size_t size = 16 + choose(w, choose(w, 64) == 0 ? 8000 : 500);

    return stamp(fo_malloc(size, "new.c", 1), size);
}

static void free_block(size_t *p)
{
    if (p == NULL)
        return;
    check(p);
    fo_free(p, "free.c", 1);
}

/* --- healthy operations ---------------------------------------------------------------------- */

static void replace(struct worker *w)
{
    size_t **slot = &w->own[choose(w, OWN)];

    free_block(*slot);
    *slot = new_block(w);
}

static void move(struct worker *w)
{
    size_t **slot = &w->own[choose(w, OWN)], size = 16 + choose(w, 500);

    if (*slot == NULL)
        return;
    check(*slot);
    *slot = stamp(fo_realloc(*slot, size, "move.c", 1), size);
}

/* Frees what another thread allocated. */
static void swap(struct worker *w)
{
    free_block(__atomic_exchange_n(&exchange[choose(w, SHARED)], new_block(w), __ATOMIC_ACQ_REL));
}

static bool is_freed(void *p, enum fo_operation operation)
{
    bool reference = operation == FO_OPERATION_REFERENCE;

    return fo_freed_object((uintptr_t)p, reference ? "SSL_SESSION" : "SSL_CTX", operation, true);
}

/* The calls that X_new(), X_up_ref() and X_free() make. */
static void live_object(struct worker *w)
{
    size_t *parts[PARTS], *object = new_block(w);

    for (int i = 0; i < PARTS; i++)
        parts[i] = new_block(w);
    assert_false(is_freed(object, FO_OPERATION_REFERENCE));
    assert_false(is_freed(object, FO_OPERATION_FREE));
    for (int i = 0; i < PARTS; i++)
        free_block(parts[i]);
    free_block(object);
}

/* --- planted double frees -------------------------------------------------------------------- */

/* Free again what other threads have freed and sent. Such a free is refused, so it evicts no block
 * of this thread, even while this one waits for an answer. */
static void answer_mail(struct worker *w)
{
    struct letter *letter = __atomic_load_n(&mailbox[w->number], __ATOMIC_ACQUIRE);

    if (letter == NULL)
        return;
    fo_free(letter->block, "handed.c", 1);
    __atomic_store_n(&mailbox[w->number], NULL, __ATOMIC_RELEASE);
    __atomic_store_n(&letter->answered, true, __ATOMIC_RELEASE);
}

/* Certain: its thread frees nothing until the other one has freed the block again. */
static void hand_over(struct worker *w, void *block)
{
    struct letter letter = {block, false}, *none = NULL;
    unsigned to = (w->number + 1 + choose(w, THREADS - 1)) % THREADS;

    while (!__atomic_compare_exchange_n(&mailbox[to], &none, &letter, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
        none = NULL;
        answer_mail(w);
        sched_yield();
    }
    while (!__atomic_load_n(&letter.answered, __ATOMIC_ACQUIRE)) {
        answer_mail(w);
        sched_yield();
    }
}

/* Certain: freed again at once, after a free by a thread that did not allocate it. */
static bool free_given_twice(struct worker *w)
{
    size_t *p = __atomic_exchange_n(&exchange[choose(w, SHARED)], NULL, __ATOMIC_ACQ_REL);

    if (p == NULL)
        return false;
    free_block(p);
    fo_free(p, "given.c", 1);
    return true;
}

/* Certain: the realloc freed the old address, and it is freed again at once. */
static void free_moved(struct worker *w, size_t *p)
{
    size_t *now = fo_realloc(p, 16 + choose(w, 500), "move.c", 1);

    assert_non_null(now);
    fo_free(p, "moved.c", 1);
    fo_free(now, "free.c", 1);
}

/* Certain: in so few operations too few blocks are freed to evict it (see LATER). */
static void free_delayed(struct worker *w)
{
    if (w->delayed == NULL || --w->left != 0)
        return;
    fo_free(w->delayed, "delayed.c", 1);
    w->delayed = NULL;
}

/* Certain, like all that follows: freed again at once by the same thread. */
static void free_again(struct worker *w, enum plant plant, size_t *p)
{
    free_block(p);
    if (plant == TWICE)
        fo_free(p, "twice.c", 1);
    else if (plant == REALLOC)
        assert_null(fo_realloc(p, 16 + choose(w, 500), "realloc.c", 1));
    else if (plant == HANDED)
        hand_over(w, p);
    else if (plant == OBJECT)
        assert_true(is_freed(p, FO_OPERATION_FREE));
    else if (plant == REFERENCE)
        assert_true(is_freed(p, FO_OPERATION_REFERENCE));
    else {
        w->delayed = p;
        w->left = LATER;
    }
}

static void plant_one(struct worker *w)
{
    enum plant plant = choose(w, PLANTS);

    if (plant == GIVEN) {
        if (!free_given_twice(w))
            return;
    } else if (plant == MOVED) {
        free_moved(w, new_block(w));
    } else {
        free_again(w, plant, new_block(w));
    }
    __atomic_add_fetch(&planted[plant], 1, __ATOMIC_RELAXED);
}

/* --- the storm ------------------------------------------------------------------------------- */

static void operate(struct worker *w)
{
    static void (*const operations[])(struct worker *) = {replace, replace, move, swap,
                                                          live_object};

    operations[choose(w, 5)](w);
    answer_mail(w);
    free_delayed(w);
}

static void *work(void *argument)
{
    struct worker *w = argument;

    free_block(new_block(w)); /* chooses the shard */
    pthread_barrier_wait(&begin);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        operate(w);
        if (i % PLANT_EVERY == 0 && w->delayed == NULL)
            plant_one(w);
    }
    while (w->delayed != NULL)
        free_delayed(w);
    __atomic_add_fetch(&finished, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) < THREADS) {
        answer_mail(w);
        sched_yield();
    }
    for (int i = 0; i < OWN; i++)
        free_block(w->own[i]);
    return NULL;
}

static void storm(void)
{
    static struct worker workers[THREADS];
    pthread_t threads[THREADS];

    pthread_barrier_init(&begin, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.number = i, .seed = i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < SHARED; i++)
        free_block(exchange[i]);
}

/* How often was a finding with this mark and this site of allocation seen?  The last count of a
 * finding is the highest; a finding that was seen once has no count. Adds the number of records. */
static unsigned long seen(const char *mark, const char *allocated, unsigned *records)
{
    unsigned long most = 0, count = 0;

    for (const char *at = fixture_log(), *end; *at != '\0'; at = end) {
        end = strstr(at + 1, "freeonce: ");
        end = end != NULL ? end : at + strlen(at);
        if (sscanf(at, "freeonce: seen %lu times", &count) == 1)
            continue;
        const char *here = strstr(at, mark), *born = strstr(at, allocated);
        if (here != NULL && here < end && born != NULL && born < end) {
            count = count > 0 ? count : 1;
            most = count > most ? count : most;
            ++*records;
        }
        count = 0;
    }
    return most;
}

FRESH(every_planted_double_free_is_reported_and_nothing_else)
{
    unsigned records = 0;

    fixture_start("BACKEND=libc", QUARANTINE, NULL);
    storm();
    fo_report_counts();
    for (int i = 0; i < PLANTS; i++) {
        unsigned long reported = seen(marks[i], " new.c:1 ", &records);
        if (i == GIVEN)
            reported += seen(marks[i], " move.c:1 ", &records);
        if (reported != planted[i])
            print_error("%s planted %u, reported %lu\n", marks[i], planted[i], reported);
        assert_int_equal(reported, planted[i]);
        assert_true(planted[i] > 0);
    }
    assert_int_equal(fixture_count("freeonce: ") - fixture_count("freeonce: seen "), records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_planted_double_free_is_reported_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
