/* For tests of backend shm: a child executes an operation instruction by instruction and is killed.
 * The next child is killed later, until one finishes the operation.  At most the block in flight
 * may be lost. */
#ifndef FO_TESTS_KILLS_H
#define FO_TESTS_KILLS_H

#include <limits.h>

#include "shared_heap.h"
#include "stepping.h"

struct operation {
    void (*prepare)(void);
    void (*run)(void);
};

/* False: the operation ended before. */
static inline bool kill_after(const struct operation *o, unsigned steps)
{
    pid_t child = stepping_start(o->prepare, o->run);

    if (!stepping_lead(child, steps))
        return false;
    stepping_kill(child);
    return true;
}

/* The page has no block, and is not in the list of idle pages: its memory is wasted. */
static inline bool is_forgotten(uint32_t page)
{
    const struct fo_page *pg = fo_page_at(page);
    const uint64_t *back = fo_bitmap_of(page);
    uint32_t count = 0;

    for (unsigned i = 0; i < FO_BITMAP_WORDS; i++)
        count += (uint32_t)__builtin_popcountll(back[i]);
    return fo_page_state(pg) == FO_PAGE_PARTIAL && pg->used != 0 && count == pg->used &&
           (pg->idle == 0 || fo_region->idle[pg->idle - 1] != page);
}

static inline void check_idle_pages(unsigned steps)
{
    for (uint32_t page = 1; page < fo_region->pages; page++) {
        if (is_forgotten(page))
            print_error("%u instructions, then killed: page %u is forgotten\n", steps, page);
        assert_false(is_forgotten(page));
    }
}

static inline void check_after_kill(unsigned steps, uint64_t *lost)
{
    fo_caches_reclaim();
    struct fo_walk now = walk();
    if (now.lost > *lost + 1)
        print_error("%u instructions, then killed: %u blocks lost\n", steps,
                    (unsigned)(now.lost - *lost));
    if (now.pages_lost + now.magazines_lost != 0)
        print_error("%u instructions, then killed: %u pages lost, %u magazines\n", steps,
                    (unsigned)now.pages_lost, (unsigned)now.magazines_lost);
    assert_in_range(now.lost, *lost, *lost + 1);
    assert_int_equal(now.pages_lost + now.magazines_lost, 0);
    check_idle_pages(steps);
    *lost = now.lost;
}

/* Instructions from one kill to the next.  Each child starts at the beginning, so that `kills`
 * children in an operation of `length` instructions execute kills * length / 2. */
static inline unsigned kill_stride(const struct operation *o)
{
    unsigned long before = stepping_count, length, kills;

    assert_false(kill_after(o, UINT_MAX));
    length = stepping_count - before;
    kills = length < stepping_limit() / length * 2 ? length : stepping_limit() / length * 2;
    return (unsigned)(kills > 4 ? (length + kills - 1) / kills : length / 4 + 1);
}

/* Kill at each instruction, or, if these are too many, at one of each `stride`. */
static inline void kill_at_each_step(const struct operation *o)
{
    unsigned stride, seed = stepping_seed(), first = 1, steps = 1;
    uint64_t lost;

    stepping_on_one_processor();
    stride = kill_stride(o);
    lost = walk().lost;
    unsigned long enough = stepping_limit();
    stepping_count = 0;
    while (kill_after(o, steps)) {
        check_after_kill(steps, &lost);
        if (stepping_count > enough) { /* the operation became longer */
            stride *= 2;
            enough += stepping_limit();
        }
        first += stride;
        steps = first + (unsigned)rand_r(&seed) % stride;
    }
    fixture_expect("%s", "");
}

/* For this size a magazine has two cells, a page sixteen slots, and all threads together ten
 * magazines. */
enum { FEW_TO_A_PAGE = 4000 };

static void *held[60];

static inline void hold(unsigned from, unsigned to, size_t size)
{
    for (unsigned i = from; i < to; i++)
        held[i] = fo_malloc(size, "new.c", 1); /* untouched: each byte may count as a step */
}

static inline void free_held(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        fo_free(held[i], "free.c", 1);
}

static inline void nothing(void)
{
    fo_free(block(16), "free.c", 1);
}

#endif
