/* Backend `arena`: a heap for OpenSSL's blocks alone, in pages of 64 KiB from `base` on.
 *
 * The private heap maps what it uses, and grows in place (grow.c): so it takes few of the
 * addresses that the kernel counts (RLIMIT_AS, mlockall(2)).  Its records of pages and magazines
 * lie in chunks elsewhere (layout.h).  A shared heap is mapped at once:
 *
 *   | struct fo_region | upper words of sets | groups of caches | of pages | of magazines |
 *   | marks | what the fast path knows of pages | gap | pages
 * ... start                                         base committed
 *
 * Small blocks (classes.h) lie in slots of equal size, a page to a class; larger ones have a
 * run of pages.  A slot begins with the block's header.  Which slots are free is known outside of
 * the pages only, so that no write through a stale pointer can damage the heap.
 *
 * Blocks travel in magazines (Bonwick, Adams 2001), arrays of 1 to 63 pointers of one class.  A
 * thread has a cache, its own or for a call, and in it a bin for each class: allocations take from
 * one magazine, frees put into another, and between the two full ones wait, first in first out.
 * That queue is the quarantine.  Those that have waited are ready, and the newest of them is
 * used first.  If there are too many, they go to a set of full magazines common to all threads, and
 * from there to the bitmaps of the pages; pages whose slots are all free give their memory back.
 * Where none must wait, `take` follows `put` through one magazine: still first in first out, with
 * few slots, so that many processes have room in the processor's cache.
 *
 *        free                                                  allocation
 *     --> [ put ] --> full, full --> ready --> [ take ] -->       of this thread
 *                       |  too many         ^  too few
 *                       v                   |
 *                     full, full, ...  -----+                     of all threads
 *                       |  too many         ^  none
 *                       v                   |
 *                     bitmaps, fresh slots -+                     of all pages
 *
 * Invariants, for walk.c to check:
 * - A slot is in one place: handed out, in one cell of one magazine, set in its page's bitmap, or
 *   not yet used (its number is at least the page's `used`).  A cell that has been taken from is
 *   empty.
 * - Everything inside the range is named by numbers, or by addresses inside the range: it is at the
 *   same place in every process that maps it.
 * - One word has the state of a page and the cache that owns it (page.h).
 * - There are no locks.  Pages, magazines and sets change by one compare-and-exchange, a bin by one
 *   store of a pointer.  So a thread that is killed at any instruction leaves all consistent, and
 *   loses no more than what it had in flight.
 *
 * The header of a block in the region is that of base/block.h, except its lower 16 bits: one means
 * "not live", and 15 are check bits.  A block that is not live has the first and another one
 * flipped:
 *
 *   live                         word
 *   freed                        word ^ FO_REGION_FREED
 *   held (realloc, or being freed by another thread at this moment)   word ^ FO_REGION_HELD
 *
 * so that the one comparison of the check bits tells a live block from all else. */
#ifndef FO_HEAP_REGION_H
#define FO_HEAP_REGION_H

#include "base/block.h"
#include "base/freed.h"
#include "base/hot.h"
#include "heap/bounds.h"
#include "heap/hot.h"
#include "heap/layout.h"
#include "heap/page.h"

enum {
    FO_OWNED_PRIVATELY = 64,    /* caches of one process's threads: idle ones keep what they have */
    FO_CALLS_TO_OWN = 1 << 17,  /* of threads that borrow, for one more cache to own: a dozen
                                 * handshakes; an idle owned cache may keep 272 kB */
    FO_CALLS_TO_LOOK = 1 << 10, /* of a thread that borrows, until it looks for one to own */
    FO_IDLE = 16,        /* pages without a block that keep their memory, for the next burst */
    FO_WARM = 64,        /* freed runs of one size that keep their memory for a while */
    FO_WARM_WAIT = 7,    /* so many of them wait for one thread, by default */
    FO_WARM_SIZES = 17,  /* in pages of 4 KiB */
    FO_RESTING = 1024,   /* larger freed runs whose addresses rest */
    FO_BURST = 64 << 10, /* at most so many bytes of a size may be ready, beyond the quarantine, in
                          * a thread's cache, and as many for all: fo_cache_raise_limits() */
    FO_READY_AT_FIRST = 1, /* so many magazines */
    FO_MARK_BITS = 64 - FO_ADDRESS_BITS,
    FO_MARKS = 1 << (FO_MARK_BITS < 17 ? FO_MARK_BITS : 17),
};

enum fo_magazine_state {
    FO_MAGAZINE_SPARE, /* no owner, empty, of class 0: in the set of spares, if ever used */
    FO_MAGAZINE_FULL,  /* for all threads: in the set of its class */
    FO_MAGAZINE_OWNED, /* owned by a cache */
};

struct fo_mark {
    uint32_t process, thread; /* as in process/process.h */
};

/* What changes.  In backend shm other processes can write all of it: bounds.h. */
struct fo_region {
    uint64_t committed; /* fo_region_committed(), and a bit of grow.c */
    uint64_t hole;      /* distance from base to the first foreign page; 0: none */
    uint64_t refused;   /* the least end that would have left the program too little; 0: none */
    uint64_t fine;      /* fo_class_as() */
    uint32_t reported_full;
    uint32_t pages, magazines, marks; /* used so far */
    uint32_t caches, lent;            /* made so far: caches to own, caches to lend */
    uint32_t borrowed;                /* calls that borrow; each thread adds its own now and then */
    uint32_t idle[FO_IDLE], idled; /* the last pages that lost their last block; how many so far */
    uint32_t ready_most[FO_REGION_CLASSES]; /* magazines for all threads, about */
    uint32_t warm[FO_WARM_SIZES][FO_WARM];
    uint32_t warm_given[FO_WARM_SIZES]; /* how many so far */
    uint32_t rested;
    uint32_t resting[FO_RESTING];
};

extern FO_HIDDEN struct fo_region *fo_region; /* NULL: there is none */

static inline struct fo_mark *fo_mark_at(uint32_t number)
{
    return &fo_layout.mark[number];
}

/* Relaxed: by its owner; or by a search for a record, which compares what it finds. */
static inline unsigned fo_magazine_class(const struct fo_magazine *m)
{
    return fo_bounded_class(FO_RELAXED_LOAD(&m->what) & 0xff);
}

static inline struct fo_cell *fo_end_cell(struct fo_magazine *m)
{
    return (struct fo_cell *)m;
}

/* Where bins without a magazine point to. */
static inline struct fo_cell *fo_no_cells(void)
{
    return fo_end_cell(fo_magazine_at(0));
}

/* A bin's two places, in its cache: where to take from next, and where to put.  In a shared heap,
 * one that is out of bounds becomes that of a bin without a magazine. */
FO_COLD struct fo_cell *fo_bounded_shared_cell(struct fo_cell **place); /* bounds.c */

static inline struct fo_cell *fo_bounded_cell(struct fo_cell **place)
{
    return fo_likely(!fo_layout.shared) ? *place : fo_bounded_shared_cell(place);
}

/* How many bytes from base can be touched, except in foreign pages. */
static inline uint64_t fo_region_committed(void)
{
    uint64_t committed = __atomic_load_n(&fo_region->committed, __ATOMIC_ACQUIRE),
             most = (uint64_t)fo_layout.page_count << FO_PAGE_SHIFT;

    return (committed < most ? committed : most) & ~(uint64_t)(FO_PAGE_SIZE - 1);
}

static inline uint32_t fo_pages_in_use(void)
{
    return fo_least(__atomic_load_n(&fo_region->pages, __ATOMIC_ACQUIRE), fo_layout.page_count);
}

static inline uint32_t fo_magazines_in_use(void)
{
    return fo_least(__atomic_load_n(&fo_region->magazines, __ATOMIC_ACQUIRE),
                    fo_layout.magazine_count);
}

static inline uint32_t fo_page_number(uintptr_t p)
{
    return (uint32_t)((p - fo_layout.base) >> FO_PAGE_SHIFT);
}

/* The class of the small block that is here. */
static inline unsigned fo_class_at(uintptr_t payload)
{
    return fo_page_class(fo_page_at(fo_page_number(payload)));
}

/* Is the page the heap's, or foreign?  For pages below what is committed, which is acquired: so
 * relaxed. */
static inline bool fo_page_is_owned(uint32_t number)
{
    return !FO_RELAXED_LOAD(&fo_layout.ground[number].foreign_part);
}

/* Does this lie in a page of blocks, or in the heap's records of them? */
static inline bool fo_region_contains(uintptr_t p)
{
    if (fo_region == NULL)
        return false;
    if (p - fo_layout.base < fo_region_committed())
        return fo_page_is_owned(fo_page_number(p));
    return p - (uintptr_t)fo_region < fo_layout.size;
}

/* Can a private heap grow to this address? */
static inline bool fo_region_can_reach(uintptr_t p)
{
    return fo_region != NULL && p - fo_layout.base < (uint64_t)FO_PAGES_MOST << FO_PAGE_SHIFT;
}

static inline uintptr_t fo_page_start(uint32_t number)
{
    return fo_layout.base + ((uintptr_t)number << FO_PAGE_SHIFT);
}

/* Is the page in a run? */
static inline bool fo_page_is_used(uint32_t number)
{
    return number < fo_region_committed() >> FO_PAGE_SHIFT &&
           fo_page_state(fo_page_at(number)) != FO_PAGE_NEVER;
}

/* Where the next run begins; or may begin, if this one was joined to another meanwhile. */
static inline uint32_t fo_next_run(uint32_t page)
{
    uint64_t what = __atomic_load_n(&fo_page_at(page)->what, __ATOMIC_ACQUIRE);

    return page + (fo_state_of(what) == FO_PAGE_INSIDE ? 1 : fo_bounded_run(page, what));
}

/* region.c: the start. */

/* Start a heap for this process, or for all that are forked later.  False: no room, and nothing was
 * done. */
bool fo_region_start(bool shared);

/* Print once in a process tree that backend shm is full. */
FO_COLD void fo_region_report_full(size_t wanted);

/* grow.c: what can be touched. */

/* Commit so many bytes from base, except foreign pages.  False: no memory. */
bool fo_region_commit(uint64_t wanted);

/* Include the committed part of a shared heap in core dumps of this process. */
void fo_region_dump(void);

/* Lock the memory again, for FREEONCE_LOCK=1: a forked child does not inherit locks. */
void fo_region_lock(void);

/* runs.c: runs of pages. */

/* Take a run of at least so many pages, all zero, FO_PAGE_MOVING for this thread's cache; 0: none
 * left.  Release it when its memory has been given back. */
uint32_t fo_run_take(uint32_t pages);
void fo_run_release(uint32_t page);

/* Join neighbouring free runs into one of at least so many pages, which stays free.  False: there
 * are none. */
bool fo_run_join(uint32_t pages);

/* Extend a large block's run, which the calling thread holds, to at least so many pages, by free
 * runs behind it.  False: what is behind it is not free. */
bool fo_run_extend(uint32_t page, uint32_t pages);

/* Finish an extension whose thread may have died: all pages of the run become INSIDE. */
void fo_run_complete(uint32_t page);

/* The header of a slot that had no block yet, or whose header was damaged while it was free: the
 * system's zeros, or FO_HEADER_CLEAR where zeros are the header of a live block. */
enum { FO_HEADER_CLEAR = 1 };

static inline bool fo_header_is_clear(uintptr_t payload)
{
    const struct fo_header *h = fo_header_of(payload);

    return FO_RELAXED_LOAD(&h->site) == 0 && FO_RELAXED_LOAD(&h->word) <= FO_HEADER_CLEAR;
}

static inline void fo_header_clear(uintptr_t payload)
{
    struct fo_header *h = fo_header_of(payload);

    FO_RELAXED_STORE(&h->word, FO_HEADER_CLEAR);
    FO_RELAXED_STORE(&h->site, 0);
}

/* span.c: slots in pages. */

/* Put free slots into the cells in front of `behind`, at most `room`.  `*place` follows, so that no
 * slot is lost if the thread dies.  False: none left. */
bool fo_slots_take(struct fo_bin *bin, struct fo_cell **place, struct fo_cell *behind,
                   unsigned class, unsigned room);

/* Offer the page of a bin of this thread to other threads. */
void fo_slots_offer(struct fo_bin *bin);

/* Make a page without an owner, whose slots are all free, a run again; any other page stays what it
 * is. */
void fo_slots_dissolve(uint32_t page);

/* Is this, from a cell of a shared heap, the payload of a slot?  In a private heap, cells hold
 * nothing else. */
bool fo_slot_is_start(uintptr_t payload);

static inline bool fo_cell_is_sound(uintptr_t payload)
{
    return fo_likely(!fo_layout.shared) || fo_slot_is_start(payload);
}

/* Put a slot back into its page.  The record of its free moves from the cell into the slot. */
void fo_slot_release(const struct fo_cell *freed);

/* Is the slot in its page? */
bool fo_slot_is_back(uintptr_t payload);

/* cache.c: bins. */

/* Get something to take, or a place to put, for this class.  False: there is none. */
bool fo_cache_fill(unsigned class);
bool fo_cache_rotate(unsigned class);

/* Take one payload of this class, its header not written; 0: no memory. */
uintptr_t fo_cache_take(unsigned class);

/* Put a freed slot into the cache of this thread. */
void fo_cache_put(unsigned class, const struct fo_cell *freed);

/* Give all that this thread has freed in this class to all threads. */
void fo_cache_share_all(unsigned class);

/* Give to all threads what need not wait: the page, empty magazines, and those that have waited. */
void fo_cache_trim(unsigned class);

/* Put all slots that wait in this thread's magazines, or in those for all threads, back into their
 * pages; offer this thread's pages to other threads. */
void fo_cache_drain(void);

/* The cell in which a freed block waits; NULL: in none. */
const struct fo_cell *fo_cache_find(unsigned class, uintptr_t payload);

/* owner.c: which thread has which cache. */

/* Prepare fo_no_cache, which has nothing to take, and no place to put. */
void fo_caches_start(void);

/* limits.c: slots that went back into their pages are taken again.  More may be ready from now on.
 */
void fo_cache_raise_limits(struct fo_bin *bin, unsigned class);

/* Get a cache for a call.  True: this thread borrows one, and leaves it when the call ends.  False:
 * it owns one, or had one already, or there is none. */
bool fo_cache_enter(void);

/* The cache that this thread owns or borrows; NULL: none. */
struct fo_cache *fo_cache_own(void);

/* The number of a cache, from 1; 0: fo_no_cache. */
uint16_t fo_cache_number(const struct fo_cache *cache);

/* For fo_page_change(): this state, owned by the cache of this thread. */
uint32_t fo_state_owned(enum fo_page_state state);

/* Can this thread own a page while it changes it?  In shared memory, it needs a cache for that. */
bool fo_cache_can_own_pages(void);

/* Release the cache of this thread. */
void fo_cache_leave(void);

/* The thread ends: give what has waited long enough to all threads, and release its cache. */
void fo_cache_retire(void);

/* In a child that shares the heap: the cache belongs to the parent, so this thread has none. */
void fo_cache_disown(void);

/* Claim the inherited cache in this process: after a fork, in private memory. */
void fo_cache_claim_after_fork(void);

/* Make its bins those of a new cache: nothing to take, no place to put. */
void fo_cache_empty(struct fo_cache *cache);

/* Memory is short: recover what dead threads left in their caches, or half done, for all threads;
 * give warm memory back to the system. */
void fo_caches_reclaim(void);

/* Memory is still short: put all slots that wait back into their pages, and make pages without a
 * block runs again.  What other threads have in their caches stays there. */
void fo_region_make_room(void);

/* Records of frees name this process and thread from now on. */
void fo_region_mark(void);

/* adopt.c: recovery after an owner died. */

/* Recover a cache that the calling thread has adopted, at whatever instruction its owner died: it
 * keeps the owner's magazines; the owner's pages are offered to all threads. */
void fo_cache_recover(struct fo_cache *cache);

/* Recover its magazines only: its owner left no page half changed. */
void fo_cache_recover_magazines(struct fo_cache *cache);

/* Finish or undo what dead threads began with pages.  Of owned pages, only those of the cache
 * `gone`, which must be fo_thread.cache then; 0: none.  May be called at any time. */
void fo_pages_recover(uint32_t gone);

/* The same for one page, by its state. */
void fo_slots_recover(uint32_t page, uint32_t gone);
void fo_large_recover(uint32_t page, uint32_t gone);
void fo_run_recover(uint32_t page);

/* Can a thread that needs such a page find it?  For walk.c. */
bool fo_slots_can_be_found(uint32_t page);
bool fo_large_can_be_found(uint32_t page);
bool fo_run_can_be_found(uint32_t page);

/* large.c: blocks with pages of their own. */
uintptr_t fo_large_take(size_t size); /* of the payload; 0: no memory */
uint32_t fo_large_pages(size_t size);
void fo_large_release(uintptr_t payload);

/* Resize a block that the calling thread holds where it is; memory that it does not use any more
 * goes back to the system.  False: it has to move. */
bool fo_large_fit(uintptr_t payload, size_t size);

/* Evict all freed runs that are warm or rest: none keeps its memory. */
void fo_large_evict_warm(void);

/* check.c: a slot that leaves the quarantine; reports if its header was written to. */
void fo_cell_check(const struct fo_cell *cell);

/* find.c: what is at an address of the range? */
enum fo_found {
    FO_FOUND_NOTHING,
    FO_FOUND_LIVE,
    FO_FOUND_FREED,
    FO_FOUND_HELD,
    FO_FOUND_GONE, /* freed, and its memory given back to the system: no more is known */
    FO_FOUND_DAMAGED,
};
struct fo_at {
    enum fo_found state;
    uintptr_t payload;
    uint64_t word; /* as in a live block's header */
    fo_site site;
};
struct fo_at fo_region_at(uintptr_t p);

/* Did no block ever begin in this slot?  Then it is free, and there is no record of a free. */
bool fo_region_is_unused(const struct fo_at *at);

/* What is in the slot or run in front of the one that p is in? */
struct fo_at fo_region_in_front(uintptr_t p);

/* The record of the free of the block that was found.  False: there is none yet. */
bool fo_region_freed(const struct fo_at *at, struct fo_freed *out);

/* Did X_free() or the like get a freed block, or a slot that never had one?  A quick test:
 * fo_region_at() has the exact answer. */
static inline bool fo_region_is_maybe_freed(uintptr_t p)
{
    uint64_t word = FO_HOT_LOAD(&fo_header_of(p)->word);

    return (word & FO_REGION_DEAD) != 0 || word <= FO_HEADER_CLEAR;
}

#endif
