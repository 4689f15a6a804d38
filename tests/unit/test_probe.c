/* Can any address be probed without a fault, and is its kind of memory right? */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/probe.h"
#include "fixture.h"

static const size_t PAGE = 4096;

/* Two readable pages, then one that is not, then a hole. */
static char *pages;

static int map_pages(void **state)
{
    (void)state;
    pages = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + 2 * PAGE, PAGE, PROT_NONE) != 0)
        return -1;
    return munmap(pages + 3 * PAGE, PAGE);
}

static bool is_readable(const char *at, size_t size)
{
    return fo_is_readable((uintptr_t)at, size);
}

static void readable_is_whatever_lies_in_readable_pages(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 2 * PAGE; size++) {
        assert_true(is_readable(pages, size));
        assert_true(is_readable(pages + 2 * PAGE - size, size));
    }
    assert_true(is_readable(pages + PAGE - 1, 2));
}

static void one_unreadable_byte_is_enough(void **state)
{
    (void)state;
    for (size_t size = 1; size < 40; size++) {
        assert_false(is_readable(pages + 2 * PAGE - size + 1, size));
        assert_false(is_readable(pages + 2 * PAGE, size));
        assert_false(is_readable(pages + 3 * PAGE, size));
        assert_false(is_readable(pages + 3 * PAGE - size + 1, size));
    }
    assert_false(is_readable(pages, 2 * PAGE + 1));
    assert_false(is_readable(pages, 4 * PAGE));
}

static void an_unreadable_page_in_between_is_noticed(void **state)
{
    char *p = mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_true(is_readable(p, 3 * PAGE));
    munmap(p + PAGE, PAGE);
    assert_false(is_readable(p, 3 * PAGE));
    assert_true(is_readable(p, PAGE));
    assert_true(is_readable(p + 2 * PAGE, PAGE));
}

static void addresses_that_are_none_are_unreadable(void **state)
{
    static const uintptr_t wrong[] = {
        0,
        1,
        8,
        PAGE - 1,
        UINT64_C(1) << FO_ADDRESS_BITS,
        UINT64_C(1) << 63,
        UINT64_C(0xdeadbeefdeadbeef),
        UINTPTR_MAX - 15,
        UINTPTR_MAX,
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(fo_is_readable(wrong[i], 1));
        assert_false(fo_is_readable(wrong[i], 16));
    }
    assert_false(fo_is_readable((uintptr_t)pages, SIZE_MAX));
    assert_false(fo_is_readable((uintptr_t)pages, SIZE_MAX - (uintptr_t)pages + 100));
}

static void looking_leaves_errno_alone(void **state)
{
    char out[8];

    (void)state;
    errno = ENOTTY;
    is_readable(pages + 2 * PAGE, 1);
    is_readable(pages, 1);
    fo_probe_string(pages + 2 * PAGE, out, sizeof out);
    fo_probe_kind((uintptr_t)pages);
    assert_int_equal(errno, ENOTTY);
}

static void looking_leaves_the_signal_mask_alone(void **state)
{
    sigset_t before, after;

    (void)state;
    memset(&before, 0, sizeof before); /* the kernel fills a part of it */
    memset(&after, 0, sizeof after);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    memset(pages, 0xff, PAGE);
    is_readable(pages, PAGE);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_memory_equal(&before, &after, sizeof before);
}

static void a_string_is_copied_to_its_end(void **state)
{
    char out[16];

    (void)state;
    assert_true(fo_probe_string("crypto/mem.c", out, sizeof out));
    assert_string_equal(out, "crypto/mem.c");
    assert_true(fo_probe_string("fifteen letters", out, sizeof out));
    assert_string_equal(out, "fifteen letters");
    memcpy(pages + PAGE - 3, "ab/cd.c", 8); /* across two pages */
    assert_true(fo_probe_string(pages + PAGE - 3, out, sizeof out));
    assert_string_equal(out, "ab/cd.c");
    memcpy(pages + 2 * PAGE - 4, "a.c", 4); /* the last readable bytes */
    assert_true(fo_probe_string(pages + 2 * PAGE - 4, out, sizeof out));
    assert_string_equal(out, "a.c");
}

static void what_is_no_file_name_is_refused(void **state)
{
    char out[16];

    (void)state;
    assert_false(fo_probe_string("", out, sizeof out));
    assert_false(fo_probe_string("sixteen letters.", out, sizeof out));
    assert_false(fo_probe_string("a\nb", out, sizeof out));
    assert_false(fo_probe_string("a\tb", out, sizeof out));
    assert_false(fo_probe_string("a\033[31m", out, sizeof out));
    assert_false(fo_probe_string("a\x7f", out, sizeof out));
    assert_false(fo_probe_string("a\xe4", out, sizeof out));
    assert_true(fo_probe_string(" !~", out, sizeof out));
}

static void a_string_that_cannot_be_read_is_refused(void **state)
{
    char out[64];

    (void)state;
    memset(pages, 'x', 2 * PAGE);
    assert_false(fo_probe_string(pages + 2 * PAGE - 9, out, sizeof out)); /* runs into PROT_NONE */
    assert_false(fo_probe_string(pages + 2 * PAGE, out, sizeof out));
    assert_false(fo_probe_string(pages + 3 * PAGE, out, sizeof out));
    assert_false(fo_probe_string(NULL, out, sizeof out));
    assert_false(fo_probe_string((const char *)16, out, sizeof out));
    assert_false(fo_probe_string((const char *)UINT64_C(0xdeadbeefdeadbeef), out, sizeof out));
}

static void expect_kind(const void *p, const char *kind)
{
    assert_string_equal(fo_probe_kind((uintptr_t)p), kind);
}

static void every_kind_of_memory_is_named(void **state)
{
    static char data[64];
    char stack[64];
    char *heap = malloc(64);

    (void)state;
    fo_stack_end = (uintptr_t)environ;
    expect_kind(stack, "the stack");
    expect_kind(data, "static data");
    expect_kind("constant", "static data");
    expect_kind(heap, "memory of the program");
    expect_kind(pages, "memory of the program");
    expect_kind(pages + 2 * PAGE, "unmapped memory");
    expect_kind(pages + 3 * PAGE, "unmapped memory");
    expect_kind(NULL, "the first page");
    expect_kind((void *)(PAGE - 1), "the first page");
    expect_kind((void *)UINT64_C(0xdeadbeefdeadbeef), "unmapped memory");
    expect_kind((void *)UINTPTR_MAX, "unmapped memory");
    free(heap);
}

static void *look_from_a_thread(void *of_main)
{
    char stack[64];

    expect_kind(stack, "the stack");
    expect_kind(of_main, "memory of the program"); /* "the stack" is that of this thread alone */
    return NULL;
}

static void the_stack_of_a_thread_is_its_own(void **state)
{
    pthread_t thread;
    char *heap = malloc(64);

    (void)state;
    fo_stack_end = (uintptr_t)environ;
    assert_int_equal(pthread_create(&thread, NULL, look_from_a_thread, heap), 0);
    pthread_join(thread, NULL);
    free(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readable_is_whatever_lies_in_readable_pages),
        cmocka_unit_test(one_unreadable_byte_is_enough),
        cmocka_unit_test(an_unreadable_page_in_between_is_noticed),
        cmocka_unit_test(addresses_that_are_none_are_unreadable),
        cmocka_unit_test(looking_leaves_errno_alone),
        cmocka_unit_test(looking_leaves_the_signal_mask_alone),
        cmocka_unit_test(a_string_is_copied_to_its_end),
        cmocka_unit_test(what_is_no_file_name_is_refused),
        cmocka_unit_test(a_string_that_cannot_be_read_is_refused),
        cmocka_unit_test(every_kind_of_memory_is_named),
        cmocka_unit_test(the_stack_of_a_thread_is_its_own),
    };
    return cmocka_run_group_tests(tests, map_pages, NULL);
}
