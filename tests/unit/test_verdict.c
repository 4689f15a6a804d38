/* Does each wrong pointer get the right report, and is its memory unchanged? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/block.h"
#include "block/hooks.h"
#include "block/registry.h"
#include "pool.h"

static const size_t PAGE = 4096;

/* "  freed now    a.c:3                     pid 42 (unit)\n" */
static const char *place(const char *label, const char *site)
{
    static char lines[4][128];
    static unsigned next;
    char *line = lines[next++ % 4];

    snprintf(line, sizeof lines[0], "  %-13s%-26spid %d (unit)\n", label, site, (int)getpid());
    return line;
}

FRESH(a_double_free_names_all_three_places)
{
    fixture_start(NULL);
    void *p = fo_malloc(100, "ssl/a.c", 10);
    fo_free(p, "ssl/b.c", 20);
    fo_free(p, "../../crypto/c.c", 30);
    fixture_expect("freeonce: double free of block %p (100 bytes), skipped\n%s%s%s", p,
                   place("allocated", "ssl/a.c:10"), place("freed first", "ssl/b.c:20"),
                   place("freed again", "crypto/c.c:30"));
}

FRESH(a_double_free_is_known_after_the_memory_was_given_back)
{
    fixture_start("QUARANTINE=0", NULL);
    void *p = fo_malloc(1 << 20, "a.c", 1);
    fo_free(p, "b.c", 2);
    fo_free(p, "c.c", 3); /* libc has unmapped it */
    fixture_expect("freeonce: double free of block %p (1048576 bytes), skipped\n%s%s%s", p,
                   place("allocated", "a.c:1"), place("freed first", "b.c:2"),
                   place("freed again", "c.c:3"));
}

FRESH(a_realloc_of_a_freed_block_is_answered_with_null)
{
    fixture_start(NULL);
    void *p = fo_malloc(100, "a.c", 1);
    fo_free(p, "b.c", 2);
    assert_null(fo_realloc(p, 50, "c.c", 3));
    fixture_expect("freeonce: realloc of freed block %p (100 bytes), answered NULL\n%s%s%s", p,
                   place("allocated", "a.c:1"), place("freed first", "b.c:2"),
                   place("realloc", "c.c:3"));
}

FRESH(the_old_address_of_a_realloc_counts_as_freed_there)
{
    fixture_start(NULL);
    void *p = fo_malloc(100, "a.c", 1), *moved = fo_realloc(p, 300, "b.c", 2);
    assert_ptr_not_equal(p, moved);
    fo_free(p, "c.c", 3);
    fixture_expect("freeonce: double free of block %p (100 bytes), skipped\n%s%s%s", p,
                   place("allocated", "a.c:1"), place("freed first", "b.c:2"),
                   place("freed again", "c.c:3"));
    fo_free(moved, "d.c", 4);
    fixture_expect("%s", "");
}

FRESH(a_pointer_inside_a_block_is_reported_with_its_distance)
{
    static const size_t offsets[] = {1, 8, 16, 17, 99, 4096, 99999};

    fixture_start(NULL);
    char *p = fo_malloc(100000, "a.c", 1);
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        char *inside = p + offsets[i];
        fo_free(inside, "b.c", (int)i + 1);
        char site[8];
        snprintf(site, sizeof site, "b.c:%zu", i + 1);
        fixture_expect("freeonce: free of %p, %zu bytes inside block %p (100000 bytes), skipped\n"
                       "%s%s",
                       (void *)inside, offsets[i], (void *)p, place("allocated", "a.c:1"),
                       place("freed now", site));
    }
    assert_null(fo_realloc(p + 32, 10, "c.c", 1));
    assert_int_equal(fixture_count("freeonce: realloc of "), 1);
    fixture_forget();
    fo_free(p, "d.c", 1); /* it is still live */
    fixture_expect("%s", "");
}

FRESH(a_pointer_inside_a_freed_block_is_reported_with_both_places)
{
    fixture_start(NULL);
    char *p = fo_malloc(100, "a.c", 1);
    fo_free(p, "b.c", 2);
    fo_free(p + 32, "c.c", 3);
    fixture_expect("freeonce: free of %p, 32 bytes inside freed block %p (100 bytes), skipped\n"
                   "%s%s%s",
                   (void *)(p + 32), (void *)p, place("allocated", "a.c:1"),
                   place("freed first", "b.c:2"), place("freed now", "c.c:3"));
}

FRESH(an_overwritten_header_is_reported_and_the_block_kept)
{
    fixture_start("QUARANTINE=0", "SHARED=0", NULL);
    pool_register();
    char *p = fo_malloc(100, "a.c", 1), *q = fo_malloc(100, "a.c", 2);
    memset(p - 16, 'x', 8);
    memset(q - 8, 0, 8);
    fo_free(p, "b.c", 3);
    fixture_expect("freeonce: free of block %p, whose header was overwritten, skipped\n%s",
                   (void *)p, place("freed now", "b.c:3"));
    fo_free(p, "b.c", 4);
    fixture_expect("freeonce: free of block %p, whose header was overwritten, skipped\n%s",
                   (void *)p, place("freed now", "b.c:4"));
    assert_null(fo_realloc(q, 10, "b.c", 5));
    fixture_expect("freeonce: realloc of block %p, whose header was overwritten, answered NULL\n%s",
                   (void *)q, place("realloc", "b.c:5"));
    pool_check(2);
}

static void expect_foreign(void *p, const char *memory)
{
    static int line;
    char site[16];

    snprintf(site, sizeof site, "x.c:%d", ++line);
    fo_free(p, "x.c", line);
    fixture_expect("freeonce: free of 0x%jx, which OpenSSL never allocated (%s), skipped\n%s",
                   (uintmax_t)(uintptr_t)p, memory, place("freed now", site));
    snprintf(site, sizeof site, "x.c:%d", ++line);
    assert_null(fo_realloc(p, 20, "x.c", line));
    fixture_expect("freeonce: realloc of 0x%jx, which OpenSSL never allocated (%s), answered NULL\n"
                   "%s",
                   (uintmax_t)(uintptr_t)p, memory, place("realloc", site));
}

FRESH(foreign_pointers_are_reported_with_their_kind_of_memory)
{
    static _Alignas(16) char data[64];
    _Alignas(16) char stack[64];
    static const uintptr_t wild[] = {UINT64_C(0xdeadbeefdeadbeef),
                                     UINT64_C(0xdeadbeefdeadbee0),
                                     UINTPTR_MAX,
                                     UINTPTR_MAX - 15,
                                     UINT64_C(1) << 63,
                                     UINT64_C(1) << FO_ADDRESS_BITS,
                                     (UINT64_C(1) << FO_ADDRESS_BITS) - 16};

    fixture_start(NULL);
    fo_free(fo_malloc(8, "a.c", 1), "a.c", 1);
    char *heap = malloc(64);
    char *page = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page + PAGE, PAGE);
    expect_foreign(data + 16, "static data");
    expect_foreign(data + 17, "static data");
    expect_foreign(stack + 16, "the stack");
    expect_foreign(heap, "memory of the program");
    expect_foreign(heap + 1, "memory of the program");
    expect_foreign(page, "unmapped memory");
    expect_foreign(page + PAGE, "unmapped memory");
    expect_foreign((void *)1, "the first page");
    expect_foreign((void *)16, "the first page");
    expect_foreign((void *)(PAGE - 16), "the first page");
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++)
        expect_foreign((void *)wild[i], "unmapped memory");
    free(heap); /* it was not freed before */
}

FRESH(foreign_pointers_go_to_libc_on_request)
{
    fixture_start("FOREIGN=free", NULL);
    void *p = malloc(100);
    fo_free(p, "a.c", 1);
    fixture_expect("freeonce: free of %p, which OpenSSL never allocated (memory of the program), "
                   "passed to libc\n%s",
                   p, place("freed now", "a.c:1"));
    p = malloc(10);
    memcpy(p, "content", 8);
    p = fo_realloc(p, 1000, "a.c", 2);
    assert_string_equal(p, "content");
    free(p);
    fixture_forget();
    p = fo_malloc(10, "a.c", 3); /* a double free is not passed to libc */
    fo_free(p, "a.c", 4);
    fo_free(p, "a.c", 5);
    assert_int_equal(fixture_count("double free"), 1);
    assert_int_equal(fixture_count("skipped"), 1);
}

FRESH(files_that_cannot_be_read_are_reported_as_unknown)
{
    char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    fixture_start(NULL);
    memcpy(page, "gone.c", 7);
    void *p = fo_malloc(100, page, 1);
    fo_free(p, NULL, 0);
    munmap(page, PAGE); /* as after dlclose() */
    fo_free(p, "c.c", 3);
    fixture_expect("freeonce: double free of block %p (100 bytes), skipped\n%s%s%s", p,
                   place("allocated", "?"), place("freed first", "?"),
                   place("freed again", "c.c:3"));
}

/* A process that is killed while it moves or frees a block leaves no record of the free. */
FRESH(a_free_without_a_record_is_reported_within_a_second)
{
    static const uint8_t states[] = {FO_SLOT_BUSY, FO_SLOT_FREED};
    struct timespec before, after;

    fixture_start("BACKEND=libc", NULL);
    for (size_t i = 0; i < sizeof states; i++) {
        void *p = fo_malloc(100, "a.c", 1);
        *fo_registry_slot((uintptr_t)p) = states[i];
        clock_gettime(CLOCK_MONOTONIC, &before);
        fo_free(p, "b.c", (int)i);
        clock_gettime(CLOCK_MONOTONIC, &after);
        assert_int_equal(fixture_count("freed first  at this moment"), i + 1);
        assert_in_range(after.tv_sec - before.tv_sec, 0, 1);
    }
}

FRESH(a_double_free_in_a_child_names_the_parent)
{
    fixture_start(NULL);
    int parent = getpid();
    void *p = fo_malloc(100, "a.c", 1);
    fo_free(p, "b.c", 2);
    pid_t child = fork();
    if (child == 0) {
        fo_free(p, "c.c", 3);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    fixture_expect("freeonce: double free of block %p (100 bytes), skipped\n%s%s"
                   "  freed again  c.c:3                     pid %d (unit), forked from %d\n",
                   p, place("allocated", "a.c:1"), place("freed first", "b.c:2"), child, parent);
}

static void expect_status(const char *option, void (*body)(void), int status)
{
    int got;
    pid_t child = fork();

    if (child == 0) {
        fixture_start(option, NULL);
        body();
        _exit(99);
    }
    waitpid(child, &got, 0);
    assert_int_equal(got, status);
}

static void free_twice(void)
{
    void *p = fo_malloc(100, "a.c", 1);

    signal(SIGABRT, SIG_DFL);
    fo_free(p, "b.c", 2);
    fo_free(p, "c.c", 3);
}

static void after_a_report_the_option_decides(void **state)
{
    (void)state;
    expect_status("ON_ERROR=skip", free_twice, 99 << 8);
    expect_status("ON_ERROR=exit:7", free_twice, 7 << 8);
    expect_status("ON_ERROR=exit:0", free_twice, 0);
    expect_status("ON_ERROR=abort", free_twice, SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_double_free_names_all_three_places),
        cmocka_unit_test(a_double_free_is_known_after_the_memory_was_given_back),
        cmocka_unit_test(a_realloc_of_a_freed_block_is_answered_with_null),
        cmocka_unit_test(the_old_address_of_a_realloc_counts_as_freed_there),
        cmocka_unit_test(a_pointer_inside_a_block_is_reported_with_its_distance),
        cmocka_unit_test(a_pointer_inside_a_freed_block_is_reported_with_both_places),
        cmocka_unit_test(an_overwritten_header_is_reported_and_the_block_kept),
        cmocka_unit_test(foreign_pointers_are_reported_with_their_kind_of_memory),
        cmocka_unit_test(foreign_pointers_go_to_libc_on_request),
        cmocka_unit_test(files_that_cannot_be_read_are_reported_as_unknown),
        cmocka_unit_test(a_free_without_a_record_is_reported_within_a_second),
        cmocka_unit_test(a_double_free_in_a_child_names_the_parent),
        cmocka_unit_test(after_a_report_the_option_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
