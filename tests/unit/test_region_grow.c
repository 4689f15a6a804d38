/* Large blocks that get another size, in place if the memory behind them is free.  What do other
 * processes see meanwhile, and what is left when the process is killed? */
#include <sys/mman.h>
#include <sys/resource.h>

#include "kills.h"

#define MIB ((size_t)1 << 20)

static void *resized(void *p, size_t size)
{
    void *q = fo_realloc(p, size, "grow.c", 2);

    assert_non_null(q);
    return q;
}

static void grow_in_place(void)
{
    unsigned char *p = fo_malloc(MIB, "grow.c", 1);

    for (size_t i = 1; i <= 64; i++) {
        assert_ptr_equal(resized(p, i * MIB), p);
        p[(i - 1) * MIB] = p[i * MIB - 1] = (unsigned char)i;
    }
    for (size_t i = 1; i <= 64; i++)
        assert_true(p[(i - 1) * MIB] == i && p[i * MIB - 1] == i);
    fo_free(p, "free.c", 3);
    walk();
    fixture_expect("%s", "");
}

FRESH(grows_in_place)
{
    fixture_start("BACKEND=arena", NULL);
    fo_malloc(16, "new.c", 1);
    grow_in_place();
}

FRESH(grows_in_place_in_shared_memory)
{
    start(NULL);
    block(16);
    grow_in_place();
}

/* It takes as much of the free runs behind it as it needs. */
FRESH(grows_into_what_is_free_behind_it)
{
    void *p[4];

    fixture_start("BACKEND=arena", "QUARANTINE=0", NULL);
    for (unsigned i = 0; i < 4; i++)
        p[i] = fo_malloc(250000, "new.c", 1); /* four pages each */
    memset(p[0], 7, 250000);
    fo_free(p[1], "free.c", 1);
    fo_free(p[2], "free.c", 1);
    assert_ptr_equal(resized(p[0], 380000), p[0]);
    assert_ptr_equal(resized(p[0], 700000), p[0]);
    assert_ptr_not_equal(p[0] = resized(p[0], 800000), NULL);
    assert_true(p[0] < p[1] || p[0] > p[3]); /* it had to move */
    for (unsigned i = 0; i < 250000; i++)
        assert_int_equal(((unsigned char *)p[0])[i], 7);
    walk();
}

/* Each is in the way of the other, which costs a copy, but not each time. */
FRESH(two_that_grow_in_turns_seldom_move)
{
    void *p[2];
    unsigned moves = 0;

    fixture_start("BACKEND=arena", NULL);
    p[0] = fo_malloc(MIB, "new.c", 1);
    p[1] = fo_malloc(MIB, "new.c", 1);
    for (size_t i = 1; i <= 512; i++)
        for (unsigned n = 0; n < 2; n++) {
            void *q = resized(p[n], MIB + i * MIB / 8);
            moves += q != p[n];
            p[n] = q;
        }
    assert_in_range(moves, 0, 60);
    walk();
}

static size_t resident_pages(const void *p, size_t size)
{
    unsigned char in[4096];
    uintptr_t from = (uintptr_t)p & ~(uintptr_t)4095;
    size_t pages = (((uintptr_t)p + size + 4095) & ~(uintptr_t)4095) - from, count = 0;

    pages /= 4096;
    assert_in_range(pages, 1, sizeof in);
    assert_int_equal(mincore((void *)from, pages * 4096, in), 0);
    for (size_t i = 0; i < pages; i++)
        count += in[i] & 1;
    return count;
}

static void shrink(void)
{
    unsigned char *p = memset(fo_malloc(8 * MIB, "new.c", 1), 7, 8 * MIB);

    assert_in_range(resident_pages(p, 8 * MIB), 2048, 2049);
    assert_ptr_equal(resized(p, 6 * MIB), p);
    assert_in_range(resident_pages(p, 8 * MIB), 1536, 1537);
    unsigned char *q = resized(p, 100000); /* moves into a run of its size */
    assert_ptr_not_equal(q, p);
    assert_int_equal(resident_pages(p, 8 * MIB), 0);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(q[i], 7);
    walk();
}

FRESH(shrinking_gives_memory_back)
{
    fixture_start("BACKEND=arena", NULL);
    shrink();
}

FRESH(shrinking_gives_memory_back_in_shared_memory)
{
    start(NULL);
    shrink();
}

/* --- backend libc ------------------------------------------------------------------------------
 */

static long faults(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return used.ru_minflt;
}

/* Its pages are moved: a copy would cost a fault for each page. */
FRESH(grows_by_its_pages_with_libc)
{
    unsigned char *p;

    fixture_start("BACKEND=libc", "QUARANTINE=1M", NULL);
    p = memset(fo_malloc(4 * MIB, "grow.c", 1), 7, 4 * MIB);
    long before = faults();
    for (size_t i = 5; i <= 64; i++) {
        p = resized(p, i * MIB);
        p[i * MIB - 1] = (unsigned char)i;
    }
    assert_in_range(faults() - before, 0, FIXTURE_ASAN ? 1 << 20 : 1500);
    for (size_t i = 5; i <= 64; i++)
        assert_int_equal(p[i * MIB - 1], i);
    assert_int_equal(p[0], 7);
    assert_int_equal(p[4 * MIB - 1], 7);
    fo_free(p, "free.c", 3);
    fixture_expect("%s", "");
    fo_free(p, "free.c", 4);
    assert_int_equal(fixture_count("double free"), 1);
}

static void *map_in_the_way(void *p)
{
    return mmap((void *)(((uintptr_t)p + 4 * MIB + 4095) & ~(uintptr_t)4095), 4096, PROT_READ,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

FRESH(what_libc_moved_is_freed_where_it_was)
{
    fixture_start("BACKEND=libc", NULL);
    void *p = memset(fo_malloc(4 * MIB, "new.c", 1), 7, 4 * MIB);
    map_in_the_way(p); /* if nothing else is mapped there */
    void *q = resized(p, 400 * MIB);
    assert_ptr_not_equal(p, q);
    assert_int_equal(((unsigned char *)q)[4 * MIB - 1], 7);
    fo_free(p, "stale.c", 5);
    assert_int_equal(fixture_count("double free"), 1);
    assert_int_equal(fixture_count("new.c:1"), 1);
    assert_int_equal(fixture_count("grow.c:2"), 1);
    fixture_forget();
    if (FIXTURE_ASAN) { /* its own addresses exceed any limit */
        fo_free(q, "free.c", 7);
        return;
    }
    const struct rlimit little = {(rlim_t)2 << 30, (rlim_t)2 << 30};
    assert_int_equal(setrlimit(RLIMIT_AS, &little), 0);
    assert_null(fo_realloc(q, (size_t)1 << 33, "huge.c", 6)); /* the block is unchanged */
    assert_int_equal(((unsigned char *)q)[4 * MIB - 1], 7);
    fo_free(q, "free.c", 7);
    fixture_expect("%s", "");
}

/* --- seen by others, and killed ------------------------------------------------------------------
 */

static void **one;

/* A block of one page.  The block of the process that was killed before is freed, if it is live. */
static void make_one_block(void)
{
    if (*one != NULL && fo_region_at((uintptr_t)*one).state == FO_FOUND_LIVE)
        fo_free(*one, "free.c", 1);
    *one = block(20000);
}

/* To three pages, then to two. */
static void grow_it(void)
{
    *one = fo_realloc(*one, 190000, "grow.c", 2);
    *one = fo_realloc(*one, 70000, "grow.c", 3);
}

static void start_with_one(void)
{
    start("QUARANTINE=0", NULL);
    one = mmap(NULL, sizeof *one, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(one, MAP_FAILED);
    block(16);
}

/* For a free meanwhile the block is held, and never damaged. */
FRESH(is_judged_right_at_each_instruction)
{
    unsigned held_at = 0, live_at = 0;

    start_with_one();
    stepping_on_one_processor();
    pid_t child = stepping_start(make_one_block, grow_it);
    while (stepping_lead(child, 1)) {
        struct fo_at at = fo_region_at((uintptr_t)*one);
        assert_true(at.payload == (uintptr_t)*one);
        assert_true(at.state == FO_FOUND_LIVE || at.state == FO_FOUND_HELD);
        held_at += at.state == FO_FOUND_HELD;
        live_at += at.state == FO_FOUND_LIVE;
    }
    assert_true(held_at > 0 && live_at > 0);
}

FRESH(killed_while_it_grows_at_the_end)
{
    start_with_one();
    kill_at_each_step(&(struct operation){make_one_block, grow_it});
}

/* The block needs a half of the run behind it. */
static void make_one_and_room(void)
{
    make_one_block();
    hold(0, 2, 250000);
    free_held(0, 2);
}

FRESH(killed_while_it_grows_into_a_free_run)
{
    start_with_one();
    assert_false(kill_after(&(struct operation){make_one_and_room, grow_it}, UINT_MAX));
    kill_at_each_step(&(struct operation){make_one_and_room, grow_it});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_in_place),
        cmocka_unit_test(grows_in_place_in_shared_memory),
        cmocka_unit_test(grows_into_what_is_free_behind_it),
        cmocka_unit_test(two_that_grow_in_turns_seldom_move),
        cmocka_unit_test(shrinking_gives_memory_back),
        cmocka_unit_test(shrinking_gives_memory_back_in_shared_memory),
        cmocka_unit_test(grows_by_its_pages_with_libc),
        cmocka_unit_test(what_libc_moved_is_freed_where_it_was),
        cmocka_unit_test(is_judged_right_at_each_instruction),
        cmocka_unit_test(killed_while_it_grows_at_the_end),
        cmocka_unit_test(killed_while_it_grows_into_a_free_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
