/* Does the place alone decide what is a block, and not the content of memory?  Tests the decision
 * of the fast path: for each address of the heap, and for headers forged with each value of the
 * check bits.
 *
 *   test_ground [DECISIONS]     for so many forged headers; default 4 million, a nightly run 10^9
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "block/fast.h"
#include "heap/region.h"
#include "fixture.h"
#include "whole_heap.h"

enum { VALUES = 1 << 16, BLOCKS = 4000 };

static uint64_t wanted = 4 << 20;

static bool is_taken_by_fast_path(uintptr_t p)
{
    const struct fo_direct *d = fo_direct_of(fo_hot.process);
    uintptr_t distance = fo_direct_distance(d, p);
    uint64_t word;

    return fo_layout.shared
               ? distance < d->shared_limit &&
                     fo_live_fast(d, (void *)p, distance, &word, true) != NULL
               : distance < d->limit && fo_live_fast(d, (void *)p, distance, &word, false) != NULL;
}

static bool is_taken_by_slow_path(uintptr_t p)
{
    struct fo_at at = fo_region_at(p);

    return at.payload == p && at.state == FO_FOUND_LIVE;
}

static void one_multiplication_tells_slots_from_other_offsets_in_each_class(void **state)
{
    (void)state;
    for (unsigned class = 0; class < FO_REGION_CLASSES; class ++) {
        uint32_t size = fo_class_slot(class), slots = FO_PAGE_SIZE / size;
        const uint32_t counts[] = {0, 1, 2, slots / 2, slots - 1, slots};
        struct fo_ground grounds[1] = {{0, 0, 0}};
        const struct fo_direct d = {.grounds = grounds};
        const struct fo_bin bin = {.reciprocal = fo_reciprocal(size)};
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            grounds[0].handed = fo_handed(size, counts[i]);
            for (uintptr_t at = 0; at < FO_PAGE_SIZE; at++) {
                struct fo_spot spot = fo_spot_at(&d, at);
                if (fo_spot_is_slot(&spot, &bin) != (at % size == 0 && at / size < counts[i]))
                    fail_msg("class %u, %u slots, offset %zu", class, counts[i], (size_t)at);
            }
        }
    }
}

/* --- a heap with blocks of all sizes, some freed -------------------------------------------------
 */

static void *blocks[BLOCKS];
static uint8_t *begins; /* by address; 1: a live block begins there */

static void allocate(const char *backend)
{
    uint64_t seed = 7;

    fixture_start(backend, NULL);
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = 1 + fixture_random(&seed) % (i % 4 == 0 ? 8192 : 200);
        blocks[i] = fo_malloc(size, "a.c", 1);
        assert_non_null(blocks[i]);
        memset(blocks[i], 0x5a, size);
    }
    for (int i = 0; i < BLOCKS; i += 3) {
        fo_free(blocks[i], "f.c", 1);
        blocks[i] = NULL;
    }
    begins = calloc(1, fo_region_committed());
    assert_non_null(begins);
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i] != NULL)
            begins[(uintptr_t)blocks[i] - fo_layout.base] = 1;
}

static void step_through_all(const char *backend)
{
    allocate(backend);
    for (uint64_t at = FO_PAGE_SIZE; at < fo_region_committed(); at++) {
        uintptr_t p = fo_layout.base + at;
        if (is_taken_by_fast_path(p) != begins[at] || is_taken_by_slow_path(p) != begins[at])
            fail_msg("%#zx is %s block", (size_t)at, begins[at] != 0 ? "a" : "no");
    }
}

FRESH(of_all_addresses_those_of_live_blocks_are_taken)
{
    step_through_all("BACKEND=arena");
}

FRESH(of_all_addresses_those_of_live_blocks_are_taken_in_shared_memory)
{
    step_through_all("BACKEND=shm");
}

/* No block begins at p.  A header is forged there, as a copy of one of a live block. */
static void forge(uintptr_t p, const struct fo_header *like)
{
    struct fo_header *h = fo_header_of(p), saved = *h;

    h->site = like->site;
    for (uint64_t check = 0; check < VALUES; check++) {
        FO_RELAXED_STORE(&h->word, (like->word & FO_REGION_META) | check);
        if (is_taken_by_fast_path(p) || (check % 16 == 0 && is_taken_by_slow_path(p)))
            fail_msg("%p is taken for a block, with check bits %#zx", (void *)p, (size_t)check);
    }
    /* The value that fits. */
    h->word = like->word & FO_REGION_META;
    h->word |= fo_region_check(fo_layout.key, p, h->site, h->word);
    if (is_taken_by_fast_path(p) || is_taken_by_slow_path(p))
        fail_msg("%p is taken for a block, with check bits that fit", (void *)p);
    *h = saved;
}

/* An address inside, behind or in front of blocks; mostly aligned, as an attacker's guess is. */
static uintptr_t draw(uint64_t *seed)
{
    for (;;) {
        uint64_t number = fixture_random(seed), page = 1 + number % (fo_region->pages - 1);
        uintptr_t at = (page << FO_PAGE_SHIFT) + (number >> 32) % FO_PAGE_SIZE;
        at &= ~(uintptr_t)(number % 8 == 0 ? 7 : 15);
        uintptr_t p = fo_layout.base + at;
        struct fo_at is = fo_region_at(p);
        if (is.payload != p && begins[at] == 0 && at % FO_PAGE_SIZE >= 16)
            return p;
    }
}

static void forge_many(const char *backend)
{
    uint64_t seed = 3, decisions = 0;

    allocate(backend);
    for (; decisions < wanted; decisions += VALUES)
        forge(draw(&seed),
              fo_header_of((uintptr_t)blocks[1 + decisions / VALUES % (BLOCKS / 3) * 3]));
    print_message("%zu decisions\n", (size_t)decisions);
}

FRESH(no_forged_header_is_taken_for_a_block)
{
    forge_many("BACKEND=arena");
}

FRESH(no_forged_header_is_taken_for_a_block_in_shared_memory)
{
    forge_many("BACKEND=shm");
}

/* Slots behind those that were handed out: blocks may begin there later. */
FRESH(no_forged_header_is_taken_where_no_slot_was_handed_out)
{
    allocate("BACKEND=arena");
    for (int i = 1; i < 40; i += 3) {
        uint32_t number = fo_page_number((uintptr_t)blocks[i]);
        const struct fo_page *pg = fo_page_at(number);
        uint32_t size = fo_class_slot(pg->class), slots = FO_PAGE_SIZE / size;
        for (uint32_t slot = pg->used; slot < slots && slot < pg->used + 3; slot++)
            forge(fo_page_start(number) + (uintptr_t)slot * size + sizeof(struct fo_header),
                  fo_header_of((uintptr_t)blocks[i]));
    }
    walk();
}

/* Slots that a thread has, and in which no block was yet, have a header of zeros: its check bits
 * fit for one address in 65,536. */
FRESH(no_slot_is_taken_for_a_block_before_its_first_one)
{
    enum { COUNT = 600000 };
    unsigned tried = 0;

    fixture_start("BACKEND=arena", NULL);
    for (int i = 0; i < COUNT; i++) {
        assert_non_null(fo_malloc(16, "a.c", 1));
        uintptr_t next = fo_thread.cache->bins[0].take->payload;
        if (next != 0 && is_taken_by_fast_path(next))
            fail_msg("%p is taken for a block", (void *)next);
        tried += next != 0;
    }
    assert_true(tried > COUNT / 2);
}

/* Shared with the child process. */
static uint64_t *key_of_child;

static void store_key(void)
{
    fixture_start("BACKEND=arena", NULL);
    assert_non_null(fo_malloc(16, "a.c", 1));
    *key_of_child = fo_layout.key;
}

/* The kernel gives a process random bytes at its start; its children inherit them. */
static void the_key_is_not_made_of_the_random_bytes_of_the_kernel(void **state)
{
    (void)state;
    key_of_child = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(key_of_child, MAP_FAILED);
    fixture_in_child(store_key);
    uint64_t first = *key_of_child;
    fixture_in_child(store_key);
    assert_int_not_equal(first, *key_of_child);
    munmap(key_of_child, 4096);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_multiplication_tells_slots_from_other_offsets_in_each_class),
        cmocka_unit_test(of_all_addresses_those_of_live_blocks_are_taken),
        cmocka_unit_test(of_all_addresses_those_of_live_blocks_are_taken_in_shared_memory),
        cmocka_unit_test(no_forged_header_is_taken_for_a_block),
        cmocka_unit_test(no_forged_header_is_taken_for_a_block_in_shared_memory),
        cmocka_unit_test(no_forged_header_is_taken_where_no_slot_was_handed_out),
        cmocka_unit_test(no_slot_is_taken_for_a_block_before_its_first_one),
        cmocka_unit_test(the_key_is_not_made_of_the_random_bytes_of_the_kernel),
    };

    if (argc > 1)
        wanted = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
