/* See journal_read.h.  A row is used when it was written to its end and its check is right, and a
 * reference when it leads to such a row. */
#include "cli/model/journal_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/model/journal_file.h"
#include "cli/message.h"
#include "report/headline.h"

/* One journal while it is read. */
struct reading {
    struct fo_model *model;
    const struct fo_journal *journal;
    size_t first_finding; /* in the model */
    uint64_t occurrences; /* in its rows */
    const char *strings[FO_JOURNAL_STRINGS];
    struct fo_code modules[FO_JOURNAL_MODULES]; /* without addresses */
    struct fo_process_shown *processes[FO_JOURNAL_PROCESSES];
};

static bool is_whole(struct fo_model *model, const struct fo_journal_row *row, const void *body,
                     size_t size)
{
    if (row->key == 0 && row->state == FO_JOURNAL_FREE)
        return false;
    if (row->state == FO_JOURNAL_FREE || row->state == FO_JOURNAL_WRITING) {
        model->unfinished++;
        return false;
    }
    if (row->state > FO_JOURNAL_KEPT || row->check != fo_journal_check(body, size)) {
        model->damaged++;
        return false;
    }
    return true;
}

/* An array that should end with a NUL. */
static const char *text_of(struct fo_model *model, const char *text, size_t size)
{
    char out[256] = "";

    memcpy(out, text, strnlen(text, size < sizeof out ? size : sizeof out - 1));
    return fo_model_string(model, out);
}

static void read_strings(struct reading *r)
{
    for (size_t i = 0; i < FO_JOURNAL_STRINGS; i++) {
        const struct fo_journal_string *s = &r->journal->strings[i];
        if (is_whole(r->model, &s->row, s->text, sizeof s->text))
            r->strings[i] = text_of(r->model, s->text, sizeof s->text);
    }
}

static const char *hexadecimal(struct fo_model *model, const uint8_t *data, size_t size)
{
    char out[65] = "";

    for (size_t i = 0; i < size && i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", data[i]);
    return fo_model_string(model, out);
}

static void read_modules(struct reading *r)
{
    for (size_t i = 0; i < FO_JOURNAL_MODULES; i++) {
        const struct fo_journal_module *m = &r->journal->modules[i];
        if (!is_whole(r->model, &m->row, &m->build_id_length,
                      sizeof *m - offsetof(struct fo_journal_module, build_id_length)))
            continue;
        r->modules[i].module = text_of(r->model, m->path, sizeof m->path);
        if (m->build_id_length != 0)
            r->modules[i].build_id = hexadecimal(r->model, m->build_id, m->build_id_length);
    }
}

static const char *string_at(const struct reading *r, struct fo_journal_reference reference)
{
    uint32_t row;

    return fo_journal_refers(reference, FO_JOURNAL_STRINGS, &row) ? r->strings[row] : NULL;
}

static struct fo_code code_at(const struct reading *r, const struct fo_journal_code *c)
{
    struct fo_code code = {.module = NULL};
    uint32_t row;

    if (fo_journal_refers(c->module, FO_JOURNAL_MODULES, &row))
        code = r->modules[row];
    code.address = c->address;
    return code;
}

static void read_processes(struct reading *r)
{
    for (size_t i = 0; i < FO_JOURNAL_PROCESSES; i++) {
        const struct fo_journal_process *p = &r->journal->processes[i];
        if (!is_whole(r->model, &p->row, &p->started, sizeof *p - sizeof p->row))
            continue;
        struct fo_process_shown *out = &r->model->processes[r->model->process_count++];
        r->processes[i] = out;
        out->pid = p->pid;
        out->parent_pid = p->parent_pid;
        out->is_fork = p->is_fork != 0;
        out->name = text_of(r->model, p->name, sizeof p->name);
        out->how = text_of(r->model, p->how, sizeof p->how);
        out->started = p->started;
        out->guard = p->guard <= FO_JOURNAL_LEFT ? (int)p->guard : FO_JOURNAL_SEEN;
        out->forked = code_at(r, &p->forked);
    }
}

/* The youngest process of that pid that is older.  A child that was executed anew does not know its
 * parent's row. */
static const struct fo_process_shown *parent_of(const struct reading *r,
                                                const struct fo_process_shown *child)
{
    const struct fo_process_shown *best = NULL;

    for (size_t i = 0; i < FO_JOURNAL_PROCESSES; i++) {
        const struct fo_process_shown *p = r->processes[i];
        if (p != NULL && p->pid == child->parent_pid && p != child &&
            p->started <= child->started && (best == NULL || p->started > best->started))
            best = p;
    }
    return best;
}

static void find_parents(struct reading *r)
{
    for (size_t i = 0; i < FO_JOURNAL_PROCESSES; i++) {
        struct fo_process_shown *child = r->processes[i];
        uint32_t row;
        if (child == NULL)
            continue;
        if (fo_journal_refers(r->journal->processes[i].parent, FO_JOURNAL_PROCESSES, &row) &&
            r->processes[row] != NULL && r->processes[row]->pid == child->parent_pid)
            child->parent = r->processes[row];
        else
            child->parent = parent_of(r, child);
    }
}

/* Has the program that this process executed the library, too?  Then it has a row of its own. */
static bool is_there_again(const struct reading *r, const struct fo_process_shown *before)
{
    for (size_t i = 0; i < FO_JOURNAL_PROCESSES; i++) {
        const struct fo_process_shown *p = r->processes[i];
        if (p != NULL && p != before && p->pid == before->pid && !p->is_fork &&
            p->started >= before->started)
            return true;
    }
    return false;
}

static void count_left(struct reading *r)
{
    for (size_t i = 0; i < FO_JOURNAL_PROCESSES; i++)
        if (r->processes[i] != NULL && r->processes[i]->guard == FO_JOURNAL_LEFT)
            r->model->left += !is_there_again(r, r->processes[i]);
}

/* Debian builds OpenSSL beside its source. */
static const char *source_file(const struct reading *r, struct fo_journal_reference reference)
{
    const char *file = string_at(r, reference);

    while (file != NULL && strncmp(file, "../", 3) == 0)
        file += 3;
    return file;
}

static struct fo_place_shown place_of(const struct reading *r, const struct fo_journal_place *p)
{
    struct fo_place_shown out = {.known = p->known != 0};
    uint32_t row;

    if (!out.known)
        return out;
    out.file = source_file(r, p->file);
    out.line = p->line;
    out.pid = p->pid;
    out.thread = p->thread;
    out.caller = code_at(r, &p->caller);
    if (fo_journal_refers(p->process, FO_JOURNAL_PROCESSES, &row))
        out.process = r->processes[row];
    out.frames = p->frames <= FO_JOURNAL_FRAMES ? p->frames : 0;
    if (out.frames != 0)
        out.stack = fo_model_allocate(r->model, out.frames * sizeof *out.stack);
    for (size_t i = 0; i < out.frames; i++)
        out.stack[i] = code_at(r, &p->stack[i]);
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
static void put_words(const struct reading *r, const struct fo_journal_finding *f,
                      struct fo_finding_shown *out)
{
    int kind = kind_of(out->kind);
    char text[512];
    struct fo_text t = {text, sizeof text - 1, 0};
    const char *memory = string_at(r, f->memory), *verb = string_at(r, f->verb);
    const struct fo_record record = {
        .kind = (enum fo_finding_kind)kind,
        .operation = (enum fo_operation)out->operation,
        .object = out->object,
        .memory = memory != NULL ? memory : "?",
        .verb = verb != NULL ? verb : "?",
        .pointer = out->pointer,
        .block = out->block,
        .size = out->size,
        .offset = out->offset,
    };

    out->headline = out->kind;
    out->label = "at";
    if (kind < 0)
        return;
    fo_record_headline(&t, &record);
    text[t.used] = '\0';
    out->headline = fo_model_string(r->model, text);
    out->label = fo_record_label(&record);
}

static uint64_t mix(uint64_t hash, const char *text, uint64_t number)
{
    for (; text != NULL && *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return (hash ^ number) * UINT64_C(0x9e3779b97f4a7c15) ^ hash >> 31;
}

static const char *fingerprint_of(const struct reading *r, const struct fo_finding_shown *f)
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

/* Its writer was away so long that others took it for dead, and wrote a row of their own: two rows,
 * one finding. */
static bool is_merged(const struct reading *r, const struct fo_finding_shown *f)
{
    for (size_t i = r->first_finding; i < r->model->finding_count; i++) {
        struct fo_finding_shown *same = &r->model->findings[i];
        if (strcmp(same->fingerprint, f->fingerprint) != 0)
            continue;
        same->count += f->count;
        same->first = f->first < same->first ? f->first : same->first;
        same->last = f->last > same->last ? f->last : same->last;
        return true;
    }
    return false;
}

static void read_finding(struct reading *r, const struct fo_journal_finding *f)
{
    struct fo_finding_shown *out = &r->model->findings[r->model->finding_count];

    out->kind = or_unknown(string_at(r, f->kind));
    out->object = or_unknown(string_at(r, f->object));
    out->answer = or_unknown(string_at(r, f->answer));
    out->operation = f->operation <= FO_OPERATION_REFERENCE ? (int)f->operation : FO_OPERATION_FREE;
    out->pointer = f->pointer;
    out->block = f->block;
    out->size = f->size;
    out->offset = f->offset;
    out->count = f->count;
    r->occurrences += f->count;
    out->first = f->first;
    out->last = f->last;
    out->racing = f->racing != 0;
    out->neighbour_block = f->neighbour_block;
    out->neighbour_size = f->neighbour_size;
    out->neighbour_file = source_file(r, f->neighbour_file);
    out->neighbour_line = f->neighbour_line;
    out->allocated = place_of(r, &f->allocated);
    out->freed = place_of(r, &f->freed);
    out->now = place_of(r, &f->now);
    put_words(r, f, out);
    out->fingerprint = fingerprint_of(r, out);
    r->model->finding_count += !is_merged(r, out);
}

static void read_findings(struct reading *r)
{
    r->first_finding = r->model->finding_count;
    for (size_t i = 0; i < FO_JOURNAL_FINDINGS; i++) {
        const struct fo_journal_finding *f = &r->journal->findings[i];
        if (is_whole(r->model, &f->row, &f->first,
                     sizeof *f - offsetof(struct fo_journal_finding, first)))
            read_finding(r, f);
    }
}

static void read_one(struct reading *r)
{
    const struct fo_journal_counters *c = &r->journal->counters;

    read_strings(r);
    read_modules(r);
    read_processes(r);
    find_parents(r);
    count_left(r);
    read_findings(r);
    r->model->guarded += c->guarded;
    r->model->unprotected += c->unprotected;
    r->model->occurrences += c->findings;
    r->model->dropped += c->dropped.findings;
    r->model->nameless += c->dropped.strings + c->dropped.modules + c->dropped.processes;
    /* Each is counted first: one that is neither in a row nor dropped was cut off by a kill. */
    if (c->findings > r->occurrences + c->dropped.findings)
        r->model->dropped += c->findings - r->occurrences - c->dropped.findings;
}

static int by_time(const void *a, const void *b)
{
    const struct fo_finding_shown *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first;
}

static int complain(const struct fo_model *model, const char *path, uint64_t unfinished,
                    uint64_t damaged)
{
    if (model->unfinished > unfinished)
        fo_warning("%s: rows that were not written to their end, because a process was killed "
                   "meanwhile, are left out: %llu",
                   path, (unsigned long long)(model->unfinished - unfinished));
    if (model->damaged == damaged)
        return FO_EXIT_OK;
    fo_error("%s is damaged; what is whole is shown, rows that are not are left out: %llu", path,
             (unsigned long long)(model->damaged - damaged));
    return FO_EXIT_DATA;
}

int fo_model_read(struct fo_model *model, char *const *paths, int count)
{
    size_t journals = (size_t)count;
    int worst = FO_EXIT_OK;

    memset(model, 0, sizeof *model);
    model->processes =
        fo_model_allocate(model, journals * FO_JOURNAL_PROCESSES * sizeof *model->processes);
    model->findings =
        fo_model_allocate(model, journals * FO_JOURNAL_FINDINGS * sizeof *model->findings);
    struct reading *r = fo_model_allocate(model, sizeof *r);
    for (int i = 0; i < count; i++) {
        int status;
        struct fo_journal *journal = fo_journal_file_read(paths[i], &status);
        if (journal != NULL) {
            uint64_t unfinished = model->unfinished, damaged = model->damaged;
            *r = (struct reading){.model = model, .journal = journal};
            read_one(r);
            int rows = complain(model, paths[i], unfinished, damaged);
            status = status != FO_EXIT_OK ? status : rows;
            free(journal);
        }
        worst = worst != FO_EXIT_OK ? worst : status;
    }
    qsort(model->findings, model->finding_count, sizeof *model->findings, by_time);
    return worst;
}

size_t fo_model_counting(const struct fo_model *model)
{
    size_t n = 0;

    for (size_t i = 0; i < model->finding_count; i++)
        n += model->findings[i].suppressed == NULL;
    return n;
}

bool fo_model_has_findings(const struct fo_model *model)
{
    return fo_model_counting(model) != 0 || model->dropped != 0;
}
