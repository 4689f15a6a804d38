/* Is the heap of backend shm whole after a process was killed while it, or another one, reclaimed
 * pages? */
#include "meeting.h"

FRESH(killed_while_it_makes_room_and_another_takes)
{
    meet(&(struct meeting){.victim = {give_most, give_the_rest_and_make_room},
                           .witness = {nothing, take_some},
                           .full = true});
}

FRESH(killed_while_it_takes_and_another_makes_room)
{
    meet(&(struct meeting){.victim = {nothing, take_some_and_give_them},
                           .witness = {give_most, give_the_rest_and_make_room},
                           .full = true});
}

FRESH(others_work_while_a_process_recovers_from_one_that_made_room)
{
    meet(&(struct meeting){.victim = {give_most, give_the_rest_and_make_room},
                           .witness = {nothing, clear_up},
                           .afterwards = true,
                           .full = true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_while_it_makes_room_and_another_takes),
        cmocka_unit_test(killed_while_it_takes_and_another_makes_room),
        cmocka_unit_test(others_work_while_a_process_recovers_from_one_that_made_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
