/* Is the mapping around an address found, are its ends right, and is it known whether it is shared?
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixture.h"
#include "base/mapping.h"

static const size_t PAGE = 4096;

static char *map(size_t size, int flags, int fd)
{
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

    assert_ptr_not_equal(p, MAP_FAILED);
    return p;
}

static bool is_shared(const void *p)
{
    struct fo_mapping m;

    assert_true(fo_mapping_find((uintptr_t)p, &m));
    assert_true(m.start <= (uintptr_t)p && (uintptr_t)p < m.end);
    return m.shared;
}

static void ordinary_memory_is_private(void **state)
{
    static char data[64];
    char stack[64];
    char *heap = malloc(64), *large = malloc(1 << 20);

    (void)state;
    assert_false(is_shared(data));
    assert_false(is_shared(stack));
    assert_false(is_shared(heap));
    assert_false(is_shared(large));
    assert_false(is_shared(map(PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1)));
    free(heap);
    free(large);
}

static void shared_memory_is_shared(void **state)
{
    int fd = memfd_create("pool", MFD_CLOEXEC);

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)(4 * PAGE)), 0);
    assert_true(is_shared(map(4 * PAGE, MAP_SHARED | MAP_ANONYMOUS, -1)));
    assert_true(is_shared(map(4 * PAGE, MAP_SHARED, fd)));
    assert_false(is_shared(map(4 * PAGE, MAP_PRIVATE, fd)));
    close(fd);
}

static void the_ends_are_exact(void **state)
{
    struct fo_mapping m;
    char *p = map(5 * PAGE, MAP_SHARED | MAP_ANONYMOUS, -1);

    (void)state;
    munmap(p + 3 * PAGE, PAGE);
    assert_true(fo_mapping_find((uintptr_t)p + PAGE, &m));
    assert_int_equal(m.end, (uintptr_t)p + 3 * PAGE);
    assert_true(fo_mapping_find(m.end - 1, &m));
    assert_false(fo_mapping_find((uintptr_t)p + 3 * PAGE, &m));
    assert_false(fo_mapping_find((uintptr_t)p + 4 * PAGE - 1, &m));
    assert_true(fo_mapping_find((uintptr_t)p + 4 * PAGE, &m));
    assert_int_equal(m.start, (uintptr_t)p + 4 * PAGE);
}

static void what_is_not_mapped_is_not_found(void **state)
{
    uintptr_t nowhere[] = {0, 1, 0, UINT64_C(1) << 47, UINT64_C(0xdeadbeefdeadbeef), UINTPTR_MAX};
    struct fo_mapping m;

    (void)state;
    nowhere[2] = (uintptr_t)map(PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    munmap((void *)nowhere[2], PAGE);
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++)
        assert_false(fo_mapping_find(nowhere[i], &m));
}

/* Enough lines that each position in a line is the end of a read once. */
static void many_mappings_are_all_found(void **state)
{
    enum { COUNT = 600 };
    static char *pages[COUNT];

    (void)state;
    for (int i = 0; i < COUNT; i++)
        pages[i] = map(PAGE, (i % 3 == 0 ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1);
    for (int i = 1; i < COUNT; i += 2) /* so that neighbours do not become one mapping */
        assert_int_equal(mprotect(pages[i], PAGE, PROT_READ), 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(is_shared(pages[i]), i % 3 == 0);
    for (int i = 0; i < COUNT; i++)
        munmap(pages[i], PAGE);
}

static void access_and_file_are_known(void **state)
{
    static char data[64] = "data";
    static const char constant[] = "constant";
    char *p = map(2 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    struct fo_mapping m;

    (void)state;
    assert_int_equal(mprotect(p, PAGE, PROT_READ), 0);
    assert_int_equal(mprotect(p + PAGE, PAGE, PROT_NONE), 0);
    assert_true(fo_mapping_find((uintptr_t)p, &m));
    assert_true(m.readable && !m.writable && !m.file);
    assert_true(fo_mapping_find((uintptr_t)p + PAGE, &m));
    assert_true(!m.readable && !m.writable && !m.file);
    assert_true(fo_mapping_find((uintptr_t)&data, &m));
    assert_true(m.readable && m.writable && m.file);
    assert_true(fo_mapping_find((uintptr_t)&constant, &m));
    assert_true(m.readable && !m.writable && m.file);
    munmap(p, 2 * PAGE);
}

static void looking_leaves_errno_and_descriptors_alone(void **state)
{
    struct fo_mapping m;
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    close(before);
    errno = ENOTTY;
    fo_mapping_find(0, &m);
    fo_mapping_find((uintptr_t)&m, &m);
    assert_int_equal(errno, ENOTTY);
    int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(after, before);
    close(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_memory_is_private),
        cmocka_unit_test(shared_memory_is_shared),
        cmocka_unit_test(the_ends_are_exact),
        cmocka_unit_test(what_is_not_mapped_is_not_found),
        cmocka_unit_test(many_mappings_are_all_found),
        cmocka_unit_test(access_and_file_are_known),
        cmocka_unit_test(looking_leaves_errno_and_descriptors_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
