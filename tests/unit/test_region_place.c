/* Backends arena and shm: at which addresses is the heap, and what does a write past its end reach?
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/memory.h"
#include "process/process.h"
#include "whole_heap.h"

#define MIB ((size_t)1 << 20)

/* The region is there with the first block. */
static void *start(const char *backend)
{
    fixture_start(backend, "SHM_SIZE=8M", NULL);
    return fo_malloc(40, "a.c", 1);
}

static uintptr_t head(void)
{
    return (uintptr_t)fo_region;
}

static uintptr_t end_of_head(void)
{
    return head() + fo_layout.size;
}

static uintptr_t end_of_blocks(void)
{
    return fo_layout.shared ? end_of_head() : fo_layout.base + fo_region_committed();
}

/* --- places ------------------------------------------------------------------------------------
 */

enum { HEAPS = 40 };

struct place {
    uintptr_t base, head;
};

static int place_pipe[2];

static void send_place(void *backend)
{
    start(backend);
    struct place place = {fo_layout.base, head()};
    assert_int_equal(write(place_pipe[1], &place, sizeof place), sizeof place);
}

static unsigned count_distinct(const uintptr_t *values)
{
    unsigned distinct = 0;

    for (int i = 0; i < HEAPS; i++) {
        bool is_new = true;
        for (int k = 0; k < i; k++)
            is_new &= values[k] != values[i];
        distinct += is_new;
    }
    return distinct;
}

/* All processes have libc at the same address, so that equal addresses are equal distances.  Two
 * are equal by chance once in some hundred runs. */
static void assert_places_differ(const char *backend, bool is_private)
{
    uintptr_t bases[HEAPS], heads[HEAPS], distances[HEAPS];

    assert_int_equal(pipe(place_pipe), 0);
    for (int i = 0; i < HEAPS; i++) {
        struct place place;
        char copy[32];
        snprintf(copy, sizeof copy, "%s", backend);
        fixture_fork(send_place, copy);
        assert_int_equal(read(place_pipe[0], &place, sizeof place), sizeof place);
        bases[i] = place.base;
        heads[i] = place.head;
        distances[i] = place.base - place.head;
    }
    assert_in_range(count_distinct(bases), HEAPS - 1, HEAPS);
    assert_in_range(count_distinct(heads), HEAPS - 1, HEAPS);
    if (is_private)
        assert_in_range(count_distinct(distances), HEAPS - 1, HEAPS);
}

FRESH(a_private_heap_is_at_another_distance_to_libc_each_time)
{
    assert_places_differ("BACKEND=arena", true);
}

FRESH(a_shared_heap_is_at_another_distance_to_libc_each_time)
{
    assert_places_differ("BACKEND=shm", false);
}

/* --- guard pages -------------------------------------------------------------------------------
 */

/* Is this address inaccessible, according to /proc/self/maps? */
static bool is_guard(uintptr_t p)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    uintptr_t from, to;
    char line[512], access[8];
    bool found = false;

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%lx-%lx %7s", &from, &to, access) == 3 && p >= from && p < to)
            found = strcmp(access, "---p") == 0;
    fclose(maps);
    return found;
}

static void assert_chunks_are_guarded(const uintptr_t *chunks, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (chunks[i] != 0 && (chunks[i] < head() || chunks[i] >= end_of_head())) {
            assert_true(is_guard(chunks[i] - 1));
            assert_true(is_guard(chunks[i] + size));
        }
}

FRESH(what_a_private_heap_knows_lies_between_pages_that_cannot_be_touched)
{
    start("BACKEND=arena");
    for (size_t i = 0; i < 100 * MIB / 5000; i++)
        assert_non_null(fo_malloc(5000, "a.c", 1));
    assert_true(is_guard(head() - 1));
    assert_true(is_guard(end_of_head()));
    assert_true(is_guard(fo_layout.base - 1));
    assert_true(fo_layout.pages[1] != 0);
    assert_chunks_are_guarded(fo_layout.pages, FO_PAGE_GROUPS, sizeof(struct fo_page_group));
    assert_chunks_are_guarded(fo_layout.magazines, FO_MAGAZINE_GROUPS,
                              sizeof(struct fo_magazine_group));
    assert_chunks_are_guarded(fo_layout.caches, FO_CACHE_GROUPS, sizeof(struct fo_cache_group));
}

FRESH(what_a_shared_heap_knows_lies_between_pages_that_cannot_be_touched)
{
    start("BACKEND=shm");
    assert_true(is_guard(head() - 1));
    assert_true(is_guard(fo_layout.base - 1));
    assert_true(is_guard(end_of_head()));
}

/* The memory with the table of processes, the registry and the quarantine; each backend has it. */
static void assert_memory_is_guarded(void)
{
    uintptr_t start = (uintptr_t)fo_hot.memory;

    assert_true(is_guard(start - 1));
    assert_true(is_guard(start + fo_hot.memory->size));
}

FRESH(the_librarys_own_memory_lies_between_pages_that_cannot_be_touched)
{
    fixture_start("BACKEND=libc", NULL);
    fo_free(fo_malloc(40, "a.c", 1), "b.c", 1);
    assert_memory_is_guarded();
    const struct fo_shard *s = fo_thread.shard;
    const struct fo_queue *last = &s->queues[FO_QUEUES - 1];
    assert_true(is_guard((uintptr_t)s->queues[0].entries - 1));
    assert_true(is_guard(((uintptr_t)(last->entries + last->mask + 1) + 4095) & ~(uintptr_t)4095));
}

FRESH(the_librarys_shared_memory_does)
{
    start("BACKEND=shm");
    assert_memory_is_guarded();
}

FRESH(the_librarys_memory_that_is_private_again_does)
{
    start("BACKEND=arena");
    struct fo_memory *m = fo_memory_map(true);
    assert_non_null(m);
    assert_true(fo_memory_make_private(m));
    assert_true(m->size < 100 * MIB);
    assert_true(is_guard((uintptr_t)m - 1));
    assert_true(is_guard((uintptr_t)m + m->size));
    fo_memory_unmap(m);
}

/* --- a write past the end ----------------------------------------------------------------------
 */

static uintptr_t expected;

static void see_fault(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    _exit((uintptr_t)info->si_addr == expected ? 0 : 1);
}

static void write_on(uintptr_t from, ptrdiff_t step)
{
    struct sigaction action = {.sa_sigaction = see_fault, .sa_flags = SA_SIGINFO};

    sigaction(SIGSEGV, &action, NULL);
    for (volatile uint64_t *p = (uint64_t *)from;; p += step)
        *p = UINT64_C(0x4141414141414141);
}

static void write_up(void *block)
{
    expected = end_of_blocks();
    write_on((uintptr_t)block, 1);
}

static void write_down(void *block)
{
    expected = fo_layout.base - sizeof(uint64_t);
    write_on((uintptr_t)block, -1);
}

static void expect_fault(void (*body)(void *), void *block)
{
    int status;

    fixture_fork_any(body, block, &status);
    assert_int_equal(status, 0);
}

static void assert_overrun_ends_behind_blocks(const char *backend)
{
    void *block = start(backend);

    assert_false(head() >= fo_layout.base && head() < end_of_blocks());
    expect_fault(write_up, block);
    expect_fault(write_down, block);
}

FRESH(an_overrun_of_a_private_heap_ends_behind_its_blocks)
{
    assert_overrun_ends_behind_blocks("BACKEND=arena");
}

FRESH(an_overrun_of_a_shared_heap_ends_behind_its_blocks)
{
    assert_overrun_ends_behind_blocks("BACKEND=shm");
}

/* --- a wrong pointer ---------------------------------------------------------------------------
 */

static void assert_frees_there_have_a_verdict(const char *backend)
{
    start(backend);
    const uintptr_t wrong[] = {head() - 16,         head() - 4096,   end_of_head(),
                               fo_layout.base - 16, end_of_blocks(), fo_layout.base - 4096};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        fixture_forget();
        fo_free((void *)wrong[i], "wrong.c", (int)i + 1);
        assert_int_equal(fixture_count(", which OpenSSL never allocated ("), 1);
    }
}

FRESH(a_free_of_a_page_that_cannot_be_touched_has_a_verdict_in_a_private_heap)
{
    assert_frees_there_have_a_verdict("BACKEND=arena");
}

/* 256 bytes of slots fill a page, and pages a heap, to the last byte. */
FRESH(a_free_where_a_private_heap_ends_names_its_last_block)
{
    enum { SIZE = 240, MOST = 1 << 20 };
    char *p;

    start("BACKEND=arena");
    for (int i = 0; (p = fo_malloc(SIZE, "a.c", 2)) != NULL && i < MOST; i++)
        if ((uintptr_t)p + SIZE == end_of_blocks())
            break;
    assert_int_equal((uintptr_t)p + SIZE, end_of_blocks());
    fo_free(p + SIZE, "wrong.c", 3);
    assert_int_equal(fixture_count(", at the end of block "), 1);
}

FRESH(a_free_of_a_page_that_cannot_be_touched_has_a_verdict_in_a_shared_heap)
{
    assert_frees_there_have_a_verdict("BACKEND=shm");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_private_heap_is_at_another_distance_to_libc_each_time),
        cmocka_unit_test(a_shared_heap_is_at_another_distance_to_libc_each_time),
        cmocka_unit_test(what_a_private_heap_knows_lies_between_pages_that_cannot_be_touched),
        cmocka_unit_test(what_a_shared_heap_knows_lies_between_pages_that_cannot_be_touched),
        cmocka_unit_test(the_librarys_own_memory_lies_between_pages_that_cannot_be_touched),
        cmocka_unit_test(the_librarys_shared_memory_does),
        cmocka_unit_test(the_librarys_memory_that_is_private_again_does),
        cmocka_unit_test(an_overrun_of_a_private_heap_ends_behind_its_blocks),
        cmocka_unit_test(an_overrun_of_a_shared_heap_ends_behind_its_blocks),
        cmocka_unit_test(a_free_of_a_page_that_cannot_be_touched_has_a_verdict_in_a_private_heap),
        cmocka_unit_test(a_free_where_a_private_heap_ends_names_its_last_block),
        cmocka_unit_test(a_free_of_a_page_that_cannot_be_touched_has_a_verdict_in_a_shared_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
