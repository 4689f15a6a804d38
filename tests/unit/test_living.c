/* Who inherits from somebody who is gone?  Whatever he was killed in, and however two who want it
 * come between each other: one of them, once. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "process/living.h"
#include "shared_heap.h"
#include "stepping.h"

enum { PLENTY = 5000 }; /* instructions: more than it takes */

static struct common {
    struct fo_living it;
    uint64_t heirs[2]; /* their processes' ids */
    bool has[2], over[2];
} * common;

static unsigned who; /* of the two */

static void be_noticed(void)
{
    fo_living_me();
}

static void claim(void)
{
    assert_true(fo_living_claim(&common->it, fo_living_me()));
}

static void release(void)
{
    fo_living_release(&common->it);
}

static uint64_t owner_process(void)
{
    return fo_living_owner(&common->it) >> 32;
}

static void inherit(void)
{
    common->heirs[who] = fo_process_id();
    common->has[who] = fo_living_adopt(&common->it, fo_living_me());
    common->over[who] = true;
    for (;;)
        pause();
}

static pid_t start_heir(unsigned number)
{
    who = number;
    return stepping_start(be_noticed, inherit);
}

static void lead_to_the_end(pid_t heir, unsigned number)
{
    for (unsigned i = 0; i < PLENTY && !common->over[number]; i++)
        assert_true(stepping_lead(heir, 1));
    assert_true(common->over[number]);
}

static void prepare(void)
{
    start(NULL);
    block(16);
    common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(common, MAP_FAILED);
    stepping_on_one_processor();
}

static void anew(void)
{
    memset(common, 0, sizeof *common);
    assert_true(fo_living_start(&common->it, true));
}

/* Is it to be had again, by one? */
static void ends_well(pid_t first, pid_t second)
{
    assert_false(common->has[0] && common->has[1]);
    assert_true(owner_process() == (common->has[0]   ? common->heirs[0]
                                    : common->has[1] ? common->heirs[1]
                                                     : 0));
    stepping_kill(first);
    stepping_kill(second);
    uint64_t me = fo_living_me();
    assert_true(fo_living_claim(&common->it, me) || fo_living_adopt(&common->it, me));
    fo_living_release(&common->it);
}

/* The one has begun when the owner lived, and goes on when the other one has it. */
static bool two_inherit(unsigned steps)
{
    anew();
    pid_t owner = stepping_start(claim, release), late = start_heir(1);
    stepping_lead(late, steps);
    bool began = !common->over[1];
    while ((common->it.owner & FO_LIVING_WATCHED) != 0)
        assert_true(stepping_lead(owner, 1));
    stepping_kill(owner);
    pid_t early = start_heir(0);
    while (!common->over[0] && (common->heirs[0] == 0 || owner_process() != common->heirs[0]))
        assert_true(stepping_lead(early, 1));
    lead_to_the_end(late, 1);
    lead_to_the_end(early, 0);
    ends_well(early, late);
    return began;
}

FRESH(of_two_who_inherit_one_does)
{
    prepare();
    unsigned steps = 1;
    while (two_inherit(steps))
        steps++;
    assert_in_range(steps, 20, PLENTY);
}

/* False: it was released. */
static bool killed_at(void (*before)(void), void (*in)(void), unsigned steps)
{
    anew();
    pid_t owner = stepping_start(before, in);
    bool killed = stepping_lead(owner, steps);

    if (killed)
        stepping_kill(owner);
    pid_t first = start_heir(0), second = start_heir(1);
    lead_to_the_end(first, 0);
    lead_to_the_end(second, 1);
    if (killed && common->it.owner != 0)
        assert_true(common->has[0]);
    ends_well(first, second);
    return killed;
}

FRESH(whoever_is_killed_while_he_releases_leaves_it_to_one)
{
    prepare();
    for (unsigned steps = 1; killed_at(claim, release, steps); steps++)
        ;
}

FRESH(whoever_is_killed_while_he_claims_leaves_it_to_one)
{
    prepare();
    for (unsigned steps = 1; killed_at(be_noticed, claim, steps); steps++)
        ;
}

static void inherit_unseen(void *unused)
{
    (void)unused;
    syscall(SYS_set_robust_list, NULL, sizeof(struct robust_list_head)); /* as after clone(2) */
    common->has[0] = fo_living_adopt(&common->it, fo_living_me());
    kill(getpid(), SIGKILL);
}

static void claim_and_vanish(void *unused)
{
    (void)unused;
    claim();
    kill(getpid(), SIGKILL);
}

/* The kernel would not tell of its end. */
FRESH(a_process_made_by_clone_inherits_nothing_that_it_would_not_leave)
{
    prepare();
    anew();
    fork_and_forget(claim_and_vanish, NULL);
    fork_and_forget(inherit_unseen, NULL);
    assert_true(fo_living_adopt(&common->it, fo_living_me()));
}

static void *end(void *owner)
{
    *(uint64_t *)owner = fo_living_me();
    return NULL;
}

FRESH(the_question_for_an_ended_thread_leaves_errno_alone)
{
    pthread_t thread;
    uint64_t owner;

    prepare();
    assert_int_equal(pthread_create(&thread, NULL, end, &owner), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    errno = EXFULL;
    while (fo_living_is_running(owner)) /* the kernel ends it a moment after the join */
        sched_yield();
    assert_int_equal(errno, EXFULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_two_who_inherit_one_does),
        cmocka_unit_test(whoever_is_killed_while_he_releases_leaves_it_to_one),
        cmocka_unit_test(whoever_is_killed_while_he_claims_leaves_it_to_one),
        cmocka_unit_test(a_process_made_by_clone_inherits_nothing_that_it_would_not_leave),
        cmocka_unit_test(the_question_for_an_ended_thread_leaves_errno_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
