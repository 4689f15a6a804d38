/* For how long is the block of a stale free known?  A block is freed, OpenSSL allocates and frees
 * other blocks, and then its pointer is freed again: is the right block named?  Sizes are drawn as
 * a mutual TLS 1.3 handshake requests them (tests/bench, handshake --sizes). */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "block/hooks.h"
#include "block/quarantine.h"
#include "heap/region.h"
#include "fixture.h"

enum { LIVE = 2500, WARM_UP = 30000, TRIALS = 60, MOST_THREADS = 8 };

/* Of 1,000 blocks, `share` have a size up to this one and above the one before. */
static const struct {
    uint16_t size, share;
} mix[] = {{4, 250}, {16, 85},  {24, 176}, {32, 300}, {40, 55},  {48, 16}, {64, 10},
           {72, 34}, {112, 9},  {136, 13}, {176, 5},  {216, 31}, {400, 6}, {544, 1},
           {960, 3}, {1040, 1}, {3272, 3}, {4096, 1}, {16712, 1}};

static const size_t sizes[] = {16, 64, 384, 1072, 16384, 100000};

struct program {
    size_t size;    /* of the block that is freed twice */
    unsigned after; /* allocations between its two frees */
    uint64_t seed;
    void *live[LIVE];
    unsigned named, other, unknown;
};

static size_t draw(uint64_t *seed)
{
    unsigned drawn = (unsigned)(fixture_random(seed) % 1000), i = 0;

    while (i + 1 < sizeof mix / sizeof *mix && drawn >= mix[i].share)
        drawn -= mix[i++].share;
    return mix[i].size;
}

static bool at_one_pace; /* threads keep pace, as with a processor for each */
static pthread_barrier_t step;

static void allocate_mix(struct program *p, unsigned allocations)
{
    while (allocations-- != 0) {
        if (at_one_pace && allocations % 128 == 0)
            pthread_barrier_wait(&step);
        void **slot = &p->live[fixture_random(&p->seed) % LIVE];
        fo_free(*slot, "mix.c", 1);
        *slot = fo_malloc(draw(&p->seed), "mix.c", 2);
        assert_non_null(*slot);
    }
}

static bool is_from(fo_site site, const char *file)
{
    return site != 0 && fo_site_file(site) != NULL && strcmp(fo_site_file(site), file) == 0;
}

/* Is the free known, and what is known of it? */
static bool is_remembered(uintptr_t stale, struct fo_freed *freed)
{
    if (!fo_hot.direct) {
        const uint8_t *slot = fo_registry_slot(stale);
        return slot != NULL && __atomic_load_n(slot, __ATOMIC_ACQUIRE) != FO_SLOT_LIVE &&
               fo_quarantine_find(stale, freed) != FO_FORGOTTEN;
    }
    struct fo_at at = fo_region_at(stale);
    return at.state == FO_FOUND_FREED && at.payload == stale && fo_region_freed(&at, freed);
}

static void judge(struct program *p, uintptr_t stale)
{
    struct fo_freed freed = {0};

    if (!is_remembered(stale, &freed))
        p->unknown++;
    else if (is_from(freed.allocated, "victim.c") && is_from(freed.freed, "first.c"))
        p->named++;
    else
        p->other++;
}

static void *run(void *program)
{
    struct program *p = program;

    allocate_mix(p, WARM_UP);
    for (unsigned i = 0; i < TRIALS; i++) {
        void *stale = fo_malloc(p->size, "victim.c", 1);
        allocate_mix(p, 97);
        fo_free(stale, "first.c", 2);
        allocate_mix(p, p->after);
        judge(p, (uintptr_t)stale);
    }
    return NULL;
}

/* How many of the threads' trials were named. */
static unsigned run_in(unsigned threads, size_t size)
{
    static struct program programs[MOST_THREADS];
    pthread_t ids[MOST_THREADS];
    unsigned named = 0, other = 0, unknown = 0;

    assert_int_equal(pthread_barrier_init(&step, NULL, threads), 0);
    for (unsigned i = 0; i < threads; i++) {
        programs[i] = (struct program){.size = size, .after = 1000, .seed = i + 1};
        assert_int_equal(pthread_create(&ids[i], NULL, run, &programs[i]), 0);
    }
    for (unsigned i = 0; i < threads; i++) {
        assert_int_equal(pthread_join(ids[i], NULL), 0);
        named += programs[i].named;
        other += programs[i].other;
        unknown += programs[i].unknown;
    }
    print_message("%u threads, %zu bytes: %u named, %u by another free, %u not\n", threads, size,
                  named, other, unknown);
    return named;
}

static void check(unsigned named, unsigned trials)
{
    assert_in_range(named, trials * 95 / 100, trials);
}

/* The threads of one size end before those of the next begin, which adopt their caches.
 * ThreadSanitizer interrupts threads that hold a lock so often that blocks wait with other threads'
 * ones: there all sizes together are checked. */
static void all_sizes(unsigned threads)
{
    unsigned all = 0, count = sizeof sizes / sizeof *sizes;

    for (unsigned i = 0; i < count; i++) {
        unsigned named = run_in(threads, sizes[i]);
        if (!FIXTURE_TSAN)
            check(named, threads * TRIALS);
        all += named;
    }
    check(all, count * threads * TRIALS);
}

FRESH(a_thousand_allocations_later_a_free_is_known)
{
    fixture_start("BACKEND=arena", NULL);
    all_sizes(1);
}

FRESH(a_thousand_allocations_later_a_free_is_known_in_each_of_eight_threads)
{
    fixture_start("BACKEND=arena", NULL);
    all_sizes(MOST_THREADS);
}

FRESH(a_thousand_allocations_later_a_free_is_known_on_libc)
{
    fixture_start("BACKEND=libc", NULL);
    all_sizes(1);
}

FRESH(a_thousand_allocations_later_a_free_is_known_on_libc_in_each_of_eight_threads)
{
    at_one_pace = true;
    fixture_start("BACKEND=libc", NULL);
    all_sizes(MOST_THREADS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_allocations_later_a_free_is_known),
        cmocka_unit_test(a_thousand_allocations_later_a_free_is_known_in_each_of_eight_threads),
        cmocka_unit_test(a_thousand_allocations_later_a_free_is_known_on_libc),
        cmocka_unit_test(
            a_thousand_allocations_later_a_free_is_known_on_libc_in_each_of_eight_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
