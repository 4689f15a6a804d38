/* Backend arena and the system: is memory given back, and do the options keep it out of swap and
 * core dumps, and secrets out of freed memory?  Read from /proc/self/smaps. */
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/hooks.h"
#include "heap/walk.h"
#include "fixture.h"

/* The region is there with the first block. */
#define start(...)                                                                                 \
    do {                                                                                           \
        fixture_start("BACKEND=arena", __VA_ARGS__);                                               \
        fo_free(fo_malloc(1, "a.c", 1), "f.c", 1);                                                 \
    } while (0)

struct mapping {
    size_t resident, locked, dumped;  /* KiB, of the whole region */
    size_t size;                      /* of the last part */
    unsigned parts, with_dd, with_lo; /* readable mappings, and those with a flag in VmFlags */
};

static void read_line(const char *line, struct mapping *m, bool *inside)
{
    uintptr_t from, to;
    char access[8];
    size_t kib;

    if (sscanf(line, "%lx-%lx %7s", &from, &to, access) == 3) {
        *inside = fo_region_contains(from) && access[0] == 'r';
        m->parts += *inside;
    }
    if (!*inside)
        return;
    if (sscanf(line, "Size: %zu kB", &kib) == 1)
        m->size = kib;
    if (sscanf(line, "Rss: %zu kB", &kib) == 1)
        m->resident += kib;
    if (sscanf(line, "Locked: %zu kB", &kib) == 1)
        m->locked += kib;
    if (strncmp(line, "VmFlags:", 8) == 0) {
        m->with_dd += strstr(line, " dd") != NULL;
        m->dumped += strstr(line, " dd") != NULL ? 0 : m->size;
        m->with_lo += strstr(line, " lo") != NULL;
    }
}

static struct mapping read_smaps(void)
{
    struct mapping m = {0};
    FILE *f = fopen("/proc/self/smaps", "re");
    bool inside = false;
    char line[512];

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL)
        read_line(line, &m, &inside);
    fclose(f);
    assert_true(m.parts > 0);
    return m;
}

/* --- memory is given back ----------------------------------------------------------------------
 */

static void burst(size_t count, size_t size)
{
    void **blocks = calloc(count, sizeof *blocks);

    assert_non_null(blocks);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = fo_malloc(size, "burst.c", 1);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, size);
    }
    assert_true(read_smaps().resident > count * size / 1024);
    for (size_t i = 0; i < count; i++)
        fo_free(blocks[i], "burst.c", 2);
    free(blocks);
}

FRESH(after_a_burst_of_small_blocks_their_memory_is_the_systems)
{
    start(NULL);
    size_t before = read_smaps().resident;
    for (size_t size = 20; size < 8000; size *= 3)
        burst((64 << 20) / size, size);
    assert_in_range(read_smaps().resident, before, before + 6 * 1024);
}

FRESH(after_a_burst_of_large_blocks_their_memory_is_the_systems)
{
    start(NULL);
    size_t before = read_smaps().resident;
    burst(2000, 17000);
    burst(50, 1 << 20);
    burst(3, 30 << 20);
    assert_in_range(read_smaps().resident, before, before + 2 * 1024);
}

/* As a server's connections: many blocks of many sizes live long, and others of the same sizes do
 * not. */
enum { CONNECTIONS = 2000, BLOCKS = 64, SIZES = 24 };

static size_t size_of_block(unsigned i)
{
    return 24u << i % SIZES / 4 << (i % 2) | i % SIZES;
}

static void pass_by(unsigned connection)
{
    for (unsigned i = 0; i < 3 * BLOCKS; i++)
        fo_free(fo_malloc(size_of_block(connection + i), "passing.c", 1), "passing.c", 2);
}

static void open_and_close_connections(void)
{
    static void *blocks[CONNECTIONS][BLOCKS];

    for (unsigned c = 0; c < CONNECTIONS; c++) {
        for (unsigned i = 0; i < BLOCKS; i++) {
            blocks[c][i] = fo_malloc(size_of_block(i), "a.c", 1);
            memset(blocks[c][i], 1, size_of_block(i));
        }
        pass_by(c);
    }
    for (unsigned c = 0; c < CONNECTIONS; c++) {
        pass_by(c);
        for (unsigned i = BLOCKS; i-- > 0;)
            fo_free(blocks[c][i], "a.c", 2);
    }
}

FRESH(after_many_connections_their_memory_is_the_systems)
{
    start(NULL);
    size_t before = read_smaps().resident;
    open_and_close_connections();
    assert_in_range(read_smaps().resident, before, before + 6 * 1024);
}

static long faults(void)
{
    struct rusage used;

    assert_int_equal(getrusage(RUSAGE_SELF, &used), 0);
    return used.ru_minflt;
}

/* The memory that was idle for longest is given back, not the memory that the next burst uses. */
FRESH(what_comes_again_finds_its_memory_whatever_was_before)
{
    static void *blocks[4000];

    start(NULL);
    burst(4000, 480);
    long before = 0;
    for (int turn = 0; turn < 20; turn++) {
        if (turn == 3)
            before = faults();
        for (int i = 0; i < 900; i++) {
            blocks[i] = fo_malloc(1000, "a.c", 1);
            memset(blocks[i], 1, 1000);
        }
        for (int i = 0; i < 900; i++)
            fo_free(blocks[i], "a.c", 2);
    }
    assert_in_range(faults() - before, 0, 100);
}

FRESH(a_buffer_that_is_not_touched_takes_no_memory)
{
    enum { COUNT = 1000 };
    static void *blocks[COUNT];

    start(NULL);
    size_t before = read_smaps().resident;
    for (int i = 0; i < COUNT; i++)
        blocks[i] = fo_malloc(17000, "a.c", 1);
    size_t held = read_smaps().resident - before;
    assert_in_range(held, COUNT * 4, COUNT * 5);
    for (int i = 0; i < COUNT; i++)
        fo_free(blocks[i], "a.c", 2);
}

/* --- options -----------------------------------------------------------------------------------
 */

static const char secret[] = "correct horse battery staple";

/* Does the freed memory of the region hold neither the secret nor its beginning? */
static bool is_gone(size_t size)
{
    char *p = fo_malloc(size, "a.c", 1);

    assert_non_null(p);
    memset(p, 's', size);
    memcpy(p + size - sizeof secret, secret, sizeof secret);
    fo_free(p, "a.c", 2);
    for (size_t i = 0; i + 4 < size; i++)
        if (memcmp(p + i, "ssss", 4) == 0)
            return false;
    return memcmp(p + size - sizeof secret, secret, 8) != 0;
}

FRESH(wiped_blocks_hold_nothing_of_what_was_in_them)
{
    start("WIPE=1", NULL);
    for (size_t size = sizeof secret; size < 30000; size += 1 + size / 3)
        assert_true(is_gone(size));
    void *p = fo_malloc(40, "a.c", 1);
    fo_free(p, "b.c", 2);
    fo_free(p, "c.c", 3);
    assert_int_equal(fixture_count("freed first  b.c:2"), 1);
}

FRESH(wiped_blocks_of_libc_hold_nothing_either)
{
    fixture_start("BACKEND=libc", "WIPE=1", NULL);
    for (size_t size = sizeof secret; size < 30000; size += 1 + size / 3)
        assert_true(is_gone(size));
}

FRESH(without_the_option_blocks_are_not_wiped)
{
    start(NULL);
    assert_false(is_gone(100));
}

FRESH(a_moved_block_is_wiped_where_it_was)
{
    start("WIPE=1", NULL);
    char *p = fo_malloc(sizeof secret, "a.c", 1);
    memcpy(p, secret, sizeof secret);
    char *q = fo_realloc(p, 1000, "a.c", 2);
    assert_string_equal(q, secret);
    assert_memory_equal(p, (char[sizeof secret]){0}, sizeof secret);
    fo_free(q, "a.c", 3);
}

FRESH(core_dumps_leave_the_region_out_on_request)
{
    start("DUMP=0", NULL);
    fo_free(fo_malloc(4 << 20, "a.c", 1), "a.c", 2);
    struct mapping m = read_smaps();
    assert_int_equal(m.with_dd, m.parts);
}

FRESH(core_dumps_have_the_region_by_default)
{
    start(NULL);
    assert_int_equal(read_smaps().with_dd, 0);
}

/* The kernel allocates each page of shared memory that it writes into a dump. */
FRESH(core_dumps_have_what_is_in_use_of_shared_memory)
{
    enum { MANY = 50, KIB = 1024 };

    fixture_start("BACKEND=shm", "SHM_SIZE=1G", NULL);
    fo_free(fo_malloc(1, "a.c", 1), "f.c", 1);
    assert_in_range(read_smaps().dumped, 1, 8 * KIB);
    for (int i = 0; i < MANY; i++)
        assert_non_null(fo_malloc(1000 * KIB, "a.c", 1));
    assert_in_range(read_smaps().dumped, MANY * KIB, (MANY + 16) * KIB);
}

/* mlockall(2) locks all that is mapped. */
FRESH(a_program_that_locks_all_its_memory_locks_little_of_the_heap)
{
    struct rlimit limit;

    start(NULL);
    if (FIXTURE_ASAN || FIXTURE_TSAN)
        return;
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
        print_message("skipped: mlockall is not permitted here (%ld kB)\n",
                      (long)limit.rlim_cur / 1024);
        return;
    }
    assert_in_range(read_smaps().locked, 1, 6 * 1024);
    void *blocks[100];
    for (int i = 0; i < 100; i++)
        assert_non_null(blocks[i] = fo_malloc(17000, "a.c", 1));
    for (int i = 0; i < 100; i++)
        fo_free(blocks[i], "f.c", 1);
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    size_t locked = 0;
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL)
        sscanf(line, "VmLck: %zu kB", &locked);
    fclose(f);
    assert_in_range(locked, 1, 40 * 1024); /* the program and its libraries: 8 MB */
}

static void is_locked(void *unused)
{
    (void)unused;
    fo_free(fo_malloc(40, "a.c", 1), "a.c", 2);
    struct mapping m = read_smaps(); /* mapped before this process began */
    assert_true(m.with_lo > 0);
    void *p = fo_malloc(3 << 20, "a.c", 1);
    memset(p, 1, 3 << 20);
    m = read_smaps();
    assert_in_range(m.locked, 3 << 10, m.resident);
    fo_free(p, "a.c", 2);
}

FRESH(the_region_is_locked_on_request_in_children_too)
{
    if (geteuid() != 0) /* or RLIMIT_MEMLOCK decides */
        return;
    start("LOCK=1", NULL);
    is_locked(NULL);
    fixture_fork(is_locked, NULL);
    fixture_expect("%s", "");
}

FRESH(that_it_cannot_be_locked_is_reported_once)
{
    struct rlimit none = {0, 0};

    if (geteuid() != 0)
        return;
    start("LOCK=1", NULL);
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    assert_int_equal(setgroups(0, NULL), 0);
    assert_int_equal(setuid(65534), 0);
    for (int i = 0; i < 30; i++)
        assert_non_null(fo_malloc(1 << 20, "a.c", 1));
    assert_int_equal(fixture_count("FREEONCE_LOCK=1: OpenSSL's memory cannot be locked"), 1);
    assert_int_equal(fixture_count("freeonce: "), 1);
}

FRESH(by_default_nothing_is_locked)
{
    start(NULL);
    assert_int_equal(read_smaps().with_lo, 0);
}

/* Record buffers of as many connections as a few threads have at a time.  A system call for each
 * would stop all threads (TLB shootdowns). */
FRESH(a_few_large_blocks_keep_their_memory)
{
    enum { COUNT = 30, SIZE = 17000 };
    char *blocks[COUNT];
    int kept = 0;

    start(NULL);
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = fo_malloc(SIZE, "a.c", 1);
        blocks[i][0] = 'x';
    }
    for (int i = 0; i < COUNT; i++)
        fo_free(blocks[i], "f.c", 1);
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = fo_malloc(SIZE, "a.c", 2);
        kept += blocks[i][0] == 'x';
    }
    assert_in_range(kept, COUNT - FO_WARM_WAIT, COUNT);
    for (int i = 0; i < COUNT; i++)
        fo_free(blocks[i], "f.c", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_burst_of_small_blocks_their_memory_is_the_systems),
        cmocka_unit_test(after_a_burst_of_large_blocks_their_memory_is_the_systems),
        cmocka_unit_test(after_many_connections_their_memory_is_the_systems),
        cmocka_unit_test(what_comes_again_finds_its_memory_whatever_was_before),
        cmocka_unit_test(a_few_large_blocks_keep_their_memory),
        cmocka_unit_test(a_buffer_that_is_not_touched_takes_no_memory),
        fixture_test_of_hooks(wiped_blocks_hold_nothing_of_what_was_in_them),
        cmocka_unit_test(wiped_blocks_of_libc_hold_nothing_either),
        cmocka_unit_test(without_the_option_blocks_are_not_wiped),
        cmocka_unit_test(a_moved_block_is_wiped_where_it_was),
        cmocka_unit_test(core_dumps_leave_the_region_out_on_request),
        cmocka_unit_test(core_dumps_have_the_region_by_default),
        cmocka_unit_test(core_dumps_have_what_is_in_use_of_shared_memory),
        cmocka_unit_test(a_program_that_locks_all_its_memory_locks_little_of_the_heap),
        fixture_test_of_hooks(the_region_is_locked_on_request_in_children_too),
        cmocka_unit_test(that_it_cannot_be_locked_is_reported_once),
        cmocka_unit_test(by_default_nothing_is_locked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
