/* Where the heap keeps its records of pages and magazines: in chunks, each for a group of them,
 * which a private heap maps when it grows into that group.  So a small heap takes few
 * addresses, and no page of blocks lies next to a chunk.
 *
 * This table has the place of each chunk, and all else of a heap that never changes after its
 * start.  It is private memory of every process, also where the chunks are shared: no process
 * follows an address that another one could write, and what it reads from the chunks is compared
 * with the bounds in this table (bounds.h). */
#ifndef FO_HEAP_LAYOUT_H
#define FO_HEAP_LAYOUT_H

#include "heap/hot.h"
#include "heap/page.h"
#include "heap/set.h"

enum {
    FO_PAGE_SIZE = 1 << FO_PAGE_SHIFT,
    FO_BITMAP_WORDS = (FO_PAGE_SIZE / 32) / 64,
    FO_MAGAZINE_CELLS = 63, /* of a long one, see struct fo_magazine_group */
    FO_SHORT_CELLS = 20,
    FO_FIRST_MAGAZINE = 2, /* 0 is none, and 1 the long one beside it */
    FO_RUN_CLASSES = 72,
    FO_PAGES_MOST = 1 << 20,           /* 64 GiB */
    FO_MAGAZINES_MOST = FO_PAGES_MOST, /* a 64th of the memory, if all are used */
    FO_GROUP_PAGES = 128,
    FO_GROUP_MAGAZINES = 128,
    FO_GROUP_CACHES = 16,
    FO_CACHES = 4096, /* owned and lent, owner.c; half of them each, but see region.h */
    FO_PAGE_GROUPS = FO_PAGES_MOST / FO_GROUP_PAGES,
    FO_MAGAZINE_GROUPS = FO_MAGAZINES_MOST / FO_GROUP_MAGAZINES,
    FO_CACHE_GROUPS = FO_CACHES / FO_GROUP_CACHES,
    FO_CLASS_NUMBERS = 64, /* that a magazine can name */
    FO_PAGE_SETS = FO_REGION_CLASSES + FO_RUN_CLASSES,
    FO_MAGAZINE_SETS = FO_REGION_CLASSES + 2,
    FO_SETS = FO_PAGE_SETS + FO_MAGAZINE_SETS,
};

/* The last cell of a magazine.  It is always empty, so that it ends the others; their number
 * follows from their class. */
struct fo_magazine {
    uintptr_t payload; /* 0 */
    uint32_t next;     /* in a bin */
    uint32_t what;     /* number of the cache << 16 | state << 8 | class; as that of a page */
    uint64_t sign;     /* magazine.h */
};
_Static_assert(sizeof(struct fo_magazine) == sizeof(struct fo_cell) &&
                   offsetof(struct fo_magazine, payload) == offsetof(struct fo_cell, payload),
               "an end is read as a cell");

struct fo_page_group {
    _Alignas(4096) uint64_t sets[FO_GROUP_PAGES / 64][FO_PAGE_SETS];
    struct fo_page page[FO_GROUP_PAGES];
    uint64_t bitmap[FO_GROUP_PAGES][FO_BITMAP_WORDS];
};
_Static_assert(offsetof(struct fo_page_group, page) % sizeof(struct fo_page) == 0,
               "a page has a cache line");

/* Small blocks are many, and have long magazines.  Many sizes have a block or two: there, short
 * magazines touch less memory.  Even numbers are short, odd ones long.  The ends of both lie at
 * multiples of FO_MAGAZINE_END, which distinguishes them from other cells: none of the 63 in front
 * of one has such an address.  Chunks begin at a page of the system. */
struct fo_magazine_group {
    uint64_t sets[FO_GROUP_MAGAZINES / 64][FO_MAGAZINE_SETS];
    char unused[2 * FO_MAGAZINE_END + sizeof(struct fo_magazine) -
                sizeof(uint64_t[FO_GROUP_MAGAZINES / 64][FO_MAGAZINE_SETS])];
    struct {
        uint64_t unused;
        struct fo_cell cells[FO_SHORT_CELLS];
        struct fo_magazine end;
    } shorts[FO_GROUP_MAGAZINES / 2];
    struct {
        struct fo_cell cells[FO_MAGAZINE_CELLS];
        struct fo_magazine end;
    } longs[FO_GROUP_MAGAZINES / 2];
    char rest[4096 - 2 * FO_MAGAZINE_END - sizeof(struct fo_magazine)];
};
_Static_assert(offsetof(struct fo_magazine_group, shorts[0].end) % FO_MAGAZINE_END == 0 &&
                   offsetof(struct fo_magazine_group, shorts[1].end) % FO_MAGAZINE_END == 0 &&
                   offsetof(struct fo_magazine_group, longs[0].end) % FO_MAGAZINE_END == 0 &&
                   offsetof(struct fo_magazine_group, longs[1].end) % FO_MAGAZINE_END == 0 &&
                   sizeof(struct fo_magazine_group) % 4096 == 0,
               "an address decides what is an end");
_Static_assert(FO_MAGAZINE_CELLS < FO_MAGAZINE_END / 8, "24 k is no multiple of 512 for k < 64");

struct fo_cache_group {
    _Alignas(4096) struct fo_cache cache[FO_GROUP_CACHES];
};

_Static_assert((int)FO_REGION_CLASSES <= (int)FO_CLASS_NUMBERS, "each has a number");

extern FO_HIDDEN struct fo_layout {
    uint64_t *above;          /* upper words of sets: of magazines, then of pages */
    uint64_t size;            /* of the mapping that begins with struct fo_region */
    uintptr_t base;           /* of page 0 */
    uint64_t key;             /* of the check bits */
    struct fo_ground *ground; /* of each page */
    struct fo_mark *mark;
    uint32_t page_count, magazine_count; /* all numbers are lower */
    uint32_t owned_most, cache_count;    /* of caches to own; of all caches */
    uintptr_t cells;                     /* fo_cell_is_possible() */
    uint64_t cells_size;
    bool shared; /* processes forked later map the same memory: backend `shm` */
    struct {
        uint16_t cells[2]; /* of a short magazine, of a long one; 0 where there is no such class */
        uint16_t slots;    /* of a page */
        uint16_t unused;
    } class[FO_CLASS_NUMBERS];
    uintptr_t caches[FO_CACHE_GROUPS];       /* struct fo_cache_group; 0: not mapped */
    uintptr_t pages[FO_PAGE_GROUPS];         /* struct fo_page_group */
    uintptr_t magazines[FO_MAGAZINE_GROUPS]; /* struct fo_magazine_group */
} fo_layout;

static inline struct fo_set fo_set_of_magazines(unsigned index)
{
    return (struct fo_set){
        .above = fo_layout.above + index,
        .chunks = fo_layout.magazines,
        .offset = (uint32_t)(offsetof(struct fo_magazine_group, sets) + index * sizeof(uint64_t)),
        .words = FO_GROUP_MAGAZINES / 64,
        .row_above = FO_SETS,
        .row = FO_MAGAZINE_SETS,
    };
}

static inline struct fo_set fo_set_of_pages(unsigned index)
{
    return (struct fo_set){
        .above = fo_layout.above + FO_MAGAZINE_SETS + index,
        .chunks = fo_layout.pages,
        .offset = (uint32_t)(offsetof(struct fo_page_group, sets) + index * sizeof(uint64_t)),
        .words = FO_GROUP_PAGES / 64,
        .row_above = FO_SETS,
        .row = FO_PAGE_SETS,
    };
}

/* Sets of magazines for all threads: full ones by class, and empty ones, short or long. */
static inline struct fo_set fo_full_magazines(unsigned class)
{
    return fo_set_of_magazines(class);
}

static inline struct fo_set fo_spare_magazines(bool is_long)
{
    return fo_set_of_magazines(FO_REGION_CLASSES + is_long);
}

/* Sets of pages: FO_PAGE_PARTIAL, by class; and FO_PAGE_FREE, by size of the run. */
static inline struct fo_set fo_partial_pages(unsigned class)
{
    return fo_set_of_pages(class);
}

static inline struct fo_set fo_free_runs(unsigned run_class)
{
    return fo_set_of_pages(FO_REGION_CLASSES + run_class);
}

/* For pages below fo_region_committed().  Relaxed, as below for magazines and caches: a number
 * comes from a word that was acquired, or with a block, after its chunk was entered. */
static inline struct fo_page *fo_page_at(uint32_t number)
{
    uintptr_t group = FO_RELAXED_LOAD(&fo_layout.pages[number / FO_GROUP_PAGES]);

    return &((struct fo_page_group *)group)->page[number % FO_GROUP_PAGES];
}

static inline uint64_t *fo_bitmap_of(uint32_t page)
{
    uintptr_t group = FO_RELAXED_LOAD(&fo_layout.pages[page / FO_GROUP_PAGES]);

    return ((struct fo_page_group *)group)->bitmap[page % FO_GROUP_PAGES];
}

static inline bool fo_magazine_is_long(uint32_t number)
{
    return number % 2 != 0;
}

/* Cells that it has; its class may use fewer. */
static inline uint32_t fo_magazine_cells(uint32_t number)
{
    return fo_magazine_is_long(number) ? FO_MAGAZINE_CELLS : FO_SHORT_CELLS;
}

static inline struct fo_magazine *fo_magazine_at(uint32_t number)
{
    struct fo_magazine_group *group = (struct fo_magazine_group *)FO_RELAXED_LOAD(
        &fo_layout.magazines[number / FO_GROUP_MAGAZINES]);
    uint32_t at = number % FO_GROUP_MAGAZINES / 2;

    return fo_magazine_is_long(number) ? &group->longs[at].end : &group->shorts[at].end;
}

static inline struct fo_cache *fo_cache_at(uint32_t index)
{
    uintptr_t group = FO_RELAXED_LOAD(&fo_layout.caches[index / FO_GROUP_CACHES]);

    return &((struct fo_cache_group *)group)->cache[index % FO_GROUP_CACHES];
}

/* Chunks of a private heap lie one after another from this place on, where addresses are free. */
void fo_layout_begin(uintptr_t place);

/* A chunk of so many bytes; 0: no memory. */
uintptr_t fo_layout_map(size_t size);

/* Map the chunk for the group of this page, magazine or cache, unless it is there.  False: no
 * memory. */
bool fo_layout_map_page(uint32_t page);
bool fo_layout_map_magazine(uint32_t number);
bool fo_layout_map_cache(uint32_t index);

/* Lay out groups one after another from `start` on, for so many pages, magazines and caches;
 * returns where they end. */
uintptr_t fo_layout_share(uintptr_t start, uint32_t pages, uint32_t magazines, uint32_t caches);

/* Bytes for the upper words of all sets together, of so many pages and magazines. */
static inline size_t fo_layout_above_size(uint32_t pages)
{
    return sizeof(uint64_t[FO_SETS]) * fo_set_above(pages);
}

#endif
