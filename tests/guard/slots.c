/* The slots of backend guard by themselves: their order, their locks, their accessible pages. */
#include "backend/guard_slots.c" /* for its static lock */

#include <stdio.h>
#include <stdlib.h>

#include "base/probe.h"

#define CHECK(condition)                                                                           \
    do                                                                                             \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    while (0)

/* In place of the library's. */
struct fo_options fo_options = {.dump = true};
void fo_system_hide(uintptr_t start, size_t size)
{
    CHECK(start != 0 && size != 0);
}
void fo_system_lock(uintptr_t start, size_t size)
{
    CHECK(start != 0 && size != 0);
}

enum { PID = 100, PARENT = 99, SLOTS = 64 };

static void first_in_first_out(struct fo_guard_class *c)
{
    struct fo_guard_slot *first[SLOTS];

    for (int i = 0; i < SLOTS; i++) {
        first[i] = fo_guard_next(c, PID);
        CHECK(first[i] == &c->slots[i]);
    }
    CHECK(fo_guard_next(c, PID) == NULL);
    for (int i = 0; i < SLOTS; i++)
        fo_guard_queue(c, first[i * 5 % SLOTS], PID);
    for (int i = 0; i < SLOTS; i++)
        CHECK(fo_guard_next(c, PID) == first[i * 5 % SLOTS]);
    CHECK(fo_guard_next(c, PID) == NULL);
}

/* No slot is used again while there are unused ones. */
static void fresh_first(struct fo_guard_class *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const struct fo_guard_slot *s = fo_guard_next(c, PID);
        CHECK(s == &c->slots[i]);
        fo_guard_queue(c, s, PID);
    }
    CHECK(fo_guard_next(c, PID) == &c->slots[0]);
}

static void locks(struct fo_guard_class *c)
{
    fo_guard_queue(c, &c->slots[7], PID);
    c->lock = PID; /* held by another thread, which never releases it */
    CHECK(fo_guard_next(c, PID) == NULL);
    fo_guard_queue(c, &c->slots[8], PID);
    c->lock = PARENT; /* held by a thread that was not copied by the fork */
    CHECK(fo_guard_next(c, PID) == &c->slots[7]);
    CHECK(c->lock == 0);
    CHECK(fo_guard_next(c, PID) == NULL);
}

static void pages(struct fo_guard_class *c)
{
    struct fo_guard_slot *s = &c->slots[1];
    struct fo_guard_class *found;
    uintptr_t end = fo_guard_run_end(c, s);

    CHECK(!fo_is_readable(end - page, 1) && !fo_is_readable(end, 1));
    CHECK(fo_guard_open(end, page + 1));
    CHECK(fo_is_readable(end - 2 * page, 2 * page) && !fo_is_readable(end, 1) &&
          !fo_is_readable(end - 2 * page - 1, 1));
    *(char *)(end - 1) = 'x';
    fo_guard_close(end, page + 1);
    CHECK(!fo_is_readable(end - 1, 1) && !fo_is_readable(end - 2 * page, 1));
    CHECK(fo_guard_open(end, 1) && *(char *)(end - 1) == 0);
    fo_guard_close(end, 1);
    CHECK(fo_guard_slot_at(end - 1, &found) == s && found == c);
    CHECK(fo_guard_slot_at(end + page - 1, &found) == s &&
          fo_guard_slot_at(end + page, &found) != s);
}

static void classes_for_sizes(void)
{
    CHECK(fo_guard_class_for(1) == &classes[0] && fo_guard_class_for(page) == &classes[0]);
    CHECK(fo_guard_class_for(page + 1) == &classes[1]);
    CHECK(fo_guard_class_for(page << 6) == &classes[6]);
    CHECK(fo_guard_class_for((page << 6) + 1) == NULL); /* of 64 slots, none has 128 pages */
    CHECK(fo_guard_class_for(SIZE_MAX / 2) == NULL);
}

int main(void)
{
    struct fo_guard_class *found;

    CHECK(fo_guard_reserve(SLOTS));
    CHECK(fo_guard_slot_at(fo_guard_range.start, &found) == NULL);
    CHECK(fo_guard_slot_at(fo_guard_range.start - 1, &found) == NULL);
    CHECK(fo_guard_slot_at(fo_guard_range.start + fo_guard_range.size, &found) == NULL);
    first_in_first_out(&classes[0]);
    locks(&classes[0]);
    fresh_first(&classes[1]);
    pages(&classes[2]);
    classes_for_sizes();
    return 0;
}
