/* Which thread adopts what a dead owner had?  Wherever the owner was killed, and however two heirs
 * interleave: one of them, once. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "process/living.h"
#include "shared_heap.h"
#include "stepping.h"

enum { PLENTY = 5000 }; /* instructions: more than the longest call has */

static struct common {
    struct fo_living it;
    uint64_t heirs[2]; /* their processes' ids */
    bool has[2], over[2];
} * common;

static unsigned own_number; /* this heir is the first or the second */

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
    common->heirs[own_number] = fo_process_id();
    common->has[own_number] = fo_living_adopt(&common->it, fo_living_me());
    common->over[own_number] = true;
    for (;;)
        pause();
}

static pid_t start_heir(unsigned number)
{
    own_number = number;
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

static void reset(void)
{
    memset(common, 0, sizeof *common);
    assert_true(fo_living_start(&common->it, true));
}

/* At most one heir owns it, and it can be claimed again after both are dead. */
static void check_one_owner(pid_t first, pid_t second)
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

/* The late heir begins while the owner lives, and continues after the early one claimed it. */
static bool two_inherit(unsigned steps)
{
    reset();
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
    check_one_owner(early, late);
    return began;
}

FRESH(of_two_heirs_one_adopts)
{
    prepare();
    unsigned steps = 1;
    while (two_inherit(steps))
        steps++;
    assert_in_range(steps, 20, PLENTY);
}

/* False: the owner ended before. */
static bool killed_at(void (*before)(void), void (*in)(void), unsigned steps)
{
    reset();
    pid_t owner = stepping_start(before, in);
    bool killed = stepping_lead(owner, steps);

    if (killed)
        stepping_kill(owner);
    pid_t first = start_heir(0), second = start_heir(1);
    lead_to_the_end(first, 0);
    lead_to_the_end(second, 1);
    if (killed && common->it.owner != 0)
        assert_true(common->has[0]);
    check_one_owner(first, second);
    return killed;
}

FRESH(an_owner_killed_while_it_releases_has_one_heir)
{
    prepare();
    for (unsigned steps = 1; killed_at(claim, release, steps); steps++)
        ;
}

FRESH(an_owner_killed_while_it_claims_has_one_heir)
{
    prepare();
    for (unsigned steps = 1; killed_at(be_noticed, claim, steps); steps++)
        ;
}

static void inherit_without_robust_list(void *unused)
{
    (void)unused;
    syscall(SYS_set_robust_list, NULL, sizeof(struct robust_list_head)); /* as after clone(2) */
    common->has[0] = fo_living_adopt(&common->it, fo_living_me());
    kill(getpid(), SIGKILL);
}

static void claim_and_die(void *unused)
{
    (void)unused;
    claim();
    kill(getpid(), SIGKILL);
}

/* Without a robust list the kernel does not mark its end. */
FRESH(a_process_without_a_robust_list_adopts_nothing)
{
    prepare();
    reset();
    fork_and_wait(claim_and_die, NULL);
    fork_and_wait(inherit_without_robust_list, NULL);
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
        cmocka_unit_test(of_two_heirs_one_adopts),
        cmocka_unit_test(an_owner_killed_while_it_releases_has_one_heir),
        cmocka_unit_test(an_owner_killed_while_it_claims_has_one_heir),
        cmocka_unit_test(a_process_without_a_robust_list_adopts_nothing),
        cmocka_unit_test(the_question_for_an_ended_thread_leaves_errno_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
