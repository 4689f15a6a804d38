/* Pages of the region: the state and the owner of each.  One word has both, and changes by one
 * compare-and-exchange: a thread that is killed at any instruction has made the change, or it has
 * not.  Pages that other threads can take are found in sets (set.h).
 *
 *   NEVER -> MAKING -> FREE <--------------+        (MAKING -> BLOCKED: final)
 *                       |                  |
 *                       v                  |
 *                     MOVING <--- WARM     |   of cache n
 *                     |  |  |      ^       |
 *       large blocks  |  |  +------|-------+
 *                     |  v         |
 *                     | BLOCK -----+
 *                     v
 *       slots       OWNED <--> PARTIAL         of cache n
 *                   |   ^         ^
 *                   v   +- FULL --+
 *                EMPTYING -> PARTIAL           of cache n
 *                         -> MOVING            of cache n, when memory is short
 *
 * When neighbours are joined, the first goes from MOVING to MAKING, with its new length, and those
 * behind it, MOVING, too, become INSIDE.  When a run is halved, it goes from MOVING to HALVING, and
 * FREE; its second half goes from INSIDE to MAKING. */
#ifndef FO_HEAP_PAGE_H
#define FO_HEAP_PAGE_H

#include "base/block.h"

/* A page that a cache owns carries the cache's number; only the thread of the cache, or the thread
 * that adopts it, changes the page. */
enum fo_page_state {
    FO_PAGE_NEVER,    /* no run begins here yet */
    FO_PAGE_MAKING,   /* one does; the records of its other pages are being written */
    FO_PAGE_HALVING,  /* one does; its second half becomes a run of its own */
    FO_PAGE_INSIDE,   /* in a run that began before */
    FO_PAGE_BLOCKED,  /* a run of pages that are not the heap's: the mapping there is foreign */
    FO_PAGE_FREE,     /* a run without an owner, all zero: in the set of its size */
    FO_PAGE_MOVING,   /* owned: its use changes, or its memory is being given back */
    FO_PAGE_BLOCK,    /* a large block */
    FO_PAGE_WARM,     /* a large block was here, and its memory may still be: in a ring */
    FO_PAGE_FULL,     /* slots, no owner, none came back */
    FO_PAGE_PARTIAL,  /* slots, some free, no owner: in the set of its class */
    FO_PAGE_OWNED,    /* owned: its cache takes slots, or tests whether all are free */
    FO_PAGE_EMPTYING, /* owned, all slots are free: its memory is being given back */
};

static inline bool fo_has_slots(enum fo_page_state state)
{
    return state >= FO_PAGE_FULL;
}

/* One page.  Numbers count pages from base; page 0 is never used. */
struct fo_page {
    uint64_t what;  /* turn << 52 | pages of the run << 32 | number of the cache << 16 | state */
    uint16_t class; /* of slots */
    uint16_t ever;  /* slots that were handed out before its memory was given back */
    uint32_t used;  /* slots from 0 that were handed out at least once */
    uint64_t word;  /* of a large block: its size, and its header's word once its memory is gone;
                     * flipped as a held header's while it is resized */
    fo_site allocated;
    fo_site freed;
    uint64_t by;
    uint32_t idle; /* 1 and its place in fo_region.idle */
    uint32_t cold; /* of a freed large block: its memory was given back */
    uint32_t unused[2];
};
_Static_assert(sizeof(struct fo_page) == 64, "a cache line");

enum { FO_PAGE_CACHE_SHIFT = 16, FO_PAGE_RUN_SHIFT = 32, FO_PAGE_TURN_SHIFT = 52 };

static inline enum fo_page_state fo_state_of(uint64_t what)
{
    return what & 0xffff;
}

static inline uint32_t fo_cache_of(uint64_t what)
{
    return what >> FO_PAGE_CACHE_SHIFT & 0xffff;
}

/* Pages of the run that begins here, for bounds.h; of a page INSIDE one: how many pages before it
 * the run begins. */
static inline uint32_t fo_run_of(uint64_t what)
{
    return what >> FO_PAGE_RUN_SHIFT & ((1u << (FO_PAGE_TURN_SHIFT - FO_PAGE_RUN_SHIFT)) - 1);
}

static inline uint64_t fo_what(uint32_t pages, enum fo_page_state state)
{
    return (uint64_t)pages << FO_PAGE_RUN_SHIFT | state;
}

/* The next word, when a run is made, joined or halved.  It counts the turn: a late thread that read
 * an earlier word changes nothing. */
static inline uint64_t fo_next_what(uint64_t what, uint32_t pages, enum fo_page_state state)
{
    return ((what >> FO_PAGE_TURN_SHIFT) + 1) << FO_PAGE_TURN_SHIFT | fo_what(pages, state);
}

static inline enum fo_page_state fo_page_state(const struct fo_page *pg)
{
    return fo_state_of(__atomic_load_n(&pg->what, __ATOMIC_ACQUIRE));
}

/* `from` and `to` are states, with the number of a cache if it owns the page.  False: the page had
 * another state. */
static inline bool fo_page_change(struct fo_page *pg, uint32_t from, uint32_t to)
{
    uint64_t before = __atomic_load_n(&pg->what, __ATOMIC_SEQ_CST);
    uint64_t run = before & ~(uint64_t)UINT32_MAX;

    return (uint32_t)before == from &&
           __atomic_compare_exchange_n(&pg->what, &before, run | to, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

#endif
