/* Stacks that are walked by the sizes of frames that the unwinder has shown (report/frames.h). */
#include <alloca.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "fixture.h"
#include "report/frames.h"

enum { PAGE = 4096, LARGE = 64 * PAGE, SMALL = 8 * PAGE, FRAMES = 32 };

static ucontext_t program, routine;
static void *frames[FRAMES];
static int count;

/* Its frame is as large as `bytes`. */
static __attribute__((noinline)) void walk_with(size_t wanted)
{
    volatile size_t bytes = wanted; /* no copy of the function for a constant */
    volatile char *room = alloca(bytes);

    room[0] = 1;
    count = fo_frames_walk(frames, FRAMES);
    room[bytes - 1] = 1;
}

static void walk_often(size_t bytes)
{
    for (int i = 0; i < 10; i++)
        walk_with(bytes);
}

/* The same further down: the part of the stack that is known begins there. */
static __attribute__((noinline)) void walk_below(size_t bytes)
{
    volatile char room[8 * PAGE];

    room[0] = 1;
    walk_often(bytes);
    room[sizeof room - 1] = 1;
}

static void on_large_stack(void)
{
    walk_often(6 * PAGE);
    walk_below(6 * PAGE);
}

static void on_small_stack(void)
{
    walk_often(64);
}

static void run_on(char *stack, size_t size, void (*function)(void))
{
    getcontext(&routine);
    routine.uc_stack.ss_sp = stack;
    routine.uc_stack.ss_size = size;
    routine.uc_link = &program;
    makecontext(&routine, function, 0);
    swapcontext(&program, &routine);
}

/* The caller of walk_with() is above a frame whose size is another one than before: where it was,
 * there is nothing now. */
static void a_smaller_stack_at_the_same_place_is_not_left(void **state)
{
    char *stack =
        mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

    (void)state;
    assert_true(stack != MAP_FAILED);
    run_on(stack, LARGE, on_large_stack);
    assert_in_range(count, 3, FRAMES);
    assert_int_equal(munmap(stack + LARGE - 7 * PAGE, 7 * PAGE), 0);
    assert_int_equal(munmap(stack, LARGE - 7 * PAGE - SMALL), 0);
    run_on(stack + LARGE - 7 * PAGE - SMALL, SMALL, on_small_stack);
    assert_in_range(count, 3, FRAMES);
    munmap(stack + LARGE - 7 * PAGE - SMALL, SMALL);
}

static void a_known_stack_is_walked_alike(void **state)
{
    void *first[FRAMES];

    (void)state;
    walk_with(128);
    int expected = count;
    memcpy(first, frames, sizeof first);
    for (int i = 0; i < 1000; i++) {
        walk_with(128);
        assert_int_equal(count, expected);
        assert_memory_equal(&frames[2], &first[2], (size_t)(count - 2) * sizeof *frames);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_smaller_stack_at_the_same_place_is_not_left), /* no size was seen yet */
        cmocka_unit_test(a_known_stack_is_walked_alike),
    };

    return fo_frames_start() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
