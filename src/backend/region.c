/* The range of backends `arena` and `shm`, and the system's memory in it: see region.h. */
#include "backend/region.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "core/options.h"
#include "fork/process.h"
#include "report/output.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif

/* Addresses, not memory.  Where an address space limit forbids so many, an eighth of the limit is
 * ours: the program wants some, too.  What is shared has the size that the user chose. */
#define RANGE_MOST (UINT64_C(64) << 30)
_Static_assert(RANGE_MOST >> FO_PAGE_SHIFT <= UINT64_C(1)
                                                  << (FO_PAGE_TURN_SHIFT - FO_PAGE_RUN_SHIFT),
               "a page's word has room for the length of any run");
#define RANGE_LEAST  (UINT64_C(8) << 20)
#define COMMIT_LEAST (UINT64_C(1) << 20)

struct fo_region *fo_region;

/* --- memory ------------------------------------------------------------------------------------
 */

static void lock(uintptr_t start, size_t size)
{
    static bool told;

    if (!fo_options.lock || told || mlock2((void *)start, size, MLOCK_ONFAULT) == 0)
        return;
    told = true;
    fo_say_words("FREEONCE_LOCK=1: OpenSSL's memory cannot be locked (",
                 errno == ENOMEM || errno == EPERM ? "RLIMIT_MEMLOCK is too low" : "mlock2 fails",
                 "), so it may be swapped out; raise the limit (LimitMEMLOCK= in systemd, ulimit "
                 "-l), or unset FREEONCE_LOCK",
                 NULL);
}

/* In steps, since a strict overcommit policy counts what is writable.  What is shared is writable
 * from the start: no process can change that for the others. */
bool fo_region_commit(uint64_t wanted)
{
    uint64_t now = __atomic_load_n(&fo_region->committed, __ATOMIC_ACQUIRE);
    uint64_t most = (uint64_t)fo_region->page_count << FO_PAGE_SHIFT;
    int saved_errno = errno;

    while (wanted > now) {
        uint64_t step = now / 8 > COMMIT_LEAST ? now / 8 & ~(COMMIT_LEAST - 1) : COMMIT_LEAST;
        uint64_t next = now + step > wanted ? now + step : wanted;
        next = next < most ? next : most;
        uintptr_t at = fo_region->base + now;
        if (!fo_region->shared && mprotect((void *)at, next - now, PROT_READ | PROT_WRITE) != 0) {
            errno = saved_errno;
            return false;
        }
        lock(at, next - now);
        if (__atomic_compare_exchange_n(&fo_region->committed, &now, next, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            now = next;
    }
    if (FO_RELAXED_LOAD(&fo_hot.direct))
        fo_region_see_limit(&fo_hot.process->direct);
    errno = saved_errno;
    return true;
}

/* MADV_DONTNEED takes memory from one process only. */
static int how_to_release(void)
{
    if (fo_region->shared)
        return MADV_REMOVE;
    return fo_options.lock ? MADV_DONTNEED_LOCKED : MADV_DONTNEED;
}

void fo_region_release(uintptr_t start, size_t size)
{
    int saved_errno = errno;

    if (madvise((void *)start, size, how_to_release()) != 0)
        memset((void *)start, 0, size);
    errno = saved_errno;
}

void fo_region_populate(uintptr_t start, size_t size)
{
    int saved_errno = errno;

    madvise((void *)start, size, MADV_POPULATE_WRITE);
    errno = saved_errno;
}

void fo_region_lock(void)
{
    lock(fo_region->base, FO_RELAXED_LOAD(&fo_region->committed));
}

void fo_region_tell_full(size_t wanted)
{
    char line[256];
    struct fo_text t = FO_TEXT(line);

    if (__atomic_exchange_n(&fo_region->told_full, 1, __ATOMIC_RELAXED) != 0)
        return;
    fo_put(&t, "backend shm is full: ");
    fo_put_dec(&t, wanted);
    fo_put(
        &t,
        " bytes were refused, as malloc would; nothing is damaged. Raise FREEONCE_SHM_SIZE (now ");
    fo_put_dec(&t, fo_region->size >> 20);
    fo_put(&t, "M), or look for a leak");
    fo_say(&t);
}

/* --- start -------------------------------------------------------------------------------------
 */

static uint64_t round_to_page(uint64_t size)
{
    return (size + FO_PAGE_SIZE - 1) & ~(uint64_t)(FO_PAGE_SIZE - 1);
}

static uint64_t largest_range(bool shared)
{
    struct rlimit limit;
    uint64_t size = shared ? round_to_page(fo_options.shm_size) : RANGE_MOST;

    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        while (size >= RANGE_LEAST && size > limit.rlim_cur / 8)
            size /= 2;
    return size;
}

/* The multiplier of the check bits: one for which a flip of the bits that say "freed" or "held"
 * always changes them. */
static uint64_t make_key(uint64_t secret)
{
    uint64_t key = secret, change;

    do {
        key = ((key ^ key >> 31) * UINT64_C(0xbf58476d1ce4e5b9)) | 1 | UINT64_C(1) << 63;
        change = key << (FO_PAD8_SHIFT - 1) >> 48;
    } while (change < 4 || change > 0x5550);
    return key;
}

static void set_classes(struct fo_region *r)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        uint32_t slot = fo_class_slot(c), cells = (slot < 256 ? 4096 : 2048) / slot;
        r->class[c].cells = cells < 2 ? 2 : cells < FO_MAGAZINE_CELLS ? cells : FO_MAGAZINE_CELLS;
        r->class[c].slots = FO_PAGE_SIZE / slot;
        r->class[c].most = 2 + FO_PAGE_SIZE / (r->class[c].cells * slot);
    }
}

/* Of numbers below `numbers`, from *words, which is moved to where it ends. */
static struct fo_set next_set(uint64_t **words, uint32_t numbers)
{
    struct fo_set set = fo_set_at(*words, numbers);

    *words += fo_set_words(numbers);
    return set;
}

/* From here; returns where they end. */
static uint64_t *place_sets(struct fo_region *r, uint64_t *words, uint32_t pages)
{
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++) {
        r->class[c].full = next_set(&words, r->magazine_count);
        r->class[c].pages = next_set(&words, pages);
    }
    for (unsigned c = 0; c < FO_RUN_CLASSES; c++)
        r->runs[c] = next_set(&words, pages);
    r->spare = next_set(&words, r->magazine_count);
    return words;
}

/* Where everything is in a range of this size; returns where the pages begin. */
static uintptr_t lay_out(struct fo_region *r, uintptr_t start, uint64_t size)
{
    uint32_t pages = (uint32_t)(size >> FO_PAGE_SHIFT);
    uintptr_t at = start + sizeof *r;

    r->size = size;
    r->cache_count = pages / 8 < FO_CACHES ? pages / 8 : FO_CACHES;
    r->magazine_count = (uint32_t)(size / 64 / sizeof *r->magazine);
    r->mark = (struct fo_mark *)at;
    at += FO_MARKS * sizeof *r->mark;
    r->cache = (struct fo_cache *)((at + 63) & ~(uintptr_t)63);
    r->page = (struct fo_page *)(r->cache + r->cache_count + FO_GUESTS);
    r->bitmaps = (uint64_t *)(r->page + pages);
    uint64_t *sets = r->bitmaps + (size_t)pages * FO_BITMAP_WORDS;
    sets = place_sets(r, sets, pages);
    r->page_bin = (uint16_t *)sets;
    at = (uintptr_t)(r->page_bin + pages);
    at = (at + FO_MAGAZINE_SIZE - 1) & ~(uintptr_t)(FO_MAGAZINE_SIZE - 1);
    /* The last cell of each, its end, begins at such a multiple. */
    r->magazine = (struct fo_magazine *)(at + sizeof(struct fo_cell));
    return round_to_page((uintptr_t)(r->magazine + r->magazine_count));
}

/* Aligned to a page of ours. */
static uintptr_t reserve(uint64_t size, bool shared)
{
    char *p = mmap(NULL, size + FO_PAGE_SIZE, shared ? PROT_READ | PROT_WRITE : PROT_NONE,
                   (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return 0;
    uintptr_t start = round_to_page((uintptr_t)p);
    if (start != (uintptr_t)p)
        munmap(p, start - (uintptr_t)p);
    munmap((void *)(start + size), (uintptr_t)p + FO_PAGE_SIZE - start);
    return start;
}

static bool start_with(uint64_t size, bool shared)
{
    static struct fo_region plan;
    uintptr_t start = reserve(size, shared);

    if (start == 0)
        return false;
    uintptr_t head = lay_out(&plan, start, size);
    if (head + (size_t)16 * FO_PAGE_SIZE > start + size ||
        mprotect((void *)start, head - start, PROT_READ | PROT_WRITE) != 0) {
        munmap((void *)start, size);
        return false;
    }
    madvise((void *)start, size, MADV_NOHUGEPAGE);
    if (!fo_options.dump)
        madvise((void *)start, size, MADV_DONTDUMP);
    struct fo_region *r = (struct fo_region *)start;
    lay_out(r, start, size);
    r->shared = shared;
    r->base = head + FO_PAGE_SIZE; /* a gap that cannot be touched */
    r->page_count = (uint32_t)((start + size - r->base) >> FO_PAGE_SHIFT);
    r->key = make_key(fo_hot.secret);
    r->pages = r->magazines = r->marks = 1;
    set_classes(r);
    fo_region = r;
    fo_caches_start();
    return true;
}

bool fo_region_start(bool shared)
{
    uint64_t size = largest_range(shared);
    int saved_errno = errno;

    while (size >= RANGE_LEAST && !start_with(size, shared))
        size /= 2;
    if (size >= RANGE_LEAST && !fo_region_commit(FO_PAGE_SIZE)) {
        munmap(fo_region, fo_region->size);
        fo_region = NULL;
    }
    errno = saved_errno;
    return fo_region != NULL;
}
