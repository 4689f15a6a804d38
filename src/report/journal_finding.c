/* A record as a row of the journal.  Addresses differ from process to process: two findings are the
 * same if kind, operation, object and verb are equal and, for each place, source line, module and
 * offset.
 *
 * Counts, times and the number of a known row are relaxed: whether a row is written is acquired. */
#include <string.h>

#include "base/elf.h"
#include "process/rows.h"
#include "process/tree.h"
#include "report/journal.h"
#include "report/record.h"
#include "report/stacks.h"

static const char *const ids[] = {
#define FO_FINDING(KIND, id, free_text, realloc_text) id,
#include "report/findings.def"
#undef FO_FINDING
};

static uint32_t file_of(fo_site site)
{
    char file[160];

    return fo_journal_intern(fo_elf_string(fo_site_file(site), file, sizeof file) ? file : NULL);
}

static void put_place(struct fo_journal_place *out, const struct fo_place *place)
{
    uintptr_t frames[FO_JOURNAL_FRAMES];

    if (!place->known)
        return;
    out->known = 1;
    out->file.raw = file_of(place->site);
    out->line = (uint32_t)fo_site_line(place->site);
    out->process.raw = fo_journal_keep_process(place->process);
    out->pid = fo_row_pid(place->process);
    out->thread = place->thread;
    out->caller = fo_journal_code(place->caller);
    out->frames = fo_stack_frames(place->stack, frames, FO_JOURNAL_FRAMES);
    for (uint64_t i = 0; i < out->frames; i++)
        out->stack[i] = fo_journal_code(frames[i]);
}

static void keep_ancestors(uint32_t index)
{
    for (int depth = 0; depth < FO_PROCESSES && index != 0 && index < FO_PROCESSES; depth++) {
        fo_journal_keep_process(index);
        index = fo_row_parent(index);
    }
}

/* In fields that have no other use in a leak: see journal_format.h. */
static void put_lost(struct fo_journal_finding *f, const struct fo_record *r)
{
    f->offset = r->lost.blocks;
    f->racing = r->lost.bytes;
    f->neighbour_line = r->lost.held < UINT32_MAX ? (uint32_t)r->lost.held : UINT32_MAX;
    f->neighbour_size = r->lost.held_bytes;
}

static void put_record(struct fo_journal_finding *f, const struct fo_record *r)
{
    f->kind.raw = fo_journal_intern(ids[r->kind]);
    f->operation = r->operation;
    f->object.raw = fo_journal_intern(r->object);
    f->answer.raw = fo_journal_intern(r->answer);
    f->memory.raw = fo_journal_intern(r->memory);
    f->verb.raw = fo_journal_intern(r->verb);
    f->pointer = r->pointer;
    f->block = r->block;
    f->size = r->size;
    f->offset = r->offset;
    f->racing = r->racing;
    f->neighbour_block = r->neighbour.block;
    f->neighbour_size = r->neighbour.size;
    if (r->neighbour.block != 0) {
        f->neighbour_file.raw = file_of(r->neighbour.allocated);
        f->neighbour_line = (uint32_t)fo_site_line(r->neighbour.allocated);
    }
    if (r->kind == FO_FINDING_LEAK)
        put_lost(f, r);
    put_place(&f->allocated, &r->allocated);
    put_place(&f->freed, &r->first);
    put_place(&f->now, &r->now);
    keep_ancestors(r->now.process);
}

static uint64_t key_of(const struct fo_journal_finding *f, const struct fo_record *r)
{
    const struct fo_journal_place *places[] = {&f->allocated, &f->freed, &f->now};
    uint64_t size = r->kind == FO_FINDING_LEAK ? f->size << 40 : 0; /* it tells objects apart */
    uint64_t key = size ^ (uint64_t)f->verb.raw << 48 ^ (uint64_t)f->kind.raw << 32 ^
                   f->operation << 16 ^ f->object.raw;

    for (size_t i = 0; i < 3; i++) {
        const uint64_t parts[] = {(uint64_t)places[i]->file.raw << 32 | places[i]->line,
                                  (uint64_t)places[i]->caller.module.raw << 48 ^
                                      places[i]->caller.address};
        for (size_t part = 0; part < 2; part++)
            key = ((key ^ parts[part]) * UINT64_C(0x9e3779b97f4a7c15)) ^ (key >> 29);
    }
    return key | 1;
}

static bool is_written(const struct fo_journal_finding *f)
{
    return __atomic_load_n(&f->row.state, __ATOMIC_ACQUIRE) == FO_JOURNAL_WRITTEN;
}

static void count(struct fo_journal_finding *f, uint64_t times)
{
    __atomic_add_fetch(&f->count, times, __ATOMIC_RELAXED);
    FO_RELAXED_STORE(&f->last, fo_journal_now());
}

/* A row whose writer was killed stays unfinished; when the finding is seen again, it gets the next
 * row. */
static struct fo_journal_finding *claim(uint64_t key, bool *is_new)
{
    for (int tries = 0; tries < 4; tries++) {
        struct fo_journal_finding *f = (struct fo_journal_finding *)fo_journal_claim(
            fo_journal->findings, sizeof *f, FO_JOURNAL_FINDINGS, key, is_new);
        if (f == NULL || *is_new || is_written(f) || FO_RELAXED_LOAD(&f->count) < 4)
            return f;
        key += UINT64_C(1) << 33; /* the row after it, and a key of its own */
    }
    return NULL;
}

void fo_journal_finding(const struct fo_record *record, uint64_t times, uint32_t *row)
{
    if (!fo_journal_is_usable())
        return;
    __atomic_add_fetch(&fo_journal->counters.findings, times, __ATOMIC_RELAXED);
    uint32_t known = __atomic_load_n(row, __ATOMIC_RELAXED);
    if (known != 0 && is_written(&fo_journal->findings[known - 1])) {
        count(&fo_journal->findings[known - 1], times);
        return;
    }
    struct fo_journal_finding made;
    memset(&made, 0, sizeof made); /* the padding too: it is part of the check */
    put_record(&made, record);
    made.first = fo_journal_now();

    bool is_new;
    struct fo_journal_finding *f = claim(key_of(&made, record), &is_new);
    if (f == NULL) {
        __atomic_add_fetch(&fo_journal->counters.dropped.findings, times, __ATOMIC_RELAXED);
        return;
    }
    count(f, times);
    if (is_new) {
        size_t body = offsetof(struct fo_journal_finding, first);
        memcpy(&f->first, &made.first, sizeof made - body);
        fo_journal_finish(&f->row, &f->first, sizeof made - body);
    }
    __atomic_store_n(row, (uint32_t)(f - fo_journal->findings) + 1, __ATOMIC_RELAXED);
    if (!fo_journal_is_kept()) /* truncated meanwhile */
        (void)fo_journal_is_usable();
}
