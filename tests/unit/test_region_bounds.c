/* Backend shm: other processes can write the heap's records of its pages and magazines.  Does a
 * process survive any number in them, without a crash, an endless loop or a change of memory
 * outside the heap? */
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>

#include "heap/direct.h"
#include "heap/magazine.h"
#include "shared_heap.h"

static const uint64_t numbers[] = {1,
                                   2,
                                   57,
                                   255,
                                   4095,
                                   4096,
                                   65535,
                                   1u << 20,
                                   (1u << 20) - 1,
                                   1u << 21,
                                   INT32_MAX,
                                   UINT32_MAX,
                                   UINT64_MAX,
                                   UINT64_MAX / 3,
                                   UINT64_C(0x00fffff000000005)};

enum { KEPT = 600, PRIVATE = 1 << 16 };
static void *kept[KEPT];
static char private_memory[PRIVATE];

static size_t size_of(unsigned i)
{
    static const size_t large[] = {9000, 16000, 16712, 40000, 70000, 100000, 300000};

    return i % 8 == 0 ? large[i / 8 % (sizeof large / sizeof *large)] : 1 + i * 37 % 5000;
}

static void allocate(void)
{
    for (unsigned i = 0; i < KEPT; i++)
        kept[i] = fo_malloc(size_of(i), "new.c", 1);
}

static void free_some(unsigned every)
{
    for (unsigned i = 0; i < KEPT; i += every) {
        fo_free(kept[i], "free.c", 1);
        kept[i] = NULL;
    }
}

/* No list or ring is empty, and some pages have no block. */
static void begin(void)
{
    memset(private_memory, 0x5a, sizeof private_memory);
    fixture_start("BACKEND=shm", "SHM_SIZE=32M", NULL); /* fewer pages than an upper word has */
    for (int i = 0; i < 3; i++) {
        allocate();
        free_some(i == 2 ? 2 : 1);
    }
}

static void use_heap(void)
{
    for (int i = 0; i < 4; i++) {
        allocate();
        free_some(1);
        fo_cache_drain();
        fo_caches_reclaim();
        fo_region_make_room();
    }
    for (unsigned i = 0; i < KEPT; i++)
        fo_region_at(fo_layout.base + i * UINT64_C(12345));
    for (unsigned i = 0; i < PRIVATE; i++)
        assert_int_equal(private_memory[i], 0x5a);
}

/* --- the numbers' places -------------------------------------------------------------------------
 */

static void plant(uint32_t *at, size_t count, uint64_t number)
{
    for (size_t i = 0; i < count; i++)
        at[i] = (uint32_t)number;
}

static void rings(uint64_t number)
{
    plant(&fo_region->warm[0][0], (size_t)FO_WARM_SIZES * FO_WARM, number);
    plant(fo_region->resting, FO_RESTING, number);
}

static void idle_pages(uint64_t number)
{
    plant(fo_region->idle, FO_IDLE, number);
    for (uint32_t page = 1; page < fo_layout.page_count; page++)
        fo_page_at(page)->idle = (uint32_t)number;
}

static void classes(uint64_t number)
{
    for (uint32_t page = 1; page < fo_layout.page_count; page++)
        fo_page_at(page)->class = (uint16_t)number;
}

static void used(uint64_t number)
{
    for (uint32_t page = 1; page < fo_layout.page_count; page++)
        fo_page_at(page)->used = (uint32_t)number;
}

static void sizes(uint64_t number)
{
    for (uint32_t page = 1; page < fo_layout.page_count; page++)
        fo_page_at(page)->word = number;
}

/* Each page keeps its state, and gets another length or place in its run. */
static void runs(uint64_t number)
{
    for (uint32_t page = 1; page < fo_pages_in_use(); page++) {
        uint64_t what = fo_page_at(page)->what, pages = number & ((1 << 20) - 1);
        fo_page_at(page)->what =
            (what & ~(UINT64_C(0xfffff) << FO_PAGE_RUN_SHIFT)) | pages << FO_PAGE_RUN_SHIFT;
    }
}

static void halves(uint64_t number)
{
    for (uint32_t page = 1; page < fo_pages_in_use(); page++)
        fo_page_at(page)->what =
            number << FO_PAGE_RUN_SHIFT | (page % 2 == 0 ? FO_PAGE_HALVING : FO_PAGE_MAKING);
}

static void bitmaps(uint64_t number)
{
    for (uint32_t page = 1; page < fo_layout.page_count; page++)
        for (unsigned i = 0; i < FO_BITMAP_WORDS; i++)
            fo_bitmap_of(page)[i] |= number;
}

static void sets(uint64_t number)
{
    for (size_t i = 0; i < fo_layout_above_size(fo_layout.page_count) / sizeof(uint64_t); i++)
        fo_layout.above[i] = number;
    for (uint32_t page = 0; page < fo_layout.page_count; page += FO_GROUP_PAGES) {
        struct fo_page_group *g = (struct fo_page_group *)fo_layout.pages[page / FO_GROUP_PAGES];
        memset(g->sets, (int)number, sizeof g->sets);
    }
    for (uint32_t n = 0; n < fo_layout.magazine_count; n += FO_GROUP_MAGAZINES) {
        struct fo_magazine_group *g =
            (struct fo_magazine_group *)fo_layout.magazines[n / FO_GROUP_MAGAZINES];
        memset(g->sets, (int)number, sizeof g->sets);
    }
}

static void counts(uint64_t number)
{
    fo_region->pages = fo_region->magazines = (uint32_t)number;
    fo_region->caches = fo_region->lent = (uint32_t)number;
    plant(fo_region->ready_most, FO_REGION_CLASSES, number);
}

/* The committed size, and the place of a hole in it.  No process has read them yet. */
static void limits(uint64_t number)
{
    fo_region->committed = fo_region->hole = number;
    fo_region_update_limit(fo_direct_of(fo_hot.process));
}

static void magazines(uint64_t number)
{
    for (uint32_t n = FO_FIRST_MAGAZINE; n < fo_layout.magazine_count; n++) {
        fo_magazine_at(n)->what = (uint32_t)number;
        fo_magazine_at(n)->next = (uint32_t)number;
    }
}

static void lists(uint64_t number)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        struct fo_bin *bin = &fo_thread.cache->bins[c];
        bin->first = bin->last = bin->ready = bin->spare = bin->page = (uint32_t)number;
        bin->queued = bin->readied = bin->grown = (uint32_t)number;
        bin->spares = (uint16_t)number;
    }
}

/* Each magazine is its own successor. */
static void circles(uint64_t number)
{
    for (uint32_t n = FO_FIRST_MAGAZINE; n < fo_layout.magazine_count; n++)
        fo_magazine_at(n)->next = n;
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++)
        fo_thread.cache->bins[c].queued = fo_thread.cache->bins[c].readied = (uint32_t)number;
}

/* Addresses where no cell is: in private memory, in the heap's head, at the heap's end. */
static struct fo_cell *place_of(unsigned i, uint64_t number)
{
    const uintptr_t places[] = {(uintptr_t)private_memory + 64,
                                (uintptr_t)fo_region,
                                number,
                                (uintptr_t)fo_region + fo_layout.size - 8,
                                (uintptr_t)fo_layout.ground,
                                (uintptr_t)fo_no_cells() + 1};

    return (struct fo_cell *)places[i % (sizeof places / sizeof *places)];
}

static void takes(uint64_t number)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++)
        fo_thread.cache->bins[c].take = place_of(c, number);
}

static void puts_of_bins(uint64_t number)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++)
        fo_thread.cache->bins[c].put = place_of(c, number);
}

/* What frees read of a page, and of a bin. */
static void grounds(uint64_t number)
{
    for (uint32_t page = 0; page < fo_layout.page_count; page++) {
        fo_layout.ground[page].bin =
            (uint16_t)(page % 3 == 0 ? number /* or a bin that a cache does not have */
                                     : (FO_REGION_CLASSES + number % 900) * sizeof(struct fo_bin));
        if (page % 2 == 0)
            fo_layout.ground[page].handed = (uint32_t)number;
    }
    for (unsigned c = 0; c < FO_REGION_CLASSES; c += 2)
        fo_thread.cache->bins[c].reciprocal = (uint32_t)number;
}

static void plant_payloads(uint64_t number)
{
    const uintptr_t places[] = {(uintptr_t)private_memory + 64, (uintptr_t)fo_region, number,
                                fo_layout.base + FO_PAGE_SIZE + 8, (uintptr_t)kept[1] + 16};

    for (uint32_t n = FO_FIRST_MAGAZINE; n < fo_layout.magazine_count; n++) {
        struct fo_cell *end = fo_end_cell(fo_magazine_at(n));
        for (uint32_t i = 1; i <= fo_magazine_cells(n); i++)
            if (end[-(int)i].payload != 0)
                end[-(int)i].payload = places[i % (sizeof places / sizeof *places)];
    }
}

/* The payloads in cells point into private memory, into the heap's head, inside a slot. */
static void payloads(uint64_t number)
{
    plant_payloads(number);
    fo_cache_drain();
}

/* The same, and an allocation takes them first. */
static void next_payloads(uint64_t number)
{
    plant_payloads(number);
}

/* --- each number in each place -------------------------------------------------------------------
 */

static struct {
    void (*plants)(uint64_t number);
    uint64_t number;
    bool drops;
} now;

static void plant_and_use_heap(void *unused)
{
    (void)unused;
    begin();
    now.plants(now.number);
    use_heap();
    if (now.drops)
        assert_in_range(fo_region_dropped(), 1, UINT32_MAX);
}

/* In these places, each number beyond the bound is counted. */
static bool is_dropped(void (*plants)(uint64_t number), uint64_t number)
{
    return plants == payloads || plants == takes || plants == puts_of_bins ||
           (plants == classes && (uint16_t)number >= FO_REGION_CLASSES) ||
           ((plants == rings || plants == lists || plants == idle_pages) &&
            (uint32_t)number >= 4096);
}

static void each_number(void (*plants)(uint64_t number))
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int status;
        now.plants = plants;
        now.number = numbers[i];
        now.drops = is_dropped(plants, numbers[i]);
        fixture_fork_any(plant_and_use_heap, NULL, &status);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            print_error("the number was %#llx\n", (unsigned long long)numbers[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

#define PLANTED(what)                                                                              \
    FRESH(a_process_survives_any_number_in_##what)                                                 \
    {                                                                                              \
        each_number(what);                                                                         \
    }

PLANTED(rings)
PLANTED(idle_pages)
PLANTED(classes)
PLANTED(used)
PLANTED(sizes)
PLANTED(runs)
PLANTED(halves)
PLANTED(bitmaps)
PLANTED(sets)
PLANTED(counts)
PLANTED(limits)
PLANTED(magazines)
PLANTED(lists)
PLANTED(circles)
PLANTED(payloads)
PLANTED(next_payloads)
PLANTED(takes)
PLANTED(puts_of_bins)
PLANTED(grounds)

FRESH(damage_is_reported_once)
{
    begin();
    rings(UINT32_MAX);
    use_heap();
    assert_in_range(fo_region_dropped(), 2, UINT32_MAX);
    assert_int_equal(fixture_count("the records of the shared heap are damaged"), 1);
}

FRESH(a_healthy_heap_drops_nothing)
{
    begin();
    use_heap();
    assert_int_equal(fo_region_dropped(), 0);
    walk();
    fixture_expect("%s", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_survives_any_number_in_rings),
        cmocka_unit_test(a_process_survives_any_number_in_idle_pages),
        cmocka_unit_test(a_process_survives_any_number_in_classes),
        cmocka_unit_test(a_process_survives_any_number_in_used),
        cmocka_unit_test(a_process_survives_any_number_in_sizes),
        cmocka_unit_test(a_process_survives_any_number_in_runs),
        cmocka_unit_test(a_process_survives_any_number_in_halves),
        cmocka_unit_test(a_process_survives_any_number_in_bitmaps),
        cmocka_unit_test(a_process_survives_any_number_in_sets),
        cmocka_unit_test(a_process_survives_any_number_in_counts),
        cmocka_unit_test(a_process_survives_any_number_in_limits),
        cmocka_unit_test(a_process_survives_any_number_in_magazines),
        cmocka_unit_test(a_process_survives_any_number_in_lists),
        cmocka_unit_test(a_process_survives_any_number_in_circles),
        cmocka_unit_test(a_process_survives_any_number_in_payloads),
        cmocka_unit_test(a_process_survives_any_number_in_next_payloads),
        cmocka_unit_test(a_process_survives_any_number_in_takes),
        cmocka_unit_test(a_process_survives_any_number_in_puts_of_bins),
        cmocka_unit_test(a_process_survives_any_number_in_grounds),
        cmocka_unit_test(damage_is_reported_once),
        cmocka_unit_test(a_healthy_heap_drops_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
