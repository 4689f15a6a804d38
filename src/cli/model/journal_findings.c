/* The findings of a journal, in the words of the library's own report. */
#include <stdio.h>
#include <string.h>

#include "cli/inspect/objects.h"
#include "cli/model/journal_rows.h"
#include "report/advice.h"
#include "report/headline.h"

/* Debian builds OpenSSL in a folder beside its source: paths begin with "../". */
static const char *source_file(const struct fo_reading *r, struct fo_journal_reference reference)
{
    const char *file = fo_row_string(r, reference);

    while (file != NULL && strncmp(file, "../", 3) == 0)
        file += 3;
    return file;
}

static struct fo_place_shown place_of(const struct fo_reading *r, const struct fo_journal_place *p)
{
    struct fo_place_shown out = {.known = p->known != 0};
    uint32_t row;

    if (!out.known)
        return out;
    out.file = source_file(r, p->file);
    out.line = p->line;
    out.pid = p->pid;
    out.thread = p->thread;
    out.caller = fo_row_code(r, &p->caller);
    if (fo_journal_refers(p->process, FO_JOURNAL_PROCESSES, &row))
        out.process = r->processes[row];
    out.frames = p->frames <= FO_JOURNAL_FRAMES ? p->frames : 0;
    if (out.frames != 0)
        out.stack = fo_model_allocate(r->model, out.frames * sizeof *out.stack);
    for (size_t i = 0; i < out.frames; i++)
        out.stack[i] = fo_row_code(r, &p->stack[i]);
    return out;
}

static int kind_of(const char *id)
{
    static const char *const ids[] = {
#define FO_FINDING(KIND, id, free_text, realloc_text) id,
#include "report/findings.def"
#undef FO_FINDING
    };

    for (size_t i = 0; id != NULL && i < sizeof ids / sizeof ids[0]; i++)
        if (strcmp(ids[i], id) == 0)
            return (int)i;
    return -1;
}

/* The words of the library's own report. */
static void put_words(const struct fo_reading *r, const struct fo_journal_finding *f,
                      struct fo_finding_shown *out)
{
    int kind = kind_of(out->kind);
    char text[512], advice[1024];
    struct fo_text t = {text, sizeof text - 1, 0}, a = {advice, sizeof advice - 1, 0};
    const char *memory = fo_row_string(r, f->memory), *verb = fo_row_string(r, f->verb);
    const struct fo_record record = {
        .kind = (enum fo_finding_kind)kind,
        .operation = (enum fo_operation)out->operation,
        .object = out->object,
        .memory = memory,
        .verb = verb != NULL ? verb : "?",
        .pointer = out->pointer,
        .block = out->block,
        .size = out->size,
        .offset = out->offset,
        .lost = {out->lost.blocks, out->lost.bytes, out->lost.held, out->lost.held_bytes},
    };

    out->headline = out->kind;
    out->label = "at";
    if (kind < 0)
        return;
    fo_record_headline(&t, &record);
    text[t.used] = '\0';
    out->headline = fo_model_string(r->model, text);
    out->label = fo_record_label(&record);
    fo_advice(&a, record.kind, record.object);
    advice[a.used] = '\0';
    out->advice = fo_model_string(r->model, advice);
}

static uint64_t mix(uint64_t hash, const char *text, uint64_t number)
{
    for (; text != NULL && *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return (hash ^ number) * UINT64_C(0x9e3779b97f4a7c15) ^ hash >> 31;
}

static const char *fingerprint_of(const struct fo_reading *r, const struct fo_finding_shown *f)
{
    const struct fo_place_shown *places[] = {&f->allocated, &f->freed, &f->now};
    uint64_t hash =
        mix(mix(UINT64_C(0xcbf29ce484222325), f->kind, (uint64_t)f->operation), f->object, 0);
    char text[17];

    for (size_t i = 0; i < 3; i++) {
        const struct fo_code *c = &places[i]->caller;
        hash = mix(hash, places[i]->file, places[i]->line);
        hash = mix(hash, c->build_id != NULL ? c->build_id : c->module, c->address);
    }
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    return fo_model_string(r->model, text);
}

static const char *or_unknown(const char *text)
{
    return text != NULL ? text : "?";
}

/* If a writer is stopped for long, other processes take it for dead and write a row of their own:
 * then two rows are one finding.  So are leaks of one line that differ in size, if the line
 * allocates no known object.  NULL: it is a new one. */
static struct fo_finding_shown *merge(const struct fo_reading *r, const struct fo_finding_shown *f)
{
    for (size_t i = r->first_finding; i < r->model->finding_count; i++) {
        struct fo_finding_shown *same = &r->model->findings[i];
        if (strcmp(same->fingerprint, f->fingerprint) != 0)
            continue;
        same->count += f->count;
        same->lost.blocks += f->lost.blocks;
        same->lost.bytes += f->lost.bytes;
        same->lost.held += f->lost.held;
        same->lost.held_bytes += f->lost.held_bytes;
        same->first = f->first < same->first ? f->first : same->first;
        same->last = f->last > same->last ? f->last : same->last;
        return same;
    }
    return NULL;
}

static void read_others(const struct fo_reading *r, const struct fo_journal_finding *f,
                        struct fo_finding_shown *out)
{
    out->offset = f->offset;
    out->racing = f->racing != 0;
    out->neighbour_block = f->neighbour_block;
    out->neighbour_size = f->neighbour_size;
    out->neighbour_file = source_file(r, f->neighbour_file);
    out->neighbour_line = f->neighbour_line;
}

/* The library knows no objects: they are known by the line and the size. */
static void read_lost(const struct fo_reading *r, const struct fo_journal_finding *f,
                      struct fo_finding_shown *out)
{
    const struct fo_process_shown *p = out->allocated.process;
    char version[FO_OBJECT_VERSION];

    if (!out->now.known)
        out->now.process = p;
    out->lost.blocks = f->offset;
    out->lost.bytes = f->racing;
    out->lost.held = f->neighbour_line;
    out->lost.held_bytes = f->neighbour_size;
    for (unsigned depth = 0; p != NULL && *p->how == '\0' && depth < FO_JOURNAL_PROCESSES; depth++)
        p = p->parent;
    if (p == NULL || out->allocated.file == NULL || !fo_object_version(p->how, version))
        return;
    const char *name =
        fo_object_at(version, out->allocated.file, (int)out->allocated.line, out->size);
    if (name != NULL)
        out->object = fo_model_string(r->model, name);
}

static void read_finding(struct fo_reading *r, const struct fo_journal_finding *f)
{
    struct fo_finding_shown *out = &r->model->findings[r->model->finding_count];

    out->kind = or_unknown(fo_row_string(r, f->kind));
    out->object = or_unknown(fo_row_string(r, f->object));
    out->answer = or_unknown(fo_row_string(r, f->answer));
    out->operation = f->operation <= FO_OPERATION_REFERENCE ? (int)f->operation : FO_OPERATION_FREE;
    out->pointer = f->pointer;
    out->block = f->block;
    out->size = f->size;
    out->count = f->count;
    r->occurrences += f->count;
    out->first = f->first;
    out->last = f->last;
    out->allocated = place_of(r, &f->allocated);
    out->freed = place_of(r, &f->freed);
    out->now = place_of(r, &f->now);
    if (strcmp(out->kind, "leak") == 0)
        read_lost(r, f, out);
    else
        read_others(r, f, out);
    put_words(r, f, out);
    out->fingerprint = fingerprint_of(r, out);
    struct fo_finding_shown *same = merge(r, out);
    if (same == NULL)
        r->model->finding_count++;
    else if (same->lost.blocks != 0)
        put_words(r, f, same);
}

void fo_read_findings(struct fo_reading *r)
{
    r->first_finding = r->model->finding_count;
    for (size_t i = 0; i < FO_JOURNAL_FINDINGS; i++) {
        const struct fo_journal_finding *f = &r->journal->findings[i];
        if (fo_row_is_whole(r->model, &f->row, &f->first,
                            sizeof *f - offsetof(struct fo_journal_finding, first)))
            read_finding(r, f);
    }
}
