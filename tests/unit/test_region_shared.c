/* Backend shm with several processes: is it one heap for all of them, and is it whole after some of
 * them were killed?  For a kill at each instruction see test_region_kills.c. */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared_heap.h"

/* --- one heap ------------------------------------------------------------------------------------
 */

static void **common; /* shared by the processes: a block in the heap itself */

static void make_one(void *unused)
{
    (void)unused;
    common[0] = block(100);
    common[1] = block(20000);
}

static void free_them(void *unused)
{
    (void)unused;
    fo_free(common[0], "child.c", 1);
    fo_free(common[1], "child.c", 1);
}

FRESH(a_block_is_the_same_in_every_process)
{
    start(NULL);
    common = block(64);
    fixture_fork(make_one, NULL);
    assert_int_equal(((char *)common[0])[99], 7);
    assert_int_equal(walk().live, 3);
    fo_free(common[0], "f.c", 1);
    fo_free(common[1], "f.c", 1);
    assert_int_equal(walk().live, 1);
    fixture_expect("%s", "");
}

FRESH(a_free_by_two_processes_names_both)
{
    start(NULL);
    common = block(64);
    make_one(NULL);
    int child = fixture_fork(free_them, NULL);
    fo_free(common[0], "f.c", 7);
    fixture_expect("freeonce: double free of block %p (100 bytes), skipped\n"
                   "  allocated    new.c:1                   pid %d (unit)\n"
                   "  freed first  child.c:1                 pid %d (unit), forked from %d\n"
                   "  freed again  f.c:7                     pid %d (unit)\n",
                   common[0], (int)getpid(), child, (int)getpid(), (int)getpid());
    fo_free(common[1], "f.c", 8);
    assert_int_equal(fixture_count("double free"), 1);
}

static void exhaust(unsigned *count)
{
    for (void *p; (p = fo_malloc(4000, "new.c", 1)) != NULL; ++*count) {
        *(void **)p = *common;
        *common = p;
    }
}

static void free_chain(void *unused)
{
    (void)unused;
    for (void *p = *common, *next; p != NULL; p = next) {
        next = *(void **)p;
        fo_free(p, "f.c", 1);
    }
    *common = NULL;
}

FRESH(a_full_heap_refuses_as_malloc_does_and_reports_it_once)
{
    unsigned first = 0, second = 0;

    fixture_start("BACKEND=shm", "SHM_SIZE=8M", NULL);
    common = memset(block(64), 0, 64);
    exhaust(&first);
    assert_in_range(first, 1000, 2100);
    assert_null(fo_malloc(100000, "new.c", 1));
    assert_int_equal(fixture_count("backend shm is full"), 1);
    assert_int_equal(walk().live, first + 1);
    free_chain(NULL);
    exhaust(&second);
    assert_in_range(second, first * 9 / 10, first * 11 / 10);
    assert_int_equal(fixture_count("freeonce: "), 1);
}

/* A region of 8 MiB has 64 magazines, a cache two for each of 56 sizes. */
FRESH(without_magazines_each_size_is_served)
{
    fixture_start("BACKEND=shm", "SHM_SIZE=8M", NULL);
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        void *p = fo_malloc(fo_class_payload(c), "new.c", 1);
        assert_non_null(p);
        fo_free(p, "f.c", 1);
    }
    assert_int_equal(walk().live, 0);
    fixture_expect("%s", "");
}

static void free_chain_and_die(void *unused)
{
    free_chain(unused);
    kill(getpid(), SIGKILL);
}

FRESH(what_waits_in_the_cache_of_the_dead_serves_when_there_is_nothing_else)
{
    unsigned first = 0, second = 0;

    fixture_start("BACKEND=shm", "SHM_SIZE=8M", "QUARANTINE=1G", NULL);
    common = memset(block(64), 0, 64);
    exhaust(&first);
    fork_and_wait(free_chain_and_die, NULL);
    exhaust(&second);
    assert_in_range(second, first * 8 / 10, first);
    assert_in_range(walk().lost, 0, 1);
}

/* --- more threads than caches --------------------------------------------------------------------
 */

enum { MANY = 24, EACH = 50 };

static void work_and_wait(unsigned number)
{
    void *blocks[EACH];

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bool all = true;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < EACH; i++)
            all &= (blocks[i] = fo_malloc(i == 0 ? 100000 : 48, "new.c", 1)) != NULL;
        for (int i = 0; i < EACH; i++)
            fo_free(blocks[i], "free.c", 1);
    }
    common[number] = all ? common : NULL;
    for (;;)
        all ? (void)pause() : _exit(1);
}

/* A region of 8 MiB has 16 caches. */
FRESH(more_processes_than_caches_get_their_blocks)
{
    pid_t child[MANY];

    fixture_start("BACKEND=shm", "SHM_SIZE=8M", NULL);
    common = memset(block(MANY * sizeof *common), 0, MANY * sizeof *common);
    assert_in_range(fo_layout.cache_count, 1, MANY - 1);
    for (unsigned i = 0; i < MANY; i++)
        if ((child[i] = fork()) == 0)
            work_and_wait(i);
    for (unsigned i = 0; i < MANY; i++)
        while (__atomic_load_n(&common[i], __ATOMIC_ACQUIRE) == NULL)
            assert_int_equal(waitpid(child[i], NULL, WNOHANG), 0);
    fo_caches_reclaim(); /* runs that processes without a cache have kept */
    assert_int_equal(walk().pages_lost, 0);
    for (unsigned i = 0; i < MANY; i++) {
        kill(child[i], SIGKILL);
        assert_int_equal(waitpid(child[i], NULL, 0), child[i]);
    }
    fo_caches_reclaim();
    struct fo_walk w = walk();
    assert_int_equal(w.live, 1);
    assert_int_equal(w.lost + w.pages_lost + w.magazines_lost, 0);
    fixture_expect("%s", "");
}

static void write_over_and_die(void *unused)
{
    char *p = block(1000);

    (void)unused;
    fo_free(p, "free.c", 1);
    memset(p - sizeof(struct fo_header), 'x', sizeof(struct fo_header));
    kill(getpid(), SIGKILL);
}

FRESH(a_write_to_a_freed_block_is_reported_though_its_owner_was_killed)
{
    start("QUARANTINE=0", NULL);
    block(16);
    fork_and_wait(write_over_and_die, NULL);
    fo_caches_reclaim();
    assert_int_equal(fixture_count("write to the header of freed block"), 1);
    assert_int_equal(walk().lost, 0);
}

static pid_t gone;

static void *end_by_system_call(void *unused)
{
    while (fo_cache_own() == NULL) /* until it has called often enough to own one */
        fo_free(block(1000), "thread.c", 1);
    __atomic_store_n(&gone, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    syscall(SYS_exit, 0);
    return unused;
}

FRESH(what_a_thread_had_that_ended_by_a_system_call_serves_when_there_is_nothing_else)
{
    pthread_t thread;
    pid_t id;

    start("QUARANTINE=0", NULL);
    block(16);
    pthread_create(&thread, NULL, end_by_system_call, NULL);
    while ((id = __atomic_load_n(&gone, __ATOMIC_ACQUIRE)) == 0 ||
           syscall(SYS_tgkill, getpid(), id, 0) == 0)
        sched_yield();
    assert_int_not_equal(fo_cache_at(1)->owner.owner, 0);
    fo_caches_reclaim();
    assert_int_equal(fo_cache_at(1)->owner.owner, 0);
    walk();
}

/* --- random kills --------------------------------------------------------------------------------
 */

enum { SLOTS = 64 };

static void storm(void *number)
{
    uint64_t seed = (uint64_t)(uintptr_t)number;
    void **slots = common;

    for (;;) {
        unsigned bits = 4 + (unsigned)(fixture_random(&seed) % 12);
        size_t size = 16 + (size_t)(fixture_random(&seed) & ((UINT64_C(1) << bits) - 1));
        void *p = fo_malloc(size, "new.c", 1);
        p = __atomic_exchange_n(&slots[fixture_random(&seed) % SLOTS], p, __ATOMIC_ACQ_REL);
        if (p != NULL)
            fo_free(p, "free.c", 1);
    }
}

/* As a server does that forks for each connection; the next process uses what is left. */
static void take_few_and_die(void *unused)
{
    (void)unused;
    for (unsigned c = 0; c < FO_REGION_CLASSES; c += 3)
        fo_free(block(fo_class_payload(c)), "f.c", 1);
    block(48);
    kill(getpid(), SIGKILL);
}

FRESH(what_the_dead_had_hardly_used_serves_later_processes)
{
    enum { FIRST = 20, MANY_MORE = SMALL ? 100 : 400 };

    start(NULL);
    block(16);
    for (int i = 0; i < FIRST; i++)
        fork_and_wait(take_few_and_die, NULL);
    uint32_t pages = fo_region->pages, magazines = fo_region->magazines;
    for (int i = 0; i < MANY_MORE; i++)
        fork_and_wait(take_few_and_die, NULL);
    assert_in_range(fo_region->magazines, magazines, magazines + 8);
    assert_in_range(fo_region->pages, pages, pages + 2);
    assert_int_equal(walk().live, 1 + FIRST + MANY_MORE);
}

FRESH(killed_workers_leave_a_whole_heap_and_few_caches)
{
    enum { WORKERS = 4, KILLS = SMALL ? 40 : 300 };
    pid_t workers[WORKERS] = {0};
    uint64_t seed = 11;
    int status;

    start(NULL);
    common = memset(block(SLOTS * sizeof(void *)), 0, SLOTS * sizeof(void *));
    for (int i = 0; i < KILLS + WORKERS; i++) {
        pid_t *at = &workers[i % WORKERS];
        if (*at != 0) {
            kill(*at, SIGKILL);
            assert_int_equal(waitpid(*at, &status, 0), *at);
        }
        if (i < KILLS && (*at = fork()) == 0)
            storm((void *)(uintptr_t)(i + 1));
        usleep((useconds_t)(fixture_random(&seed) % 3000));
    }
    assert_in_range(fo_region->caches, 2, 2 * WORKERS + 2);
    fo_caches_reclaim();
    struct fo_walk w = walk();
    assert_in_range(w.lost, 0, KILLS);
    assert_in_range(w.live, 1, SLOTS + 1 + KILLS); /* and a block in flight for each kill */
    fixture_expect("%s", "");
}

/* --- a clone without a fork handler --------------------------------------------------------------
 */

static void *allocate_first(void *unused)
{
    fo_free(block(40), "thread.c", 1);
    return unused;
}

/* Its main thread still refers to the parent's cache when another thread notices the fork. */
FRESH(a_cloned_child_whose_second_thread_is_first_leaves_its_parents_cache_alone)
{
    int status;
    pthread_t thread;

    if (SMALL) /* sanitizers do not survive such a fork */
        return;
    start(NULL);
    fo_free(block(40), "f.c", 1);
    struct fo_cache *parents = fo_thread.cache;
    pid_t child = fixture_clone();
    if (child == -1)
        return;
    if (child == 0) {
        bool good = pthread_create(&thread, NULL, allocate_first, NULL) == 0 &&
                    pthread_join(thread, NULL) == 0;
        fo_free(block(40), "child.c", 1);
        _exit(good && fo_thread.cache != parents &&
                      fo_thread.cache->owner.owner >> 32 == fo_process_id()
                  ? 0
                  : 3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(walk().live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_the_same_in_every_process),
        fixture_test_of_hooks(a_free_by_two_processes_names_both),
        fixture_test_of_hooks(a_full_heap_refuses_as_malloc_does_and_reports_it_once),
        cmocka_unit_test(without_magazines_each_size_is_served),
        cmocka_unit_test(what_waits_in_the_cache_of_the_dead_serves_when_there_is_nothing_else),
        cmocka_unit_test(a_write_to_a_freed_block_is_reported_though_its_owner_was_killed),
        cmocka_unit_test(
            what_a_thread_had_that_ended_by_a_system_call_serves_when_there_is_nothing_else),
        cmocka_unit_test(more_processes_than_caches_get_their_blocks),
        cmocka_unit_test(what_the_dead_had_hardly_used_serves_later_processes),
        cmocka_unit_test(killed_workers_leave_a_whole_heap_and_few_caches),
        cmocka_unit_test(
            a_cloned_child_whose_second_thread_is_first_leaves_its_parents_cache_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
