/* How much memory do threads keep that used OpenSSL for a moment and are idle since?  The test
 * counts the caches and the resident memory of the heap. */
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/hooks.h"
#include "fixture.h"
#include "process/process.h"
#include "whole_heap.h"

enum { FEW = FIXTURE_TSAN || FIXTURE_ASAN, OTHERS = FEW ? 100 : 2100, ROUNDS = 20 };

/* Blocks of many sizes, most of them small, a few at a time, as in a handshake. */
static void shake_hands(void)
{
    void *blocks[8];

    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned c = 0; c < FO_REGION_CLASSES; c += c < 16 ? 1 : 3) {
            unsigned count = c < 16 ? 8 : 1;
            for (unsigned i = 0; i < count; i++)
                blocks[i] = memset(fo_malloc(fo_class_payload(c), "new.c", 1), 7, 16);
            free_blocks(blocks, count);
        }
}

struct idler {
    pthread_t thread;
    sem_t is_idle, may_end;
};

static void *be_idle(void *argument)
{
    struct idler *me = argument;

    shake_hands();
    sem_post(&me->is_idle);
    sem_wait(&me->may_end);
    return NULL;
}

static void start_idler(struct idler *one)
{
    pthread_attr_t small;

    sem_init(&one->is_idle, 0, 0);
    sem_init(&one->may_end, 0, 0);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 << 10);
    assert_int_equal(pthread_create(&one->thread, &small, be_idle, one), 0);
    pthread_attr_destroy(&small);
    sem_wait(&one->is_idle);
}

static void end_idler(struct idler *one)
{
    sem_post(&one->may_end);
    assert_int_equal(pthread_join(one->thread, NULL), 0);
}

/* Resident memory of pages and magazines, in KiB. */
static size_t resident(void)
{
    size_t count = fo_region->magazines * (size_t)FO_MAGAZINE_END * 2 / 4096;

    for (uint32_t page = 1; page < fo_region->pages; page++) {
        unsigned char in[FO_PAGE_SIZE / 4096];
        assert_int_equal(mincore((void *)fo_page_start(page), FO_PAGE_SIZE, in), 0);
        for (unsigned i = 0; i < sizeof in; i++)
            count += in[i] & 1;
    }
    return count * 4;
}

/* One cache is lent to all threads, and each dozen handshakes makes another one that is owned. */
static void check_idle_threads(uint32_t threads, size_t before)
{
    uint32_t calls = threads * ROUNDS * (16 * 8 + 14) * 2;

    assert_in_range(fo_region->caches, 1, 2 + calls / FO_CALLS_TO_OWN);
    assert_in_range(fo_region->caches, 1, fo_layout.owned_most);
    assert_int_equal(fo_region->lent, 1);
    assert_in_range(resident(), before, before + 512 + (size_t)threads * 32);
}

static void check_idle_memory(void)
{
    static struct idler idlers[OTHERS];
    const uint32_t many[] = {10, 200, OTHERS};
    uint32_t n = 0;

    shake_hands();
    size_t before = resident();
    for (unsigned i = 0; i < sizeof many / sizeof *many; i++) {
        for (; n < many[i] && n < OTHERS; n++)
            start_idler(&idlers[n]);
        check_idle_threads(n, before);
    }
    for (uint32_t i = 0; i < n; i++)
        end_idler(&idlers[i]);
    uint32_t caches = fo_region->caches, pages = fo_region->pages;
    for (unsigned i = 0; i < 20; i++) { /* their memory serves again */
        start_idler(&idlers[0]);
        end_idler(&idlers[0]);
    }
    assert_in_range(fo_region->caches, caches, caches + 3);
    assert_in_range(fo_region->pages, pages, pages + 40);
    walk();
    fixture_expect("%s", "");
}

FRESH(idle_threads_keep_next_to_nothing)
{
    fixture_start("BACKEND=arena", NULL);
    check_idle_memory();
}

FRESH(idle_threads_keep_next_to_nothing_in_shared_memory)
{
    fixture_start("BACKEND=shm", "SHM_SIZE=1G", NULL);
    check_idle_memory();
}

/* --- ownership of caches -------------------------------------------------------------------------
 */

static void *call_often(void *had)
{
    while (fo_cache_own() == NULL)
        fo_free(fo_malloc(100, "often.c", 1), "often.c", 2);
    *(struct fo_cache **)had = fo_cache_own();
    return NULL;
}

static void *call_once(void *had)
{
    fo_free(fo_malloc(100, "once.c", 1), "once.c", 2);
    *(struct fo_cache **)had = fo_cache_own();
    return NULL;
}

static struct fo_cache *cache_of(void *(*body)(void *))
{
    struct fo_cache *had = NULL;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, body, &had), 0);
    pthread_join(thread, NULL);
    return had;
}

FRESH(a_thread_that_calls_often_owns_one_and_releases_it_at_its_end)
{
    fixture_start("BACKEND=arena", NULL);
    fo_free(fo_malloc(100, "main.c", 1), "main.c", 2);
    assert_null(cache_of(call_once));
    struct fo_cache *had = cache_of(call_often);
    assert_ptr_not_equal(had, fo_cache_own());
    assert_int_equal(had->owner.owner, 0);
    assert_ptr_equal(cache_of(call_once), had);
    assert_ptr_equal(cache_of(call_often), had);
    assert_int_equal(fo_region->caches, 2);
}

static void *call_and_jump_out(void *had)
{
    call_once(had);
    assert_true(fo_cache_enter()); /* a signal handler left the call by longjmp(3) here */
    fo_free(fo_malloc(100, "jump.c", 1), "jump.c", 2);
    *(struct fo_cache **)had = fo_cache_own();
    return NULL;
}

FRESH(a_call_that_is_left_by_another_way_keeps_its_cache_until_the_thread_ends)
{
    fixture_start("BACKEND=arena", NULL);
    fo_free(fo_malloc(100, "main.c", 1), "main.c", 2);
    struct fo_cache *had = cache_of(call_and_jump_out);
    assert_non_null(had);
    assert_int_equal(had->owner.owner, 0);
    assert_int_equal(fo_region->lent, 1);
}

static void *fork_in_a_call(void *failed)
{
    int status;
    void *p = fo_malloc(100, "fork.c", 1);

    assert_true(fo_cache_enter());
    pid_t child = fork();
    if (child == 0) { /* the call continues in both processes */
        fo_free(p, "child.c", 1);
        fo_cache_leave();
        bool good = walk().wrong == 0 && fo_malloc(100, "child.c", 2) != NULL &&
                    fo_thread.lent->owner.owner == 0;
        _exit(good ? 0 : 1);
    }
    fo_free(p, "parent.c", 1);
    fo_cache_leave();
    assert_int_equal(waitpid(child, &status, 0), child);
    *(bool *)failed = status != 0;
    return NULL;
}

FRESH(a_fork_in_the_middle_of_a_call_leaves_each_its_own)
{
    pthread_t thread;
    bool failed = true;

    if (FEW) /* sanitizers do not survive such a fork */
        return;
    fixture_start("BACKEND=arena", NULL);
    fo_free(fo_malloc(100, "main.c", 1), "main.c", 2);
    assert_int_equal(pthread_create(&thread, NULL, fork_in_a_call, &failed), 0);
    pthread_join(thread, NULL);
    assert_false(failed);
    assert_int_equal(fo_region->lent, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_threads_keep_next_to_nothing),
        cmocka_unit_test(idle_threads_keep_next_to_nothing_in_shared_memory),
        cmocka_unit_test(a_thread_that_calls_often_owns_one_and_releases_it_at_its_end),
        cmocka_unit_test(a_call_that_is_left_by_another_way_keeps_its_cache_until_the_thread_ends),
        cmocka_unit_test(a_fork_in_the_middle_of_a_call_leaves_each_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
