/* Forks, and samples of guarded blocks. */
#include "guard.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 256, CHILDREN = 8 };

static void await_children(int expected_signal)
{
    int status;

    while (wait(&status) > 0)
        CHECK(expected_signal != 0 ? WIFSIGNALED(status) && WTERMSIG(status) == expected_signal
                                   : status == 0);
}

/* Parent and child each own a copy: both may free it. */
static void both_free(void)
{
    char *p = OPENSSL_malloc(64);

    memset(p, 'p', 64);
    if (fork() == 0) {
        CHECK(p[0] == 'p');
        p[0] = 'c';
        OPENSSL_free(p);
        _exit(0);
    }
    await_children(0);
    CHECK(p[0] == 'p');
    OPENSSL_free(p);
}

static void child_frees_freed(void)
{
    char *p = ALLOC("alloc", 64);

    FREE("first", p);
    if (fork() == 0) {
        FREE("now", launder(p));
        _exit(0);
    }
    await_children(0);
}

static void child_faults(void)
{
    char *p = ALLOC("alloc", 64);

    FREE("first", p);
    if (fork() == 0)
        read_at(p, 3);
    await_children(11);
    OPENSSL_free(OPENSSL_malloc(64));
}

/* How many blocks of 4,000 are guarded, with a rate. */
static void sample(void)
{
    int guarded = 0;

    for (int i = 0; i < 4000; i++) {
        void *p = OPENSSL_malloc(32);
        guarded += is_guarded(p, 32);
        OPENSSL_free(p);
    }
    fact("guarded", (uintptr_t)guarded);
}

/* Which of the next blocks are guarded, as 64 bits. */
static uintptr_t pattern(void)
{
    uintptr_t bits = 0;

    for (int i = 0; i < 64; i++) {
        void *p = OPENSSL_malloc(32);
        bits = bits << 1 | is_guarded(p, 32);
        OPENSSL_free(p);
    }
    return bits;
}

static void sample_forked(void)
{
    fact("pattern", pattern());
    for (int i = 0; i < CHILDREN; i++)
        if (fork() == 0) {
            fact("pattern", pattern());
            _exit(0);
        }
    await_children(0);
}

const struct guard_case process_cases[] = {
    {"both-free", both_free},         {"child-frees-freed", child_frees_freed},
    {"child-faults", child_faults},   {"sample", sample},
    {"sample-forked", sample_forked}, {NULL, NULL},
};
