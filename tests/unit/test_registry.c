/* Does the registry have an answer for every address, and does exactly one claim win? */
#include <pthread.h>
#include <string.h>

#include "base/hot.h"
#include "block/registry.h"
#include "fixture.h"

/* No memory is mapped there: the registry uses the number alone. */
#define PLACE     UINT64_C(0x123450000000)
#define LEAF_SPAN (UINT64_C(1) << FO_LEAF_SHIFT)
_Static_assert(PLACE % LEAF_SPAN == 0, "a leaf begins there");

static uint8_t *mark(uintptr_t p, uint8_t state)
{
    uint8_t *slot = fo_registry_slot_make(p);

    assert_non_null(slot);
    *slot = state;
    return slot;
}

FRESH(only_possible_payloads_have_slots)
{
    static const uintptr_t wrong[] = {UINT64_C(1) << FO_ADDRESS_BITS, UINT64_C(1) << 63,
                                      UINTPTR_MAX - 15, UINT64_C(0xdeadbeefdeadbee0)};

    fixture_start(NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_null(fo_registry_slot(wrong[i]));
        assert_null(fo_registry_slot_make(wrong[i]));
    }
    assert_non_null(fo_registry_slot_make(PLACE));
    for (uintptr_t p = PLACE + 1; p < PLACE + 16; p++) {
        assert_null(fo_registry_slot(p));
        assert_null(fo_registry_slot_make(p));
    }
}

FRESH(a_leaf_appears_when_it_is_made)
{
    static const uintptr_t places[] = {16, PLACE, (UINT64_C(1) << FO_ADDRESS_BITS) - 16};

    fixture_start(NULL);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        assert_null(fo_registry_slot(places[i]));
        uint8_t *slot = fo_registry_slot_make(places[i]);
        assert_non_null(slot);
        assert_int_equal(*slot, FO_SLOT_NONE);
        assert_ptr_equal(fo_registry_slot(places[i]), slot);
        assert_ptr_equal(fo_registry_slot_make(places[i]), slot);
    }
    assert_null(fo_registry_slot(PLACE + LEAF_SPAN));
    assert_null(fo_registry_slot(PLACE - 16));
}

/* A thread that looks for part 0 reads entry 0 without asking whose it is. */
FRESH(entry_0_is_left_to_part_0)
{
    const uintptr_t others[] = {UINT64_C(1) << 40, UINT64_C(2) << 40}; /* they would begin there */

    fixture_start(NULL);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        uint8_t *slot = fo_registry_slot_make(others[i]);
        assert_non_null(slot);
        assert_ptr_equal(fo_registry_slot(others[i]), slot);
        assert_null(fo_registry_slot(16));
        assert_int_equal(fo_hot.root->part[0], 0);
        assert_null(fo_hot.root->leaf[0]);
    }
    uint8_t *slot = fo_registry_slot_make(16);
    assert_non_null(slot);
    assert_ptr_equal(fo_registry_slot(16), slot);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_true(fo_registry_slot(others[i] + 16) != slot);
}

FRESH(every_payload_of_a_leaf_has_a_slot_of_its_own)
{
    fixture_start(NULL);
    uint8_t *first = fo_registry_slot_make(PLACE);
    for (uintptr_t offset = 0; offset < LEAF_SPAN; offset += 16)
        assert_true(fo_registry_slot(PLACE + offset) == first + offset / 16);
    assert_null(fo_registry_slot(PLACE + LEAF_SPAN));
}

FRESH(below_finds_the_nearest_at_or_under)
{
    fixture_start(NULL);
    assert_int_equal(fo_registry_below(PLACE + 1000), 0);
    mark(PLACE + 160, FO_SLOT_LIVE);
    mark(PLACE + 320, FO_SLOT_FREED);
    assert_int_equal(fo_registry_below(PLACE + 159), 0);
    assert_int_equal(fo_registry_below(PLACE + 160), PLACE + 160);
    assert_int_equal(fo_registry_below(PLACE + 161), PLACE + 160);
    assert_int_equal(fo_registry_below(PLACE + 319), PLACE + 160);
    assert_int_equal(fo_registry_below(PLACE + 335), PLACE + 320);
    mark(PLACE + 320, FO_SLOT_NONE);
    assert_int_equal(fo_registry_below(PLACE + 400), PLACE + 160);
}

FRESH(below_crosses_leaves)
{
    uintptr_t last = PLACE + LEAF_SPAN - 16, next = PLACE + LEAF_SPAN;

    fixture_start(NULL);
    mark(last, FO_SLOT_LIVE);
    assert_int_equal(fo_registry_below(next + 160), last); /* there is no leaf */
    fo_registry_slot_make(next);
    assert_int_equal(fo_registry_below(next + 160), last); /* an empty one */
    mark(next, FO_SLOT_LIVE);
    assert_int_equal(fo_registry_below(next + 160), next);
    assert_int_equal(fo_registry_below(next - 1), last);
}

/* A block of more than FO_NOTED_SIZE bytes. */
static void mark_large(uintptr_t p, size_t size)
{
    mark(p, FO_SLOT_LIVE);
    fo_registry_note(p, size);
}

FRESH(below_looks_back_so_far_and_no_further)
{
    fixture_start(NULL);
    mark(PLACE + 16, FO_SLOT_LIVE);
    assert_int_equal(fo_registry_below(PLACE + 16 + FO_NOTED_SIZE), PLACE + 16);
    assert_int_equal(fo_registry_below(PLACE + 32 + FO_NOTED_SIZE),
                     0); /* a block so large is noted */
    mark_large(PLACE + 16, FO_LOOK_BACK);
    assert_int_equal(fo_registry_below(PLACE + 32 + FO_NOTED_SIZE), PLACE + 16);
    assert_int_equal(fo_registry_below(PLACE + 16 + FO_LOOK_BACK), PLACE + 16);
    assert_int_equal(fo_registry_below(PLACE + 16 + FO_LOOK_BACK + 16), 0);
    assert_int_equal(fo_registry_below(PLACE + 17 * LEAF_SPAN), 0);
}

FRESH(below_finds_large_blocks_wherever_they_begin)
{
    static const uintptr_t places[] = {0,
                                       16,
                                       0xfff0,
                                       0x10000,
                                       0x3fffff0,
                                       0x400000,
                                       LEAF_SPAN - 16,
                                       LEAF_SPAN,
                                       3 * LEAF_SPAN + 0x123450};
    static const size_t sizes[] = {FO_NOTED_SIZE + 1, 0x10000, 0x12345, 1 << 20, 5 << 20, 33 << 20};

    fixture_start(NULL);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            uintptr_t p = PLACE + places[i], behind = (p + sizes[j] + 31) & ~(uintptr_t)15;
            mark_large(p, sizes[j]);
            mark_large(behind, FO_NOTED_SIZE + 1);
            for (size_t at = 0; at < sizes[j]; at += 0x3331)
                assert_int_equal(fo_registry_below(p + at), p);
            assert_int_equal(fo_registry_below(p + sizes[j] - 1), p);
            assert_int_equal(fo_registry_below(behind + FO_NOTED_SIZE), behind);
            mark(p, FO_SLOT_NONE);
            mark(behind, FO_SLOT_GONE);
        }
}

/* Each search removes some notes of freed blocks, until none is left. */
FRESH(below_does_not_look_at_what_is_gone_again)
{
    fixture_start(NULL);
    mark_large(PLACE + 32, 64);
    for (uintptr_t unit = 1; unit <= 64; unit++)
        mark_large(PLACE + (unit << FO_UNIT_SHIFT), FO_NOTED_SIZE + 1);
    for (uintptr_t unit = 1; unit <= 64; unit++)
        mark(PLACE + (unit << FO_UNIT_SHIFT), FO_SLOT_GONE);
    for (int i = 0; i < 64 / FO_LOOK_UNITS; i++)
        assert_int_equal(fo_registry_below(PLACE + (66 << FO_UNIT_SHIFT)), 0);
    assert_int_equal(fo_registry_below(PLACE + (66 << FO_UNIT_SHIFT)), PLACE + 32);
}

/* A new block covers the notes of freed ones. */
FRESH(below_finds_a_block_in_a_place_of_many_that_are_gone)
{
    fixture_start(NULL);
    for (uintptr_t unit = 1; unit <= 640; unit++)
        mark_large(PLACE + (unit << FO_UNIT_SHIFT), FO_NOTED_SIZE + 1);
    for (uintptr_t unit = 1; unit <= 640; unit++)
        mark(PLACE + (unit << FO_UNIT_SHIFT), FO_SLOT_GONE);
    mark_large(PLACE + 16, 640 << FO_UNIT_SHIFT);
    assert_int_equal(fo_registry_below(PLACE + (640 << FO_UNIT_SHIFT) + 15), PLACE + 16);
}

FRESH(below_ends_at_the_ends_of_the_address_space)
{
    fixture_start(NULL);
    assert_int_equal(fo_registry_below(0), 0);
    assert_int_equal(fo_registry_below(16), 0);
    assert_int_equal(fo_registry_below(UINTPTR_MAX), 0);
    assert_int_equal(fo_registry_below(UINT64_C(1) << FO_ADDRESS_BITS), 0);
    assert_int_equal(fo_registry_below((UINT64_C(1) << FO_ADDRESS_BITS) - 1), 0);
    mark(32, FO_SLOT_LIVE);
    assert_int_equal(fo_registry_below(40), 32);
    assert_int_equal(fo_registry_below(31), 0);
}

FRESH(a_claim_wins_only_from_the_state_it_names)
{
    fixture_start(NULL);
    uint8_t *slot = mark(PLACE + 160, FO_SLOT_LIVE);
    assert_false(fo_registry_claim(slot, FO_SLOT_FREED, FO_SLOT_LIVE));
    assert_int_equal(*slot, FO_SLOT_LIVE);
    assert_true(fo_registry_claim(slot, FO_SLOT_LIVE, FO_SLOT_FREED));
    assert_false(fo_registry_claim(slot, FO_SLOT_LIVE, FO_SLOT_FREED));
    assert_int_equal(*slot, FO_SLOT_FREED);
    assert_int_equal(slot[-1], FO_SLOT_NONE);
    assert_int_equal(slot[1], FO_SLOT_NONE);
}

enum { CLAIMERS = 4, CLAIMS = 5000 };
static pthread_barrier_t barrier;
static unsigned winners[CLAIMS];

static void *claim_each(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < CLAIMS; i++) {
        if (i % 250 == 0)
            pthread_barrier_wait(&barrier);
        if (fo_registry_claim(fo_registry_slot(PLACE + 16 * (uintptr_t)i), FO_SLOT_LIVE,
                              FO_SLOT_FREED))
            __atomic_add_fetch(&winners[i], 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

FRESH(of_many_threads_that_claim_exactly_one_wins)
{
    pthread_t threads[CLAIMERS];

    fixture_start(NULL);
    for (unsigned i = 0; i < CLAIMS; i++)
        mark(PLACE + 16 * (uintptr_t)i, FO_SLOT_LIVE);
    pthread_barrier_init(&barrier, NULL, CLAIMERS);
    for (int i = 0; i < CLAIMERS; i++)
        pthread_create(&threads[i], NULL, claim_each, NULL);
    for (int i = 0; i < CLAIMERS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < CLAIMS; i++)
        assert_int_equal(winners[i], 1);
}

static void *make_leaves(void *slots)
{
    pthread_barrier_wait(&barrier);
    for (uintptr_t i = 0; i < 64; i++)
        ((uint8_t **)slots)[i] = fo_registry_slot_make(PLACE + i * LEAF_SPAN);
    return NULL;
}

FRESH(of_many_threads_that_make_a_leaf_all_get_the_same)
{
    static uint8_t *slots[CLAIMERS][64];
    pthread_t threads[CLAIMERS];

    fixture_start(NULL);
    pthread_barrier_init(&barrier, NULL, CLAIMERS);
    for (int i = 0; i < CLAIMERS; i++)
        pthread_create(&threads[i], NULL, make_leaves, slots[i]);
    for (int i = 0; i < CLAIMERS; i++)
        pthread_join(threads[i], NULL);
    assert_non_null(slots[0][63]);
    for (int i = 1; i < CLAIMERS; i++)
        assert_memory_equal(slots[i], slots[0], sizeof slots[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_possible_payloads_have_slots),
        cmocka_unit_test(a_leaf_appears_when_it_is_made),
        cmocka_unit_test(entry_0_is_left_to_part_0),
        cmocka_unit_test(every_payload_of_a_leaf_has_a_slot_of_its_own),
        cmocka_unit_test(below_finds_the_nearest_at_or_under),
        cmocka_unit_test(below_crosses_leaves),
        cmocka_unit_test(below_looks_back_so_far_and_no_further),
        cmocka_unit_test(below_finds_large_blocks_wherever_they_begin),
        cmocka_unit_test(below_does_not_look_at_what_is_gone_again),
        cmocka_unit_test(below_finds_a_block_in_a_place_of_many_that_are_gone),
        cmocka_unit_test(below_ends_at_the_ends_of_the_address_space),
        cmocka_unit_test(a_claim_wins_only_from_the_state_it_names),
        cmocka_unit_test(of_many_threads_that_claim_exactly_one_wins),
        cmocka_unit_test(of_many_threads_that_make_a_leaf_all_get_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
