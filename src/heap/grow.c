/* The heap grows: memory from `base` on, a step at a time.  No thread waits for another.  Relaxed
 * is what one exchange of `committed` orders or decides, and what only saves a system call.
 *
 * The private heap maps the next step only if those addresses are free.  If they are not, another
 * thread of the heap has mapped them and will move `committed`; or the mapping is foreign, and then
 * the heap leaves a part out and grows behind it.  The two look alike if a thread is stopped
 * between its mapping and its move.  So the word `committed` decides: either that thread moves it,
 * and its memory is the heap's; or another thread moves it first, and that thread unmaps its
 * memory.  To leave a part out takes two moves: SKIPPING in that word announces it; each thread
 * that sees it marks the pages as not the heap's, and moves on.  No thread uses those pages before,
 * so that all may mark them. */
#include "heap/region.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/futex.h"
#include "heap/direct.h"
#include "heap/system.h"
#include "options/options.h"
#include "process/process.h"

enum { SKIPPING = 1 };

#define STEP_LEAST (UINT64_C(1) << 20)
#define STEP_MOST  (UINT64_C(16) << 20)

static uint64_t most(void)
{
    return (uint64_t)fo_layout.page_count << FO_PAGE_SHIFT;
}

/* Mapped memory counts (limits, strict overcommit), and a call for each page would take time. */
static uint64_t next_step(uint64_t now, uint64_t wanted)
{
    uint64_t step = now / 8 & ~(STEP_LEAST - 1);

    step = step < STEP_LEAST ? STEP_LEAST : step < STEP_MOST ? step : STEP_MOST;
    uint64_t next = now + step > wanted ? now + step : wanted;
    return next < most() ? next : most();
}

static bool move(uint64_t from, uint64_t to)
{
    return __atomic_compare_exchange_n(&fo_region->committed, &from, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

/* --- foreign mappings --------------------------------------------------------------------------
 */

/* At the first hole, the fast path of frees ends. */
static void enter_hole(uint64_t start)
{
    uint64_t none = 0;

    __atomic_compare_exchange_n(&fo_region->hole, &none, start, false, __ATOMIC_ACQ_REL,
                                __ATOMIC_RELAXED);
}

static void finish_skip(uint64_t is)
{
    uint64_t start = is - SKIPPING, end = start + STEP_LEAST;

    end = end < most() ? end : most();
    for (uint64_t page = start >> FO_PAGE_SHIFT; page < end >> FO_PAGE_SHIFT; page++)
        FO_RELAXED_STORE(&fo_layout.ground[page].foreign_part, 1);
    enter_hole(start);
    move(is, end);
}

/* Has another thread mapped this, and does it move `committed` soon?  Behind a foreign page, the
 * mapping is most likely foreign, too. */
static bool has_moved(uint64_t now)
{
    enum { PATIENCE = 1000 };
    bool more = !fo_page_is_owned((uint32_t)((now - 1) >> FO_PAGE_SHIFT));

    for (int i = 0; i < PATIENCE && !more && fo_hot_is_concurrent(); i++) {
        if (FO_RELAXED_LOAD(&fo_region->committed) != now)
            return true;
        fo_relax();
    }
    return FO_RELAXED_LOAD(&fo_region->committed) != now;
}

/* --- what is left for the program --------------------------------------------------------------
 */

/* The heap uses up to four times the size of a large block, in addresses.  Under a limit on those
 * (or on locked memory) the program must not run short: so the heap grows only while eight times as
 * much is left, and malloc serves what it refuses.  A refused end is not tested again: little is
 * left then, and the test takes all of that for a moment. */
static bool has_enough_left(uint64_t end)
{
    enum { TIMES = 8 };
    const uint64_t least = UINT64_C(16) << 20;
    uint64_t refused = FO_RELAXED_LOAD(&fo_region->refused);

    if (refused != 0 && end >= refused)
        return false;
    if (fo_system_has_room(end * TIMES > least ? end * TIMES : least))
        return true;
    FO_RELAXED_STORE(&fo_region->refused, end);
    return false;
}

/* --- steps -------------------------------------------------------------------------------------
 */

static bool has_groups(uint64_t from, uint64_t to)
{
    for (uint64_t page = from >> FO_PAGE_SHIFT; page < to >> FO_PAGE_SHIFT;
         page = (page / FO_GROUP_PAGES + 1) * FO_GROUP_PAGES)
        if (!fo_layout_map_page((uint32_t)page))
            return false;
    return true;
}

/* False: no memory. */
static bool map_step(uint64_t now, uint64_t next)
{
    uintptr_t at = fo_layout.base + now;

    if (!has_groups(now, next))
        return false;
    switch (fo_system_map_at(at, next - now)) {
    case FO_MAPPED:
        fo_system_lock(at, next - now);
        if (!move(now, next))
            munmap((void *)at, next - now);
        return true;
    case FO_MAPPED_TAKEN:
        if (!has_moved(now))
            move(now, now | SKIPPING);
        return true;
    default:
        return false;
    }
}

static bool grow(uint64_t wanted)
{
    uint64_t now;

    while ((now = __atomic_load_n(&fo_region->committed, __ATOMIC_ACQUIRE)) < wanted) {
        uint64_t next = next_step(now, wanted);
        if ((now & SKIPPING) != 0)
            finish_skip(now);
        else if (!has_enough_left(wanted) ||
                 (!map_step(now, next) && (next == wanted || !map_step(now, wanted))))
            return false;
    }
    return true;
}

/* A shared heap is mapped from the start: a process cannot map memory for other processes. */
static void grow_shared(uint64_t wanted)
{
    uint64_t now;

    while ((now = __atomic_load_n(&fo_region->committed, __ATOMIC_ACQUIRE)) < wanted)
        move(now, next_step(now, wanted));
}

/* How far this process has locked a shared heap: another process may have committed the rest, and
 * memory locks belong to one process. */
static uint64_t locked;

static void lock_up_to(uint64_t end)
{
    uint64_t from = FO_RELAXED_LOAD(&locked);

    if (fo_likely(from >= end))
        return;
    fo_system_lock(fo_layout.base + from, end - from);
    FO_RELAXED_STORE(&locked, end);
}

void fo_region_lock(void)
{
    FO_RELAXED_STORE(&locked, 0);
    lock_up_to(fo_region_committed());
}

bool fo_region_commit(uint64_t wanted)
{
    if (fo_layout.shared) {
        grow_shared(wanted);
        lock_up_to(fo_region_committed());
    } else if (!grow(wanted)) {
        return false;
    }
    fo_region_dump();
    if (FO_RELAXED_LOAD(&fo_hot.direct))
        fo_region_update_limit(fo_direct_of(fo_hot.process));
    return true;
}

/* --- core dumps --------------------------------------------------------------------------------
 */

/* What the heap knows of these pages, so that freeonce heap finds the blocks in a core file. */
static void dump_records(uint64_t before, uint64_t end)
{
    uint32_t first = (uint32_t)(before >> FO_PAGE_SHIFT) / FO_GROUP_PAGES,
             last = (uint32_t)((end - 1) >> FO_PAGE_SHIFT) / FO_GROUP_PAGES;

    if (before == 0)
        fo_system_dump((uintptr_t)fo_region, (sizeof *fo_region + 4095) & ~(size_t)4095);
    fo_system_dump(fo_layout.pages[first], (last - first + 1) * sizeof(struct fo_page_group));
}

/* The part of a shared heap that is in use; a forked child inherits the flags of its parent.  In
 * large steps: a process that forked needs few, and a worker in a sandbox mostly none. */
void fo_region_dump(void)
{
    enum { STEP = 4 << 20 };
    static uint64_t dumped;
    uint64_t before = FO_RELAXED_LOAD(&dumped);

    if (!fo_layout.shared || before > fo_region_committed())
        return;
    uint64_t end = fo_region_committed() / STEP * STEP + STEP;
    end = end < most() ? end : most();
    if (before >= end)
        return;
    fo_system_dump(fo_layout.base + before, end - before);
    dump_records(before, end);
    FO_RELAXED_STORE(&dumped, end);
}
