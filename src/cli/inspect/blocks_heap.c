/* The heap's blocks, a page of 64 KiB at a time.  Whether a slot is live is decided as the library
 * does it (heap/find.c): from the page's word, the slot's boundary and the check bits. */
#include <stdlib.h>
#include <string.h>

#include "base/block.h"
#include "cli/exit.h"
#include "cli/inspect/blocks.h"
#include "cli/message.h"

enum { CHECKED = 0xffff };

struct walk {
    struct fo_target *t;
    struct fo_blocks *b;
    uint64_t group;       /* address of the group of pages */
    unsigned char *pages; /* its pages */
    unsigned char *page;  /* the content of one */
    unsigned char *bitmap;
};

/* As fo_region_freed_word(): 0 of a live block. */
static uint64_t difference(const struct walk *w, uint64_t payload, uint64_t site, uint64_t word)
{
    uint64_t check = fo_keyed_hash(w->t->key, (site ^ (word & ~(uint64_t)CHECKED)) + payload) >> 49;

    return (word & CHECKED) ^ check;
}

static void count_freed(struct walk *w, uint64_t word, bool is_back)
{
    if (is_back)
        return;
    w->b->waiting++;
    w->b->waiting_bytes += word >> w->t->d.word.size_shift;
}

static void judge(struct walk *w, uint64_t payload, uint64_t site, uint64_t word, uint64_t room,
                  bool is_back)
{
    const struct fo_description *d = &w->t->d;
    uint64_t differs = difference(w, payload, site, word), size = word >> d->word.size_shift;
    bool fits = size != 0 && size <= room;

    if (differs == 0 && fits && !is_back)
        fo_blocks_count_live(w->t, w->b, payload, site, word);
    else if (differs == d->value.freed && fits)
        count_freed(w, word, is_back);
    else if (differs == d->value.held && fits)
        w->b->held++;
    else
        w->b->unclear++;
}

static void read_slots(struct walk *w, uint32_t page, uint32_t in_group, const unsigned char *row)
{
    const struct fo_description *d = &w->t->d;
    uint64_t class = fo_target_number_in(row, &d->in_group.class),
             used = fo_target_number_in(row, &d->in_group.used),
             start = w->t->base + ((uint64_t)page << d->value.page_shift);
    uint32_t slot = class < FO_DESCRIBED_CLASSES ? d->class_slot[class] : 0;

    if (slot == 0) {
        w->b->unread++;
        return;
    }
    uint32_t slots = (1u << d->value.page_shift) / slot;
    used = used < slots ? used : slots;
    if (used == 0)
        return;
    uint64_t bitmap =
        w->group + d->in_group.bitmaps.offset + (uint64_t)in_group * d->in_group.bitmaps.stride;
    if (!fo_source_read(w->t->source, bitmap, w->bitmap, d->in_group.bitmaps.stride) ||
        !fo_source_read(w->t->source, start, w->page, used * slot)) {
        w->b->unread++;
        return;
    }
    for (uint32_t i = 0; i < used; i++) {
        uint64_t header[2]; /* site, word */
        memcpy(header, w->page + (size_t)i * slot, sizeof header);
        if (header[0] == 0 && header[1] <= d->value.clear)
            continue;
        judge(w, start + (uint64_t)i * slot + sizeof header, header[0], header[1],
              slot - sizeof header, (w->bitmap[i / 8] >> i % 8 & 1) != 0);
    }
}

/* While it gets another size, its page says so. */
static void read_large(struct walk *w, uint32_t page, const unsigned char *row, uint32_t pages)
{
    const struct fo_description *d = &w->t->d;
    uint64_t start = w->t->base + ((uint64_t)page << d->value.page_shift), header[2],
             room = (uint64_t)pages << d->value.page_shift,
             remembered = fo_target_number_in(row, &d->in_group.word);

    if (!fo_source_read(w->t->source, start, header, sizeof header)) {
        w->b->unread++;
        return;
    }
    header[1] ^= d->value.large;
    if (header[1] >> d->word.size_shift != remembered >> d->word.size_shift)
        w->b->held++;
    else
        judge(w, start + sizeof header, header[0], header[1], room - sizeof header, false);
}

static void read_page(struct walk *w, uint32_t page, uint32_t in_group)
{
    const struct fo_description *d = &w->t->d;
    const unsigned char *row = w->pages + (size_t)in_group * d->in_group.pages.stride;
    uint64_t what = fo_target_number_in(row, &d->in_group.what);
    uint32_t state = (uint32_t)what & d->value.state_mask,
             run = (uint32_t)(what >> d->value.run_shift) & d->value.run_mask;

    if (state >= d->value.slots) {
        w->b->slots_bytes += UINT64_C(1) << d->value.page_shift;
        if (w->t->direct)
            read_slots(w, page, in_group, row);
    } else if (state == d->value.block && run != 0 && run <= w->t->pages - page) {
        w->b->slots_bytes += (uint64_t)run << d->value.page_shift;
        if (w->t->direct)
            read_large(w, page, row, run);
    } else if (state == d->value.block) {
        w->b->unclear++;
    }
}

static void read_group(struct walk *w, uint32_t index)
{
    const struct fo_description *d = &w->t->d;
    uint32_t each = d->in_group.pages.count, first = index * each;
    uint64_t address =
        w->t->d.layout + d->in_layout.groups.offset + (uint64_t)index * d->in_layout.groups.stride;

    if (!fo_source_read(w->t->source, address, &w->group, sizeof w->group) ||
        !fo_source_read(w->t->source, w->group + d->in_group.pages.offset, w->pages,
                        (size_t)each * d->in_group.pages.stride)) {
        w->b->unread += each;
        return;
    }
    for (uint32_t i = first == 0; i < each && first + i < w->t->pages; i++)
        read_page(w, first + i, i);
}

void fo_blocks_read_heap(struct fo_target *t, struct fo_blocks *b)
{
    const struct fo_description *d = &t->d;
    uint32_t each = d->in_group.pages.count;
    struct walk w = {.t = t, .b = b};

    if (t->region == 0)
        return;
    w.pages = malloc((size_t)each * d->in_group.pages.stride);
    w.page = malloc((size_t)1 << d->value.page_shift);
    w.bitmap = malloc(d->in_group.bitmaps.stride);
    if (w.pages == NULL || w.page == NULL || w.bitmap == NULL) {
        fo_error("no memory for a copy of a page");
        exit(FO_EXIT_SOFTWARE);
    }
    for (uint32_t i = 0; (uint64_t)i * each < t->pages; i++)
        read_group(&w, i);
    free(w.pages);
    explicit_bzero(w.page, (size_t)1 << d->value.page_shift); /* it holds keys */
    free(w.page);
    free(w.bitmap);
}
