/* From processes and journals to sums.  See metrics.h. */
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/inspect/blocks.h"
#include "cli/inspect/objects.h"
#include "cli/inspect/tally.h"
#include "cli/message.h"
#include "cli/metrics/metrics.h"
#include "cli/model/journal_read.h"
#include "report/counts.h"
#include "report/journal_format.h"

const char *const fo_metrics_kinds[FO_METRICS_KINDS] = {
#define FO_FINDING(KIND, id, free_text, realloc_text) id,
#include "report/findings.def"
#undef FO_FINDING
    "other",
};

void *fo_metrics_grow(void *array, size_t count, size_t size)
{
    void *grown = reallocarray(array, count, size);

    if (grown == NULL) {
        fo_error("no memory for the metrics");
        exit(FO_EXIT_SOFTWARE);
    }
    return grown;
}

static char *need(char *text)
{
    return text != NULL ? text : fo_metrics_grow(NULL, SIZE_MAX, 2);
}

static struct fo_metrics_unit *unit_named(struct fo_metrics *m, const char *name)
{
    for (size_t i = 0; i < m->unit_count; i++)
        if (strcmp(m->units[i].name, name) == 0)
            return &m->units[i];
    m->units = fo_metrics_grow(m->units, m->unit_count + 1, sizeof *m->units);
    struct fo_metrics_unit *u = &m->units[m->unit_count++];
    *u = (struct fo_metrics_unit){0};
    snprintf(u->name, sizeof u->name, "%s", name);
    return u;
}

static void add_row(struct fo_metrics_rows *r, const char *name, uint64_t blocks, uint64_t bytes)
{
    size_t i = 0;

    while (i < r->count && strcmp(r->rows[i].name, name) != 0)
        i++;
    if (i == r->count) {
        r->rows = fo_metrics_grow(r->rows, r->count + 1, sizeof *r->rows);
        r->rows[r->count++] = (struct fo_metrics_row){.name = need(strdup(name))};
    }
    r->rows[i].blocks += blocks;
    r->rows[i].bytes += bytes;
}

static void free_rows(struct fo_metrics_rows *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->rows[i].name);
    free(r->rows);
    *r = (struct fo_metrics_rows){0};
}

/* True once for each mapping that processes share, and for all that they do not share. */
static bool is_first_look(struct fo_metrics *m, const struct fo_target *t, uint64_t address)
{
    struct fo_metrics_shared is;

    if (!fo_metrics_shared_at(t->source->pid, address, &is))
        return true;
    for (size_t i = 0; i < m->seen_count; i++)
        if (m->seen[i].device == is.device && m->seen[i].inode == is.inode)
            return false;
    m->seen = fo_metrics_grow(m->seen, m->seen_count + 1, sizeof *m->seen);
    m->seen[m->seen_count++] = is;
    return true;
}

/* --- findings ----------------------------------------------------------------------------------
 */

static void add_finding(void *data, uint64_t key, uint64_t count)
{
    struct fo_metrics_unit *u = data;
    unsigned kind = fo_seen_kind(key);

    u->findings[kind < FO_METRICS_OTHER_KIND ? kind : FO_METRICS_OTHER_KIND] += count;
}

static void add_findings(struct fo_metrics *m, struct fo_metrics_unit *u, struct fo_target *t)
{
    uint64_t table = fo_target_findings(t);

    if (table != 0 && is_first_look(m, t, table))
        fo_target_findings_read(t, table, add_finding, u);
}

int fo_metrics_read_journal(struct fo_metrics_journal *journal)
{
    struct fo_model model;
    char *path = (char *)journal->path;
    int status = fo_model_read(&model, &path, 1);

    for (size_t i = 0; i < model.finding_count; i++) {
        const struct fo_finding_shown *f = &model.findings[i];
        unsigned kind = 0;
        while (kind < FO_METRICS_OTHER_KIND && strcmp(f->kind, fo_metrics_kinds[kind]) != 0)
            kind++;
        journal->findings[kind] += f->count;
    }
    journal->findings[FO_METRICS_OTHER_KIND] += model.dropped;
    fo_model_free(&model);
    return status;
}

/* --- blocks ------------------------------------------------------------------------------------
 */

struct counts {
    struct fo_target *target;
    struct fo_objects *objects;
    struct fo_tally sites, kinds;
};

static void count(void *context, const struct fo_block_seen *block)
{
    struct counts *c = context;
    uint64_t kind = fo_object_key(c->objects, block->site, block->size);

    fo_tally_add(&c->sites, block->site, block->size);
    if (fo_object_name(kind) != NULL)
        fo_tally_add(&c->kinds, kind, block->size);
}

/* By source file: a line moves from one version of OpenSSL to the next. */
static char *name_site(void *context, uint64_t site)
{
    char text[FO_SITE_TEXT];

    struct counts *c = context;

    fo_target_site(c->target, site, text);
    char *colon = strrchr(text, ':');
    if (colon != NULL)
        *colon = '\0';
    return need(strdup(text));
}

static char *name_kind(void *context, uint64_t kind)
{
    const char *name = fo_object_name(kind);

    (void)context;
    return need(strdup(name != NULL ? name : "?"));
}

static void add_tally(struct fo_metrics_rows *r, struct fo_tally *t)
{
    for (size_t i = 0; i < t->used; i++)
        add_row(r, t->rows[i].text, t->rows[i].blocks, t->rows[i].bytes);
    if (t->others.blocks != 0)
        add_row(r, "other", t->others.blocks, t->others.bytes);
    fo_tally_free(t);
}

static void add_heap(struct fo_metrics_unit *u, const struct fo_target *t,
                     const struct fo_blocks *b)
{
    struct fo_metrics_heap *heap = t->is_shared_heap ? &u->shm : &u->arena;

    if (t->region == 0)
        return;
    heap->is_there = true;
    heap->committed += t->committed;
    heap->used += b->slots_bytes;
    if (!t->is_shared_heap)
        return;
    u->shm_filled += (uint64_t)t->pages << t->d.value.page_shift;
    u->shm_most += (uint64_t)t->page_count << t->d.value.page_shift;
}

static void add_blocks(struct fo_metrics *m, struct fo_metrics_unit *u, struct fo_target *t)
{
    struct counts c = {.target = t};
    struct fo_blocks b = {.visit = count, .context = &c};

    if (t->shared && !is_first_look(m, t, t->is_shared_heap ? t->region : t->registry))
        return;
    c.objects = fo_objects_start(t);
    fo_blocks_read(t, &b);
    fo_tally_name(&c.sites, name_site, &c);
    fo_tally_name(&c.kinds, name_kind, &c);
    add_tally(&u->files, &c.sites);
    add_tally(&u->objects, &c.kinds);
    fo_objects_free(c.objects);
    u->live_bytes += b.live_bytes;
    u->waiting += b.waiting;
    u->waiting_bytes += b.waiting_bytes;
    u->incomplete += b.unread != 0 || t->source->exhausted;
    add_heap(u, t, &b);
}

void fo_metrics_add(struct fo_metrics *m, struct fo_target *t)
{
    char name[FO_METRICS_NAME];
    uint64_t guard = FO_JOURNAL_SEEN;

    fo_metrics_unit_of(t->source->pid, name);
    struct fo_metrics_unit *u = unit_named(m, name);
    fo_target_number(t, t->d.how, &t->d.how_guard, &guard);
    u->processes[guard == FO_JOURNAL_GUARDED       ? FO_METRICS_GUARDED
                 : guard == FO_JOURNAL_UNPROTECTED ? FO_METRICS_UNPROTECTED
                                                   : FO_METRICS_UNUSED]++;
    if (t->tree == 0)
        return;
    add_findings(m, u, t);
    add_blocks(m, u, t);
}

/* --- bounds ------------------------------------------------------------------------------------
 */

static int most_bytes_first(const void *left, const void *right)
{
    const struct fo_metrics_row *a = left, *b = right;

    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    return strcmp(a->name, b->name);
}

static int most_live_first(const void *left, const void *right)
{
    const struct fo_metrics_unit *a = left, *b = right;

    if (a->live_bytes != b->live_bytes)
        return a->live_bytes < b->live_bytes ? 1 : -1;
    return strcmp(a->name, b->name);
}

static void bound_rows(struct fo_metrics_rows *r)
{
    struct fo_metrics_rows all = *r;

    if (all.count == 0)
        return;
    qsort(all.rows, all.count, sizeof *all.rows, most_bytes_first);
    if (all.count <= FO_METRICS_ROWS)
        return;
    *r = (struct fo_metrics_rows){0};
    for (size_t i = 0; i < all.count; i++)
        add_row(r, i < FO_METRICS_ROWS ? all.rows[i].name : "other", all.rows[i].blocks,
                all.rows[i].bytes);
    free_rows(&all);
}

static void move_rows(struct fo_metrics_rows *to, struct fo_metrics_rows *from)
{
    for (size_t i = 0; i < from->count; i++)
        add_row(to, from->rows[i].name, from->rows[i].blocks, from->rows[i].bytes);
    free_rows(from);
}

static void add_unit(struct fo_metrics_unit *to, struct fo_metrics_unit *u)
{
    for (int i = 0; i < FO_METRICS_STATES; i++)
        to->processes[i] += u->processes[i];
    for (int i = 0; i < FO_METRICS_KINDS; i++)
        to->findings[i] += u->findings[i];
    move_rows(&to->files, &u->files);
    move_rows(&to->objects, &u->objects);
    to->incomplete += u->incomplete;
    to->live_bytes += u->live_bytes;
    to->waiting += u->waiting;
    to->waiting_bytes += u->waiting_bytes;
    to->arena.is_there |= u->arena.is_there;
    to->arena.committed += u->arena.committed;
    to->arena.used += u->arena.used;
    to->shm.is_there |= u->shm.is_there;
    to->shm.committed += u->shm.committed;
    to->shm.used += u->shm.used;
    to->shm_filled += u->shm_filled;
    to->shm_most += u->shm_most;
}

void fo_metrics_bound(struct fo_metrics *m)
{
    size_t count = m->unit_count;

    if (count == 0)
        return;
    qsort(m->units, count, sizeof *m->units, most_live_first);
    if (count > FO_METRICS_UNITS) {
        struct fo_metrics_unit *all = m->units;
        m->units = NULL;
        m->unit_count = 0;
        for (size_t i = 0; i < count; i++)
            add_unit(unit_named(m, i < FO_METRICS_UNITS ? all[i].name : "other"), &all[i]);
        free(all);
    }
    for (size_t i = 0; i < m->unit_count; i++) {
        bound_rows(&m->units[i].files);
        bound_rows(&m->units[i].objects);
    }
}

void fo_metrics_free(struct fo_metrics *m)
{
    for (size_t i = 0; i < m->unit_count; i++) {
        free_rows(&m->units[i].files);
        free_rows(&m->units[i].objects);
    }
    free(m->units);
    free(m->seen);
}
