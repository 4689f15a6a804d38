/* Is the heap of backend shm whole after a process was killed while others used the same pages? */
#include "meeting.h"

FRESH(killed_while_two_take)
{
    meet(&(struct meeting){{nothing, take_some}, {nothing, take_some}, false, NULL, false});
}

FRESH(killed_while_two_give)
{
    meet(&(struct meeting){
        {give_most, give_the_rest}, {give_most, give_the_rest}, false, NULL, false});
}

FRESH(killed_while_it_takes_and_another_gives)
{
    meet(&(struct meeting){{nothing, take_some}, {give_most, give_the_rest}, false, NULL, false});
}

FRESH(killed_while_it_gives_and_another_takes)
{
    meet(&(struct meeting){{give_most, give_the_rest}, {nothing, take_some}, false, NULL, false});
}

FRESH(others_work_while_a_process_recovers_from_one_that_allocated)
{
    meet(&(struct meeting){{nothing, take_some}, {nothing, clear_up}, true, NULL, false});
}

FRESH(others_work_while_a_process_recovers_from_one_that_freed)
{
    meet(&(struct meeting){{give_most, give_the_rest}, {nothing, clear_up}, true, NULL, false});
}

static bool is_not_counted(unsigned class, uintptr_t payload)
{
    uint32_t page = fo_page_number(payload);
    uintptr_t offset = payload - fo_page_start(page);

    return payload != 0 && offset / fo_class_slot(class) >= fo_page_at(page)->used;
}

/* The victim takes fresh slots.  A recovery that released its pages before it read its cells would
 * hand these slots out twice. */
static bool a_cell_holds_what_its_page_does_not_count(void)
{
    bool found = false;

    for (uint32_t n = FO_FIRST_MAGAZINE; n < fo_region->magazines; n++) {
        struct fo_magazine *m = fo_magazine_at(n);
        struct fo_cell *first = fo_end_cell(m) - fo_magazine_cells(n);
        for (struct fo_cell *cell = first; !fo_cell_is_end(cell); cell++)
            found |= is_not_counted(fo_magazine_class(m), cell->payload);
    }
    return found;
}

FRESH(others_work_while_a_process_recovers_from_one_with_fresh_slots)
{
    meet(&(struct meeting){{nothing, take_for_ever},
                           {nothing, clear_up},
                           true,
                           a_cell_holds_what_its_page_does_not_count,
                           false});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_while_two_take),
        cmocka_unit_test(killed_while_two_give),
        cmocka_unit_test(killed_while_it_takes_and_another_gives),
        cmocka_unit_test(killed_while_it_gives_and_another_takes),
        cmocka_unit_test(others_work_while_a_process_recovers_from_one_that_allocated),
        cmocka_unit_test(others_work_while_a_process_recovers_from_one_that_freed),
        cmocka_unit_test(others_work_while_a_process_recovers_from_one_with_fresh_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
