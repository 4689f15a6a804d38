/* The range of backends `arena` and `shm`, and the system's memory in it: see region.h. */
#include "heap/region.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/apart.h"
#include "base/raw.h"
#include "base/say.h"
#include "heap/magazine.h"
#include "heap/system.h"
#include "options/options.h"
#include "process/process.h"

#define RANGE_MOST  ((uint64_t)FO_PAGES_MOST << FO_PAGE_SHIFT)
#define RANGE_LEAST (UINT64_C(8) << 20)
_Static_assert(FO_PAGES_MOST <= 1 << (FO_PAGE_TURN_SHIFT - FO_PAGE_RUN_SHIFT),
               "a page's word has room for the length of any run");

struct fo_region *fo_region;

void fo_region_report_full(size_t wanted)
{
    char line[256];
    struct fo_text t = FO_TEXT(line);

    /* Relaxed: it is reported once. */
    if (__atomic_exchange_n(&fo_region->reported_full, 1, __ATOMIC_RELAXED) != 0)
        return;
    fo_put(&t, "backend shm is full: ");
    fo_put_dec(&t, wanted);
    fo_put(
        &t,
        " bytes were refused, as malloc would; nothing is damaged. Raise FREEONCE_SHM_SIZE (now ");
    fo_put_dec(&t, fo_layout.size >> 20);
    fo_put(&t, "M), or look for a leak");
    fo_say(&t);
}

/* --- start -------------------------------------------------------------------------------------
 */

static uint64_t round_to_page(uint64_t size)
{
    return (size + FO_PAGE_SIZE - 1) & ~(uint64_t)(FO_PAGE_SIZE - 1);
}

/* The limit on addresses, in bytes. */
static uint64_t address_limit(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_AS, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

/* The key of the check bits differs from that of other backends' headers. */
static uint64_t make_key(uint64_t secret)
{
    return (secret ^ secret >> 31) * UINT64_C(0xbf58476d1ce4e5b9) | 1 | UINT64_C(1) << 63;
}

static void set_classes(struct fo_region *r)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        uint32_t slot = fo_class_slot(c), cells = (slot < 256 ? 4096 : 2048) / slot;
        cells = cells < FO_MAGAZINE_CELLS ? cells : FO_MAGAZINE_CELLS;
        cells = cells > 1 ? cells : slot > 2 * 2048 ? 1 : 2;
        fo_layout.class[c].cells[0] = (uint16_t)fo_least(cells, FO_SHORT_CELLS);
        fo_layout.class[c].cells[1] = (uint16_t)cells;
        fo_layout.class[c].slots = (uint16_t)(FO_PAGE_SIZE / slot);
        r->ready_most[c] = FO_READY_AT_FIRST;
    }
}

/* Lay out what comes before the groups, from `at` on; returns where that ends. */
static uintptr_t lay_out_head(uintptr_t at, uint32_t pages)
{
    struct fo_layout *l = &fo_layout;

    l->cache_count = pages / 8 < FO_CACHES ? pages / 8 : FO_CACHES;
    l->owned_most = l->cache_count / 2;
    l->magazine_count = pages < FO_MAGAZINES_MOST ? pages : FO_MAGAZINES_MOST;
    at += (sizeof(struct fo_region) + 63) & ~(uintptr_t)63;
    l->above = (uint64_t *)at;
    at += fo_layout_above_size(pages);
    return (at + 4095) & ~(uintptr_t)4095;
}

/* The large tables, of which a small heap uses the beginnings, lie behind the groups: so what it
 * uses of all these lies in few of the kernel's page tables. */
static uintptr_t lay_out_tables(uintptr_t at, uint32_t pages)
{
    struct fo_layout *l = &fo_layout;

    l->mark = (struct fo_mark *)at;
    at += FO_MARKS * sizeof *l->mark;
    l->ground = (struct fo_ground *)at;
    at = (uintptr_t)(l->ground + pages);
    return (at + 4095) & ~(uintptr_t)4095;
}

static void begin(struct fo_region *r, uintptr_t base, uint32_t page_count, bool shared)
{
    fo_layout.shared = shared;
    if (!shared && fo_layout.owned_most > FO_OWNED_PRIVATELY)
        fo_layout.owned_most = FO_OWNED_PRIVATELY;
    fo_layout.base = base;
    fo_layout.page_count = page_count;
    fo_layout.key = make_key(fo_hot.secret);
    r->pages = r->marks = 1;
    r->magazines = FO_FIRST_MAGAZINE;
    /* Written before it is read: otherwise the page costs two page faults. */
    FO_RELAXED_STORE(&fo_layout.ground[0].foreign_part, 0);
    set_classes(r);
    fo_region = r;
}

/* Random numbers that choose places, so that one place does not reveal the other. */
struct places {
    uint64_t blocks, head;
};

static struct places choose_places(void)
{
    int saved_errno = errno;
    struct places chosen;

    if (!fo_raw_random(&chosen, sizeof chosen))
        chosen = (struct places){make_key(~fo_hot.secret), make_key(fo_hot.secret >> 32)};
    errno = saved_errno;
    return chosen;
}

/* --- private -----------------------------------------------------------------------------------
 */

/* How many pages can be numbered?  Some will be foreign, so there are more numbers than the limit
 * on addresses allows.  But each costs memory in the head, which counts, too (mlockall(2)): 16 GiB
 * in all, and malloc serves what finds no room. */
static uint32_t private_pages(void)
{
    const uint64_t most = RANGE_MOST / 4;
    uint64_t size = RANGE_MOST / 64, limit = address_limit();

    while (size < most && size / 4 < limit)
        size *= 2;
    return (uint32_t)(size >> FO_PAGE_SHIFT);
}

/* All that is in one mapping with the head. */
static uintptr_t lay_out_private(uintptr_t start, uint32_t pages)
{
    return lay_out_tables(fo_layout_share(lay_out_head(start, pages), 1, 1, 1), pages);
}

/* Below the blocks, which grow upwards. */
static uintptr_t place_of_head(uintptr_t base, uint64_t random)
{
    const uint64_t least = UINT64_C(2) << 30, more = UINT64_C(16) << 30;
    uint64_t distance = least + random % more;

    return base > distance ? (base - distance) & ~(uintptr_t)4095 : 0;
}

static bool start_private(void)
{
    enum { AT_FIRST = 1 << 20 };
    uint32_t pages = private_pages();
    size_t size = lay_out_private(0, pages);
    struct places chosen = choose_places();
    uintptr_t base = fo_system_find_place(AT_FIRST, RANGE_MOST, chosen.blocks);

    if (base == 0)
        return false;
    fo_layout_begin(place_of_head(base, chosen.head));
    uintptr_t head = fo_layout_map(size);
    if (head == 0) {
        fo_system_release_place(base, AT_FIRST);
        return false;
    }
    struct fo_region *r = (struct fo_region *)head;
    lay_out_private(head, pages);
    fo_layout.size = size;
    r->committed = AT_FIRST;
    begin(r, base, pages, false);
    fo_region_lock();
    return true;
}

/* --- shared ------------------------------------------------------------------------------------
 */

/* Lay out a shared heap of this size; returns where its pages begin. */
static uintptr_t lay_out_shared(uintptr_t start, uint64_t size)
{
    uint32_t pages = (uint32_t)(size >> FO_PAGE_SHIFT);
    uintptr_t at = lay_out_head(start, pages);

    fo_layout.size = size;
    at = fo_layout_share(at, pages, fo_layout.magazine_count, fo_layout.cache_count);
    return round_to_page(lay_out_tables(at, pages));
}

/* More addresses than the heap has, from which its place is chosen. */
static uint64_t room_for_choice(void)
{
    uint64_t limit = address_limit();

    return RANGE_MOST < limit / 8 ? RANGE_MOST : limit / 8;
}

static bool start_shared(uint64_t size)
{
    uintptr_t start = fo_system_map_shared(size, room_for_choice(), choose_places().blocks);

    if (start == 0)
        return false;
    uintptr_t gap = lay_out_shared(start, size), base = gap + FO_PAGE_SIZE;
    if (base + (size_t)16 * FO_PAGE_SIZE > start + size || !fo_system_close(gap, FO_PAGE_SIZE)) {
        fo_apart_unmap((void *)start, size);
        return false;
    }
    begin((struct fo_region *)start, base, (uint32_t)((start + size - base) >> FO_PAGE_SHIFT),
          true);
    return true;
}

/* The program needs addresses, too: the heap takes an eighth of them at most. */
static bool start_shared_within_limit(void)
{
    uint64_t size = round_to_page(fo_options.shm_size), limit = address_limit();

    while (size >= RANGE_LEAST && (size > limit / 8 || !start_shared(size)))
        size /= 2;
    return size >= RANGE_LEAST;
}

bool fo_region_start(bool shared)
{
    if (!(shared ? start_shared_within_limit() : start_private()))
        return false;
    fo_magazines_start();
    fo_caches_start();
    fo_region_commit(FO_PAGE_SIZE);
    return true;
}
