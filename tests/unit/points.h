/* At which instructions is it worth stopping or killing a process?  For tests of backend shm. */
#ifndef FO_TESTS_POINTS_H
#define FO_TESTS_POINTS_H

#include <stdlib.h>
#include <string.h>

#include "heap/region.h"

/* The instructions that change the state or the owner of a page. */
struct points {
    unsigned after[2000], count;
};

/* FNV-1a, by words: it is computed after each instruction. */
static inline uint64_t points_add(uint64_t sum, const void *what, size_t size)
{
    const char *at = what;

    for (uint64_t word; size != 0;
         at += sizeof word, size -= size < sizeof word ? size : sizeof word) {
        word = 0;
        memcpy(&word, at, size < sizeof word ? size : sizeof word);
        sum = (sum ^ word) * 0x100000001b3;
        sum ^= sum >> 32;
    }
    return sum;
}

static inline uint64_t points_state(void)
{
    const struct fo_region *r = fo_region;
    uint64_t sum = points_add(0, r->warm, sizeof r->warm);

    sum = points_add(sum, &r->pages, sizeof r->pages);
    sum = points_add(sum, r->idle, sizeof r->idle);
    for (uint32_t i = 0; i < r->pages; i++) {
        sum = points_add(sum, fo_page_at(i), sizeof(struct fo_page));
        sum = points_add(sum, fo_bitmap_of(i), FO_BITMAP_WORDS * sizeof(uint64_t));
    }
    for (uint32_t i = 0; i < r->caches; i++)
        sum = points_add(sum, &fo_cache_at(i)->bins, sizeof fo_cache_at(i)->bins);
    for (uint32_t i = FO_FIRST_MAGAZINE; i < r->magazines; i++) {
        const struct fo_cell *end = fo_end_cell(fo_magazine_at(i));
        uint32_t cells = fo_magazine_cells(i);
        sum = points_add(sum, end - cells, (cells + 1) * sizeof *end);
    }
    return sum;
}

static inline void points_note(struct points *p, unsigned step, uint64_t *before)
{
    uint64_t state = points_state();

    if (state != *before && p->count < sizeof p->after / sizeof *p->after)
        p->after[p->count++] = step;
    *before = state;
}

/* One of them, or an instruction a little before or after: the reads around them matter, too. */
static inline unsigned points_draw(const struct points *p, unsigned *seed)
{
    enum { BEFORE = 20, AROUND = 60 };
    unsigned point = p->after[(unsigned)rand_r(seed) % p->count];

    if (rand_r(seed) % 2 == 0)
        return point;
    point += (unsigned)rand_r(seed) % AROUND;
    return point > BEFORE ? point - BEFORE : 1;
}

#endif
