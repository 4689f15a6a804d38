/* Are processes that share memory told apart when pid namespaces give them the same pid and tid? */
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "heap/region.h"
#include "process/life.h"
#include "process/living.h"
#include "shared/fork_id.h"
#include "locks.h"
#include "skipping.h"
#include "stepping.h"

enum { WORKERS = 3, BLOCKS = 200, PLENTY = 5000 };

static struct worker {
    pid_t outer; /* its pid in the test's own namespace */
    uint32_t pid, tid, id, index;
    uint32_t fork_id; /* OpenSSL's random generators get it instead of the pid */
    struct fo_cache *cache;
    void *blocks[BLOCKS];
    pthread_rwlock_t *lock;
    uint32_t stage; /* the last one that it reached */
    uint32_t limit; /* the last one that it may leave */
} * workers;

static struct fo_living *it;

static void await(const uint32_t *what, uint32_t value)
{
    while (__atomic_load_n(what, __ATOMIC_ACQUIRE) < value)
        sched_yield();
}

static void reach(struct worker *w, uint32_t stage)
{
    __atomic_store_n(&w->stage, stage, __ATOMIC_RELEASE);
    await(&w->limit, stage);
}

static void set_limit(struct worker *w, uint32_t stage)
{
    __atomic_store_n(&w->limit, stage, __ATOMIC_RELEASE);
}

static int new_namespace(void)
{
    return unshare(CLONE_NEWPID) == 0 ? 0 : unshare(CLONE_NEWUSER | CLONE_NEWPID);
}

static bool can_make_namespaces(void)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(new_namespace() != 0);
    return waitpid(child, &status, 0) == child && status == 0;
}

#define NEEDS_NAMESPACES()                                                                         \
    do {                                                                                           \
        if (!can_make_namespaces())                                                                \
            SKIP_BECAUSE("no pid namespaces (needs root)");                                        \
    } while (0)

/* A child in a pid namespace of its own, behind a process that waits for it. */
static pid_t start_apart(void (*body)(struct worker *), struct worker *w)
{
    int status;
    pid_t between = fork();

    if (between != 0)
        return between;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (new_namespace() != 0)
        _exit(1);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        body(w);
        _exit(0);
    }
    w->outer = child;
    waitpid(child, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 0);
}

static void expect_success(pid_t between)
{
    int status;

    assert_int_equal(waitpid(between, &status, 0), between);
    assert_int_equal(status, 0);
}

static void prepare(void)
{
    size_t size = WORKERS * sizeof *workers + sizeof *it;

    start(NULL);
    fo_free(block(16), "f.c", 1);
    assert_int_equal(fo_fork_id_apart(), 0);
    workers = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(workers, MAP_FAILED);
    it = (struct fo_living *)(workers + WORKERS);
    for (unsigned i = 0; i < WORKERS; i++)
        workers[i].lock = new_lock();
}

static void fill(struct worker *w)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        w->blocks[i] = block(16 + i * 8);
    w->pid = (uint32_t)getpid();
    w->tid = (uint32_t)syscall(SYS_gettid);
    w->id = fo_process_id();
    w->index = fo_process_self()->index;
    w->fork_id = fo_fork_id_apart();
    w->cache = fo_thread.cache;
}

static void drain(struct worker *w)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        fo_free(w->blocks[i], "f.c", 2);
}

/* --- all live ------------------------------------------------------------------------------------
 */

static void work(struct worker *w)
{
    fill(w);
    assert_int_equal(fo_rwlock_write(w->lock), 0);
    reach(w, 1);
    drain(w); /* these are another worker's blocks now */
    fill(w);
    assert_int_equal(fo_rwlock_unlock(w->lock), 0);
    drain(w);
    reach(w, 2);
}

static void exchange_blocks(void)
{
    void *first[BLOCKS];

    memcpy(first, workers[0].blocks, sizeof first);
    for (unsigned i = 0; i + 1 < WORKERS; i++)
        memcpy(workers[i].blocks, workers[i + 1].blocks, sizeof first);
    memcpy(workers[WORKERS - 1].blocks, first, sizeof first);
}

static void check_different(const struct worker *a, const struct worker *b)
{
    assert_int_equal(a->pid, 1);
    assert_int_equal(a->pid, b->pid);
    assert_int_equal(a->tid, b->tid);
    assert_int_not_equal(a->id, b->id);
    assert_int_not_equal(a->index, b->index);
    assert_int_not_equal(a->fork_id, 0);
    assert_int_not_equal(a->fork_id, b->fork_id);
    assert_ptr_not_equal(a->cache, b->cache);
    assert_int_not_equal(fo_living_owner(&a->cache->owner), fo_living_owner(&b->cache->owner));
}

static void check_untouched(const struct worker *w)
{
    assert_true(fo_life_is_running(fo_hot.tree, w->index));
    assert_false(fo_life_is_over(w->id));
    assert_false(fo_living_is_orphan(&w->cache->owner));
    assert_int_equal(fo_rwlock_try_write(w->lock), EBUSY);
    assert_int_equal(fo_rwlock_try_read(w->lock), EBUSY);
}

static void workers_with_the_same_numbers_keep_what_is_theirs_body(void)
{
    pid_t between[WORKERS];

    prepare();
    for (unsigned i = 0; i < WORKERS; i++) {
        between[i] = start_apart(work, &workers[i]);
        await(&workers[i].stage, 1);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        check_different(&workers[i], &workers[(i + 1) % WORKERS]);
        check_untouched(&workers[i]);
    }
    fo_caches_reclaim();
    exchange_blocks();
    for (unsigned i = 0; i < WORKERS; i++)
        set_limit(&workers[i], 1);
    for (unsigned i = 0; i < WORKERS; i++) {
        await(&workers[i].stage, 2);
        set_limit(&workers[i], 2);
        expect_success(between[i]);
    }
    assert_int_equal(walk().pages_lost, 0);
    fixture_expect("%s", "");
}

/* --- one of them is killed -----------------------------------------------------------------------
 */

static void the_killed_one_is_found_and_no_other_body(void)
{
    prepare();
    struct worker *dead = &workers[0], *living = &workers[1];
    pid_t first = start_apart(work, dead), second = start_apart(work, living);
    await(&dead->stage, 1);
    await(&living->stage, 1);
    kill(dead->outer, SIGKILL);
    expect_success(first);
    assert_false(fo_life_is_running(fo_hot.tree, dead->index));
    assert_true(fo_life_is_over(dead->id));
    assert_true(fo_living_is_orphan(&dead->cache->owner));
    check_untouched(living);
    assert_int_equal(fo_rwlock_write(dead->lock), 0);
    assert_int_equal(fixture_count("was left locked for writing"), 1);
    assert_int_equal(fo_rwlock_unlock(dead->lock), 0);
    fo_caches_reclaim();
    check_untouched(living);
    drain(dead);
    set_limit(living, 2);
    expect_success(second);
    assert_int_equal(walk().pages_lost, 0);
}

/* --- the same tid, killed while it claims --------------------------------------------------------
 */

static void claim_it(struct worker *w)
{
    assert_true(fo_living_claim(it, fo_living_me()));
    reach(w, 1);
    assert_true((it->owner & FO_LIVING_WATCHED) != 0);
    fo_living_release(it);
    assert_true(fo_living_claim(it, fo_living_me()));
    fo_living_release(it);
}

static void be_noticed(void)
{
    fo_living_me();
}

static void try_it(void)
{
    uint64_t me = fo_living_me();

    if (fo_living_claim(it, me) || fo_living_adopt(it, me))
        _exit(7);
}

/* False: the child ended before. */
static bool is_killed_at(unsigned steps)
{
    int status;
    pid_t between = fork();

    if (between == 0) {
        if (new_namespace() != 0)
            _exit(2);
        pid_t child = stepping_start(be_noticed, try_it);
        bool killed = stepping_lead(child, steps);
        if (killed)
            stepping_kill(child);
        _exit(killed);
    }
    assert_int_equal(waitpid(between, &status, 0), between);
    assert_true(WIFEXITED(status));
    assert_in_range(WEXITSTATUS(status), 0, 1);
    return WEXITSTATUS(status) == 1;
}

static void one_that_is_killed_leaves_what_another_has_body(void)
{
    unsigned steps = 1;

    prepare();
    stepping_on_one_processor();
    assert_true(fo_living_start(it, true));
    pid_t between = start_apart(claim_it, &workers[0]);
    await(&workers[0].stage, 1);
    for (; steps < PLENTY && is_killed_at(steps); steps++)
        assert_false(fo_living_is_orphan(it));
    assert_in_range(steps, 10, PLENTY - 1);
    set_limit(&workers[0], 1);
    expect_success(between);
}

#define TEST(name)                                                                                 \
    FRESH(name##_fresh)                                                                            \
    {                                                                                              \
        name##_body();                                                                             \
    }                                                                                              \
    static void name(void **state)                                                                 \
    {                                                                                              \
        NEEDS_NAMESPACES();                                                                        \
        name##_fresh(state);                                                                       \
    }

TEST(workers_with_the_same_numbers_keep_what_is_theirs)
TEST(the_killed_one_is_found_and_no_other)
TEST(one_that_is_killed_leaves_what_another_has)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_with_the_same_numbers_keep_what_is_theirs),
        cmocka_unit_test(the_killed_one_is_found_and_no_other),
        cmocka_unit_test(one_that_is_killed_leaves_what_another_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
