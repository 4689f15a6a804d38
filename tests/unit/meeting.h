/* For tests of backend shm: a process is killed while others use the same pages.  The witness is
 * stopped at some instruction, and the victim is killed at some instruction.  The parent recovers
 * and allocates; then the witness continues.  No memory may have two owners, and nothing may be
 * lost but the block that the victim was allocating or freeing. */
#ifndef FO_TESTS_MEETING_H
#define FO_TESTS_MEETING_H

#include <stdlib.h>
#include <sys/mman.h>

#include "points.h"
#include "shared_heap.h"
#include "stepping.h"

/* Small blocks: a page has eight slots and a magazine two cells.  Of the freed blocks of a cache
 * the first `MOST` or so stay in magazines, and the others go back to their pages.  The runs of
 * freed large blocks are kept for reuse, but for the last one, which has three pages. */
enum { SLOTS = 32, MOST = 24, LARGE = 4, HANDS = SLOTS + LARGE };

/* The blocks that a process has; all processes can read that. */
struct hands {
    unsigned char *block[HANDS];
};

enum role_number { VICTIM, WITNESS, PARENT, MANY };

static struct shared {
    struct hands of[MANY];
    bool witness_is_over, witness_is_done, parent_is_done;
    uint32_t witness; /* number of its cache; 0: none yet */
} * shared;

static struct hands *mine; /* of this process */

/* --- work ----------------------------------------------------------------------------------------
 */

static inline size_t size_of(unsigned i)
{
    return i < SLOTS ? 8000 : i < HANDS - 1 ? 20000 : 180000;
}

static inline void take(unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        __atomic_store_n(&mine->block[i], fo_malloc(size_of(i), "new.c", 1), __ATOMIC_RELEASE);
}

static inline void give(struct hands *h, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        fo_free(__atomic_exchange_n(&h->block[i], NULL, __ATOMIC_ACQ_REL), "free.c", 1);
}

static inline void give_all(void)
{
    give(mine, 0, HANDS);
}

static inline void take_all(void)
{
    take(0, HANDS);
}

static inline void take_some(void)
{
    take(MOST, HANDS);
}

static inline void give_most(void)
{
    take_all();
    give(mine, 0, MOST);
}

static inline void give_the_rest(void)
{
    give(mine, MOST, HANDS);
}

static inline void mark(unsigned char with)
{
    for (unsigned i = 0; i < HANDS; i++)
        memset(mine->block[i], with, size_of(i));
}

static inline void check_mark(unsigned char with, unsigned from)
{
    for (unsigned i = from; i < HANDS; i++)
        for (size_t at = 0; at < size_of(i); at++)
            assert_int_equal(mine->block[i][at], with);
}

static inline void take_for_ever(void)
{
    for (;;)
        fo_malloc(size_of(0), "new.c", 1);
}

/* What the heap does when it is full. */
static inline void make_room(void)
{
    fo_region_make_room();
    for (unsigned i = 0; i < 4; i++)
        fo_run_join(3);
}

static inline void give_the_rest_and_make_room(void)
{
    give_the_rest();
    make_room();
}

static inline void take_some_and_give_them(void)
{
    take_some();
    give_the_rest_and_make_room();
}

static inline void nothing(void)
{
    fo_free(block(16), "free.c", 1);
}

/* --- two meet ------------------------------------------------------------------------------------
 */

struct role {
    void (*prepare)(void);
    void (*run)(void);
};

/* The victim is killed at some instruction, and the witness is stopped at one meanwhile. */
struct meeting {
    struct role victim, witness;
    bool afterwards;         /* the witness runs after the victim's death */
    bool (*kill_when)(void); /* instead of a drawn instruction */
    bool full;               /* each page was used before: runs are halved and joined */
};

static const struct meeting *now;

static inline void prepare_victim(void)
{
    mine = &shared->of[VICTIM];
    now->victim.prepare();
}

static inline void prepare_witness(void)
{
    mine = &shared->of[WITNESS];
    now->witness.prepare();
    shared->witness = fo_cache_number(fo_thread.cache);
}

static inline void wait_for(const bool *what)
{
    while (!__atomic_load_n(what, __ATOMIC_ACQUIRE))
        sched_yield();
}

/* The parent must not get what the witness has then. */
static inline void be_witness(void)
{
    now->witness.run();
    __atomic_store_n(&shared->witness_is_over, true, __ATOMIC_RELEASE);
    give_all();
    take_all();
    mark(WITNESS);
    __atomic_store_n(&shared->witness_is_done, true, __ATOMIC_RELEASE);
    wait_for(&shared->parent_is_done);
    check_mark(WITNESS, 0);
    give_all();
}

/* No other process may change the pages that a cache owns. */
struct pages {
    uint32_t cache, count;
    uint64_t what[2000];
};

static inline void pages_of(struct pages *p, uint32_t cache)
{
    p->cache = cache;
    p->count = fo_region->pages;
    assert_in_range(p->count, 1, sizeof p->what / sizeof *p->what);
    for (uint32_t page = 0; page < p->count; page++)
        p->what[page] = fo_page_at(page)->what;
}

static inline void check_pages_unchanged(const struct pages *p)
{
    for (uint32_t page = 0; page < p->count; page++)
        if (fo_cache_of(p->what[page]) == p->cache)
            assert_int_equal(fo_page_at(page)->what, p->what[page]);
}

static inline void clear_up(void)
{
    fo_caches_reclaim();
}

/* The victim's memory can be allocated again, at once or after the recovery. */
static inline void clear_up_and_work(bool late)
{
    static struct pages of_witness;

    if (late) {
        give(&shared->of[VICTIM], 0, HANDS);
        take_all();
    }
    pages_of(&of_witness, shared->witness);
    clear_up();
    if (!late)
        take_all();
    give_all();
    take_all();
    check_pages_unchanged(&of_witness);
    mark(PARENT);
    give(mine, 0, MOST);
}

static inline void finish_witness(pid_t witness)
{
    static struct pages of_parent;
    int status;

    pages_of(&of_parent, fo_cache_number(fo_thread.cache));
    stepping_detach(witness);
    wait_for(&shared->witness_is_done);
    check_pages_unchanged(&of_parent);
    check_mark(PARENT, MOST);
    take(0, MOST);
    mark(PARENT);
    __atomic_store_n(&shared->parent_is_done, true, __ATOMIC_RELEASE);
    assert_int_equal(waitpid(witness, &status, 0), witness);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    give_all();
}

/* Execute so many instructions, or all that are left; returns how many. */
static inline unsigned lead_witness(pid_t witness, unsigned steps)
{
    unsigned i = 0;

    while (i < steps && !__atomic_load_n(&shared->witness_is_over, __ATOMIC_ACQUIRE)) {
        assert_true(stepping_lead(witness, 1));
        i++;
    }
    return i;
}

static inline void lead_victim(pid_t victim, unsigned steps)
{
    while (now->kill_when != NULL && !now->kill_when())
        assert_true(stepping_lead(victim, 1));
    if (now->kill_when != NULL || stepping_lead(victim, steps))
        stepping_kill(victim);
}

struct two {
    pid_t victim, witness;
};

/* Start both, and lead the victim to its death if the witness runs after it. */
static inline struct two bring_together(unsigned victims)
{
    struct two t = {stepping_start(prepare_victim, now->victim.run),
                    stepping_start(prepare_witness, be_witness)};

    shared->witness_is_over = shared->witness_is_done = shared->parent_is_done = false;
    if (now->afterwards)
        lead_victim(t.victim, victims);
    return t;
}

static inline void part(const struct two *t, unsigned victims, bool late)
{
    if (!now->afterwards)
        lead_victim(t->victim, victims);
    clear_up_and_work(late);
    finish_witness(t->witness);
    give(&shared->of[VICTIM], 0, HANDS);
    fo_caches_reclaim();
}

static inline void meet_at(unsigned victims, unsigned witnesses, bool late)
{
    uint64_t lost = walk().lost;
    struct two t = bring_together(victims);

    lead_witness(t.witness, witnesses);
    part(&t, victims, late);
    struct fo_walk after = walk();
    if (after.lost > lost + 1 || after.pages_lost + after.magazines_lost != 0)
        print_error("killed at %u, met at %u, late %d: %u blocks and %u pages lost\n", victims,
                    witnesses, late, (unsigned)(after.lost - lost), (unsigned)after.pages_lost);
    assert_in_range(after.lost, lost, lost + 1);
    assert_int_equal(after.pages_lost + after.magazines_lost, 0);
}

/* --- where ---------------------------------------------------------------------------------------
 */

static inline void victims_points(struct points *p)
{
    pid_t victim = stepping_start(prepare_victim, now->victim.run);
    uint64_t state = points_state();

    for (unsigned step = 1; stepping_lead(victim, 1); step++)
        points_note(p, step, &state);
    give(&shared->of[VICTIM], 0, HANDS);
    fo_caches_reclaim();
}

static inline void witnesses_points(struct points *p, unsigned victims)
{
    struct two t = bring_together(victims);
    uint64_t state = points_state();

    for (unsigned step = 1; lead_witness(t.witness, 1) != 0; step++)
        points_note(p, step, &state);
    part(&t, victims, false);
}

/* The number of meetings, unless the limit of instructions is reached before. */
enum { MEETINGS = 40, MEETINGS_AT_LEAST = 5 };

static inline bool has_met_enough(unsigned meetings)
{
    bool is_limited = stepping_limit() != ULONG_MAX;

    return meetings >= (is_limited ? MEETINGS : 50 * MEETINGS) ||
           (meetings >= MEETINGS_AT_LEAST && stepping_count > stepping_limit());
}

static inline void use_all_pages(void)
{
    void *p[64];
    unsigned count = 0;

    while (count < 64 && (p[count] = fo_malloc(250000, "new.c", 1)) != NULL)
        count++;
    while (count != 0)
        fo_free(p[--count], "free.c", 1);
    fixture_forget();
}

static inline void meet(const struct meeting *m)
{
    unsigned seed = stepping_seed();

    fixture_start("BACKEND=shm", m->full ? "SHM_SIZE=8M" : "SHM_SIZE=256M", "QUARANTINE=0", NULL);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    mine = &shared->of[PARENT];
    block(16);
    if (m->full)
        use_all_pages();
    now = m;
    stepping_on_one_processor();
    static struct points victims, witnesses;
    if (m->kill_when == NULL)
        victims_points(&victims);
    else
        victims.count = 1;
    witnesses_points(&witnesses, victims.after[victims.count / 2]);
    stepping_count = 0;
    for (unsigned i = 0; !has_met_enough(i); i++)
        meet_at(points_draw(&victims, &seed), points_draw(&witnesses, &seed), i % 2 == 0);
    fixture_expect("%s", "");
}

#endif
