/* Is shared memory noticed, in whichever segment of the program's pool it is? */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/origins.h"
#include "base/hot.h"
#include "block/hooks.h"
#include "block/registry.h"
#include "options/options.h"
#include "shared/cures.h"
#include "shared/shared.h"
#include "pool.h"

static const size_t HALF = 1 << 20;

/* A pool that uses two segments in turn. */
static char *segments[2];
static size_t used[2];
static unsigned calls;

static void *segment_malloc(size_t size, const char *file, int line)
{
    unsigned i = calls++ % 2;
    void *p = segments[i] + used[i];

    (void)file;
    (void)line;
    used[i] += (size + 15) & ~(size_t)15;
    return p;
}

static void *segment_realloc(void *block, size_t size, const char *file, int line)
{
    (void)block;
    return segment_malloc(size, file, line);
}

static void segment_free(void *block, const char *file, int line)
{
    (void)block;
    (void)file;
    (void)line;
}

static void use_segments(int sharing)
{
    segments[0] = mmap(NULL, 2 * HALF, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(segments[0], MAP_FAILED);
    segments[1] = mmap(segments[0] + HALF, HALF, PROT_READ | PROT_WRITE,
                       sharing | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    assert_ptr_equal(segments[1], segments[0] + HALF);
    fo_host = (struct fo_host){segment_malloc, segment_realloc, segment_free};
    assert_true(fo_shared_prepare()); /* as when the program registers its functions */
}

FRESH(a_shared_pool_is_noticed_by_its_first_block)
{
    fixture_start("CURES=locks", NULL);
    use_segments(MAP_SHARED);
    void *p = fo_malloc(100, "a.c", 1);
    assert_true(fo_hot.shared);
    assert_true(fo_origins_share((uintptr_t)p));
    assert_true(fo_cure_is_applied(FO_CURE_LOCKS));
    assert_false(fo_cure_is_applied(FO_CURE_STATE | FO_CURE_EXIT | FO_CURE_IDENTITY));
    assert_false(fo_origins_share((uintptr_t)&p));
}

FRESH(a_private_pool_gets_no_cures)
{
    fixture_start(NULL);
    use_segments(MAP_PRIVATE);
    void *p = fo_malloc(100, "a.c", 1);
    assert_false(fo_hot.shared);
    assert_false(fo_origins_share((uintptr_t)p));
    assert_false(fo_cure_is_applied(FO_CURES_ALL));
}

FRESH(every_segment_of_a_shared_pool_is_known)
{
    fixture_start("CURES=locks", NULL);
    use_segments(MAP_SHARED);
    for (int i = 0; i < 4; i++) /* locks must be process-shared in all of them */
        assert_true(fo_origins_share((uintptr_t)fo_malloc(100, "a.c", i)));
}

FRESH(a_block_that_one_process_freed_is_freed_for_all)
{
    fixture_start("CURES=none", NULL);
    use_segments(MAP_SHARED);
    void *p = fo_malloc(100, "a.c", 1);
    int status;
    pid_t child = fork();
    if (child == 0) {
        fo_free(p, "b.c", 2);
        _exit(0);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    fo_free(p, "c.c", 3);
    fixture_expect("freeonce: double free of block %p (100 bytes), skipped\n"
                   "  allocated    a.c:1                     pid %d (unit)\n"
                   "  freed first  b.c:2                     pid %d (unit), forked from %d\n"
                   "  freed again  c.c:3                     pid %d (unit)\n",
                   p, (int)getpid(), (int)child, (int)getpid(), (int)getpid());
}

FRESH(a_leaf_made_by_a_child_is_shared_by_all)
{
    fixture_start("CURES=none", NULL);
    use_segments(MAP_SHARED);
    fo_free(fo_malloc(100, "a.c", 1), "a.c", 2);
    pid_t child = fork();
    if (child == 0) {
        *fo_registry_slot_make(0x123450000000) = FO_SLOT_LIVE;
        _exit(0);
    }
    waitpid(child, NULL, 0);
    assert_non_null(fo_registry_slot(0x123450000000));
    assert_int_equal(*fo_registry_slot(0x123450000000), FO_SLOT_LIVE);
}

/* The registry has no room for another map; the program's memory must work all the same. */
FRESH(a_private_pool_works_under_a_limit_of_address_space)
{
    unsigned long pages;

    if (FIXTURE_ASAN) /* its own addresses exceed any limit */
        return;
    fixture_start(NULL);
    use_segments(MAP_PRIVATE);
    FILE *f = fopen("/proc/self/statm", "r");
    assert_int_equal(fscanf(f, "%lu", &pages), 1);
    fclose(f);
    const rlim_t limit = pages * 4096 + (24 << 20); /* a leaf fits */
    setrlimit(RLIMIT_AS, &(struct rlimit){limit, limit});
    assert_non_null(fo_malloc(100, "a.c", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shared_pool_is_noticed_by_its_first_block),
        cmocka_unit_test(a_private_pool_gets_no_cures),
        cmocka_unit_test(every_segment_of_a_shared_pool_is_known),
        cmocka_unit_test(a_block_that_one_process_freed_is_freed_for_all),
        cmocka_unit_test(a_leaf_made_by_a_child_is_shared_by_all),
        cmocka_unit_test(a_private_pool_works_under_a_limit_of_address_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
