/* See check.h.  Each number has a bound, so that nothing that is computed from two of them
 * overflows, and no table is larger than what one read of it may take. */
#include "cli/inspect/check.h"

#include <stddef.h>

enum {
    OFFSET_MOST = 1 << 24,
    TABLE_MOST = 1 << 20, /* rows */
    GROUP_MOST = 1 << 20, /* bytes of the pages of a group */
    NAME_MOST = 4096,
};

static bool is_field(const struct fo_field *f)
{
    return (f->size == 1 || f->size == 2 || f->size == 4 || f->size == 8) &&
           f->offset < OFFSET_MOST;
}

/* In a row of so many bytes. */
static bool is_field_in(const struct fo_field *f, uint32_t stride)
{
    return is_field(f) && f->offset + f->size <= stride;
}

static bool are_rows(const struct fo_rows *r)
{
    return r->offset < OFFSET_MOST && r->stride != 0 && r->stride < OFFSET_MOST && r->count != 0 &&
           r->count <= TABLE_MOST;
}

static bool are_words(const struct fo_rows *r)
{
    return are_rows(r) && r->stride == sizeof(uint64_t);
}

static bool is_text(const struct fo_rows *r)
{
    return are_rows(r) && r->stride == 1 && r->count <= NAME_MOST;
}

static bool is_heap_sound(const struct fo_description *d)
{
    uint32_t page = 1u << (d->value.page_shift & 31);

    if (d->value.page_shift < 12 || d->value.page_shift > 20 || d->value.run_shift > 63 ||
        !is_field(&d->in_layout.base) || !is_field(&d->in_layout.key) ||
        !is_field(&d->in_layout.page_count) || !is_field(&d->in_layout.shared) ||
        !are_words(&d->in_layout.groups) || !is_field(&d->region_committed) ||
        !is_field(&d->region_pages))
        return false;
    if (!are_rows(&d->in_group.pages) || !are_rows(&d->in_group.bitmaps) ||
        (uint64_t)d->in_group.pages.count * d->in_group.pages.stride > GROUP_MOST ||
        d->in_group.bitmaps.count != d->in_group.pages.count ||
        d->in_group.bitmaps.stride > NAME_MOST ||
        !is_field_in(&d->in_group.what, d->in_group.pages.stride) ||
        !is_field_in(&d->in_group.class, d->in_group.pages.stride) ||
        !is_field_in(&d->in_group.used, d->in_group.pages.stride) ||
        !is_field_in(&d->in_group.word, d->in_group.pages.stride))
        return false;
    for (int i = 0; i < FO_DESCRIBED_CLASSES; i++) {
        uint32_t slot = d->class_slot[i];
        if (slot != 0 &&
            (slot <= 16 || slot > page || page / slot > d->in_group.bitmaps.stride * 8))
            return false;
    }
    return true;
}

static bool is_registry_sound(const struct fo_description *d)
{
    return are_words(&d->registry.claims) && are_words(&d->registry.leaves) &&
           d->registry.claims.count == d->registry.leaves.count && d->registry.granule_shift >= 4 &&
           d->registry.granule_shift < d->registry.leaf_shift && d->registry.leaf_shift <= 28 &&
           d->registry.leaf_shift - d->registry.granule_shift >= 3 && d->word.size_shift < 64 &&
           d->word.process_shift < 64 && d->word.process_bits <= 16 && d->word.check_bits >= 1 &&
           d->word.check_bits <= 16;
}

static bool is_rest_sound(const struct fo_description *d)
{
    uint32_t row = d->processes.stride;

    return are_rows(&d->processes) && is_field_in(&d->in_process.pid, row) &&
           is_field_in(&d->in_process.parent, row) && is_text(&d->in_process.name) &&
           are_rows(&d->in_findings.rows) && d->in_findings.rows.count <= NAME_MOST &&
           (uint64_t)d->in_findings.rows.count * d->in_findings.rows.stride <= GROUP_MOST &&
           is_field_in(&d->in_findings.key, d->in_findings.rows.stride) &&
           is_field_in(&d->in_findings.count, d->in_findings.rows.stride) &&
           is_field(&d->how_guard) && is_text(&d->how_text) && d->option_count <= 256 &&
           d->option_names_size <= 1 << 16;
}

static bool are_stacks_sound(const struct fo_description *d)
{
    uint32_t row = d->in_stacks.rows.stride;

    return are_rows(&d->in_stacks.rows) && row <= 64 && is_field_in(&d->in_stacks.payload, row) &&
           is_field_in(&d->in_stacks.stack, row) && is_field(&d->in_stacks.full) &&
           d->in_stacks.words.offset < OFFSET_MOST &&
           d->in_stacks.words.stride == sizeof(uint64_t) && is_field(&d->in_stacks.count) &&
           is_field(&d->in_stacks.one_in) && is_field(&d->in_stacks.all) &&
           is_field(&d->in_stacks.tail) && d->in_stacks.backend_shift < 64 &&
           d->in_stacks.backend_bits <= 16 && d->in_stacks.frames <= 256;
}

bool fo_description_is_sound(const struct fo_description *d)
{
    return is_field(&d->in_hot.secret) && is_field(&d->in_hot.direct) &&
           is_field(&d->in_hot.shared) && is_field(&d->in_hot.guard) &&
           is_field(&d->in_hot.entered) && is_field(&d->in_hot.tree) &&
           is_field(&d->in_hot.process) && is_field(&d->process_row) && is_heap_sound(d) &&
           is_registry_sound(d) && is_rest_sound(d) && are_stacks_sound(d);
}
