/* Does an inaccessible page lie in front of and behind each part of the library's own memory?
 * Memory that became writable with the start of the engine is the library's; it is found in
 * /proc/self/maps.  And how much of it would be in a core dump? */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/apart.h"
#include "base/probe.h"
#include "block/hooks.h"
#include "block/registry.h"
#include "heap/region.h"
#include "fixture.h"
#include "process/process.h"
#include "report/journal.h"
#include "report/record.h"
#include "shared/seat.h"

enum { RUNS = 200 };

/* Mappings without a gap between them: the writable ones, or the inaccessible ones. */
struct runs {
    struct run {
        uintptr_t start, end;
    } run[RUNS];
    size_t count;
};

static struct runs writable, closed, writable_before;

static void add(struct runs *r, uintptr_t start, uintptr_t end)
{
    if (r->count > 0 && r->run[r->count - 1].end == start) {
        r->run[r->count - 1].end = end;
        return;
    }
    assert_true(r->count < RUNS);
    r->run[r->count++] = (struct run){start, end};
}

/* Nothing is allocated here: that would be a mapping, too.  libc's heap and the stack grow. */
static void read_maps(void)
{
    static char text[1 << 18];
    size_t used = 0;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    for (ssize_t n; (n = read(fd, text + used, sizeof text - 1 - used)) > 0;)
        used += (size_t)n;
    close(fd);
    text[used] = '\0';
    writable.count = closed.count = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *at, *access;
        uintptr_t start = strtoul(line, &at, 16), end = strtoul(at + 1, &access, 16);
        if (strstr(line, "[heap]") != NULL || strstr(line, "[stack]") != NULL)
            continue;
        if (access[2] == 'w')
            add(&writable, start, end);
        else if (strncmp(access, " ---p", 5) == 0)
            add(&closed, start, end);
    }
}

static bool contains(const struct runs *r, uintptr_t p)
{
    for (size_t i = 0; i < r->count; i++)
        if (p >= r->run[i].start && p < r->run[i].end)
            return true;
    return false;
}

static bool was_there(const struct run *r)
{
    for (size_t i = 0; i < writable_before.count; i++)
        if (r->start >= writable_before.run[i].start && r->end <= writable_before.run[i].end)
            return true;
    return false;
}

/* A private heap grows in place. */
static bool is_open_behind(const struct run *r)
{
    return fo_region != NULL && !fo_layout.shared && fo_layout.base >= r->start &&
           fo_layout.base < r->end;
}

static size_t count_guarded(void)
{
    size_t count = 0;

    read_maps();
    for (size_t i = 0; i < writable.count; i++) {
        const struct run *r = &writable.run[i];
        if (was_there(r))
            continue;
        if (!contains(&closed, r->start - 1) || (!contains(&closed, r->end) && !is_open_behind(r)))
            fail_msg("%#lx-%#lx has no page in front or behind that cannot be touched", r->start,
                     r->end);
        count++;
    }
    return count;
}

static void allocate_some(void)
{
    for (size_t size = 1; size < 20000; size *= 3) {
        void *kept = fo_malloc(size, "a.c", 1), *freed = fo_malloc(size, "a.c", 2);
        assert_non_null(kept);
        fo_free(freed, "b.c", 3);
    }
}

/* With each option for which the library keeps memory. */
static void start(const char *backend)
{
    char folder[] = "/tmp/freeonce-apart-XXXXXX", journal[64];
    void *frame;

    assert_non_null(mkdtemp(folder));
    snprintf(journal, sizeof journal, "JOURNAL=%s/j", folder);
    free(malloc(100));    /* libc's heap */
    backtrace(&frame, 1); /* loads a library */
    read_maps();
    writable_before = writable;
    fixture_start(backend, "STACKS=8", "SHM_SIZE=8M", "GUARD_MAX=64", "TOMBSTONES=4096", journal,
                  NULL);
    allocate_some();
    fo_report_before_fork();
    assert_non_null(fo_journal);
    unlink(journal + strlen("JOURNAL="));
    rmdir(folder);
}

static void assert_guarded(const void *p, size_t size)
{
    uintptr_t end = ((uintptr_t)p + size + 4095) & ~(uintptr_t)4095;

    assert_true(contains(&closed, (uintptr_t)p - 1));
    assert_true(contains(&closed, end));
}

/* The process's page, counts of findings, stacks, journal, registry and quarantine. */
enum { AT_LEAST = 6 };

FRESH(all_that_is_the_librarys_lies_between_such_pages_with_arena)
{
    start("BACKEND=arena");
    assert_true(count_guarded() > AT_LEAST);
    assert_guarded(fo_journal, sizeof *fo_journal);
    assert_guarded(fo_hot.process, 4096);
}

FRESH(all_that_is_the_librarys_lies_between_such_pages_with_libc)
{
    start("BACKEND=libc");
    void *p = fo_malloc(40, "a.c", 1);
    assert_true(count_guarded() > AT_LEAST);
    uintptr_t part = (uintptr_t)p >> FO_LEAF_SHIFT << FO_LEAF_SHIFT;
    assert_guarded(fo_registry_slot_known(part), FO_LEAF_MAPPED);
}

FRESH(all_that_is_the_librarys_lies_between_such_pages_with_guard)
{
    start("BACKEND=guard");
    assert_true(count_guarded() > AT_LEAST + 2);
}

FRESH(all_that_is_the_librarys_lies_between_such_pages_with_shm)
{
    start("BACKEND=shm");
    assert_true(count_guarded() > AT_LEAST);
    assert_non_null(fo_seats);
    assert_guarded(fo_seats, sizeof *fo_seats);
}

/* --- core dumps ---------------------------------------------------------------------------------
 */

/* The size of shared mappings in a core dump, in KiB.  For the dump of one worker the kernel would
 * allocate each of their pages. */
static size_t count_dumped(void)
{
    FILE *in = fopen("/proc/self/smaps", "re");
    char line[512], access[8];
    size_t size = 0, dumped = 0;
    bool is_shared = false;

    assert_non_null(in);
    while (fgets(line, sizeof line, in) != NULL) {
        if (sscanf(line, "%*x-%*x %7s", access) == 1)
            is_shared = strcmp(access, "rw-s") == 0 && strstr(line, "/dev/zero") != NULL;
        sscanf(line, "Size: %zu kB", &size);
        if (is_shared && strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dd") == NULL)
            dumped += size;
    }
    fclose(in);
    return dumped;
}

FRESH(a_core_dump_has_little_of_what_processes_share)
{
    start("BACKEND=shm");
    assert_in_range(count_dumped(), 1, 6 << 10);
}

/* --- the mapping -------------------------------------------------------------------------------
 */

FRESH(such_memory_is_given_back_with_both_pages)
{
    char *p = fo_apart_map(5000, MAP_SHARED);

    assert_non_null(p);
    for (int i = 0; i < 8192; i++)
        assert_int_equal(p[i], 0);
    memset(p, 1, 8192);
    assert_true(fo_apart_map_over(p, 5000, MAP_PRIVATE));
    assert_int_equal(p[8191], 0);
    read_maps();
    assert_guarded(p, 5000);
    fo_apart_unmap(p, 5000);
    assert_int_equal(msync(p - 4096, 4096, MS_ASYNC), -1);
    assert_int_equal(msync(p + 8192, 4096, MS_ASYNC), -1);
}

FRESH(a_file_that_cannot_be_mapped_leaves_nothing_behind)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    read_maps();
    size_t before = closed.count;
    errno = 0;
    assert_null(fo_apart_map_file(5000, fd));
    assert_int_not_equal(errno, 0);
    read_maps();
    assert_int_equal(closed.count, before);
    close(fd);
}

/* Leave garbage on the stack, as other calls do. */
__attribute__((noinline)) static void fill_stack(void)
{
    volatile char garbage[4096];

    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = 0x7f;
}

FRESH(a_file_is_mapped_from_its_beginning)
{
    int fd = memfd_create("file", MFD_CLOEXEC);
    char *p;

    assert_int_equal(write(fd, "begin", 5), 5);
    assert_int_equal(ftruncate(fd, 5000), 0);
    fill_stack();
    p = fo_apart_map_file(5000, fd);
    assert_non_null(p);
    assert_int_equal(pwrite(fd, "B", 1, 0), 1);
    assert_int_equal(msync(p, 5000, MS_ASYNC), 0);
    assert_true(fo_is_readable((uintptr_t)p, 5));
    assert_memory_equal(p, "Begin", 5);
    fo_apart_unmap(p, 5000);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_the_librarys_lies_between_such_pages_with_arena),
        cmocka_unit_test(all_that_is_the_librarys_lies_between_such_pages_with_libc),
        cmocka_unit_test(all_that_is_the_librarys_lies_between_such_pages_with_guard),
        cmocka_unit_test(all_that_is_the_librarys_lies_between_such_pages_with_shm),
        cmocka_unit_test(a_core_dump_has_little_of_what_processes_share),
        cmocka_unit_test(such_memory_is_given_back_with_both_pages),
        cmocka_unit_test(a_file_that_cannot_be_mapped_leaves_nothing_behind),
        cmocka_unit_test(a_file_is_mapped_from_its_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
