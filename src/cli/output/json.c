/* JSON lines, for programs: a run, its processes, its findings, a summary.  The lines are described
 * by docs/schema/freeonce-findings.schema.json: change it together with this file. */
#include "cli/output/format.h"
#include "cli/output/json_parts.h"
#include "cli/output/suppress.h"
#include "report/journal_format.h"
#include "report/record.h"

enum { FORMAT_VERSION = 1 };

static json_t *line_of(const char *type)
{
    json_t *line = fo_json_object();

    fo_json_set(line, "type", fo_json_text(type));
    return line;
}

static void put(FILE *out, json_t *line)
{
    json_dumpf(line, out, JSON_COMPACT | JSON_REAL_PRECISION(9));
    fputc('\n', out);
    json_decref(line);
}

/* A process is identified by its place in the model: pids are used again. */
static json_t *process_id(const struct fo_model *model, const struct fo_process_shown *process)
{
    return process != NULL ? fo_json_number((uint64_t)(process - model->processes) + 1)
                           : json_null();
}

static json_t *code(const struct fo_code *c)
{
    json_t *value;

    if (c->module == NULL && c->address == 0)
        return json_null();
    value = fo_json_object();
    fo_json_set(value, "module", fo_json_text(c->module));
    fo_json_set(value, "build_id", fo_json_text(c->build_id));
    fo_json_set(value, "address", fo_json_address(c->address));
    fo_json_set(value, "function", fo_json_text(c->function));
    fo_json_set(value, "file", fo_json_text(c->file));
    fo_json_set(value, "line", fo_json_known(c->line));
    return value;
}

static json_t *place(const struct fo_model *model, const struct fo_place_shown *p)
{
    json_t *value, *stack;

    if (!p->known)
        return json_null();
    value = fo_json_object();
    stack = fo_json_array();
    for (size_t i = 0; i < p->frames; i++)
        fo_json_add(stack, code(&p->stack[i]));
    fo_json_set(value, "file", fo_json_text(p->file));
    fo_json_set(value, "line", fo_json_known(p->line));
    fo_json_set(value, "pid", fo_json_known(p->pid));
    fo_json_set(value, "thread", fo_json_known(p->thread));
    fo_json_set(value, "process", process_id(model, p->process));
    fo_json_set(value, "program", fo_json_text(p->process != NULL ? p->process->name : NULL));
    fo_json_set(value, "caller", code(&p->caller));
    fo_json_set(value, "stack", stack);
    return value;
}

static json_t *location(const struct fo_place_shown *p)
{
    struct fo_location l = fo_place_location(p);
    json_t *value;

    if (l.file == NULL && l.function == NULL)
        return json_null();
    value = fo_json_object();
    fo_json_set(value, "file", fo_json_text(l.file));
    fo_json_set(value, "line", fo_json_known(l.line));
    fo_json_set(value, "function", fo_json_text(l.function));
    fo_json_set(value, "openssl", json_boolean(l.openssl));
    return value;
}

static json_t *neighbour(const struct fo_finding_shown *f)
{
    json_t *value;

    if (f->neighbour_block == 0)
        return json_null();
    value = fo_json_object();
    fo_json_set(value, "block", fo_json_address(f->neighbour_block));
    fo_json_set(value, "size", fo_json_number(f->neighbour_size));
    fo_json_set(value, "file", fo_json_text(f->neighbour_file));
    fo_json_set(value, "line", fo_json_known(f->neighbour_line));
    return value;
}

static json_t *leak(const struct fo_finding_shown *f)
{
    json_t *value;

    if (f->lost.blocks == 0)
        return json_null();
    value = fo_json_object();
    fo_json_set(value, "blocks", fo_json_number(f->lost.blocks));
    fo_json_set(value, "bytes", fo_json_number(f->lost.bytes));
    fo_json_set(value, "held_blocks", fo_json_number(f->lost.held));
    fo_json_set(value, "held_bytes", fo_json_number(f->lost.held_bytes));
    return value;
}

static json_t *suppressed(const struct fo_suppression *s)
{
    json_t *value;

    if (s == NULL)
        return json_null();
    value = fo_json_object();
    fo_json_set(value, "name", fo_json_text(s->name));
    fo_json_set(value, "file", fo_json_text(s->file));
    fo_json_set(value, "line", fo_json_number(s->line));
    return value;
}

static const char *operation(int which)
{
    return which == FO_OPERATION_REALLOC     ? "realloc"
           : which == FO_OPERATION_REFERENCE ? "reference"
                                             : "free";
}

static const char *guard(int which)
{
    return which == FO_JOURNAL_GUARDED       ? "guarded"
           : which == FO_JOURNAL_UNPROTECTED ? "unprotected"
           : which == FO_JOURNAL_LEFT        ? "left"
                                             : "seen";
}

static void put_finding(FILE *out, const struct fo_model *model, const struct fo_finding_shown *f)
{
    json_t *line = line_of("finding");

    fo_json_set(line, "kind", fo_json_text(f->kind));
    fo_json_set(line, "headline", fo_json_text(f->headline));
    fo_json_set(line, "label", fo_json_text(f->label));
    fo_json_set(line, "object", fo_json_text(f->object));
    fo_json_set(line, "operation", fo_json_text(operation(f->operation)));
    fo_json_set(line, "advice", fo_json_text(f->advice));
    fo_json_set(line, "answer", fo_json_text(f->answer));
    fo_json_set(line, "pointer", fo_json_address(f->pointer));
    fo_json_set(line, "block", fo_json_address(f->block));
    fo_json_set(line, "size", fo_json_number(f->size));
    fo_json_set(line, "offset", fo_json_number(f->offset));
    fo_json_set(line, "count", fo_json_number(f->count));
    fo_json_set(line, "first", fo_json_time(f->first));
    fo_json_set(line, "last", fo_json_time(f->last));
    fo_json_set(line, "racing", json_boolean(f->racing));
    fo_json_set(line, "neighbour", neighbour(f));
    fo_json_set(line, "leak", leak(f));
    fo_json_set(line, "allocated", place(model, &f->allocated));
    fo_json_set(line, "freed", place(model, &f->freed));
    fo_json_set(line, "now", place(model, &f->now));
    fo_json_set(line, "location", location(&f->now));
    fo_json_set(line, "fingerprint", fo_json_text(f->fingerprint));
    fo_json_set(line, "suppressed", suppressed(f->suppressed));
    put(out, line);
}

static const char *look(int which)
{
    return which == FO_JOURNAL_LOOKED          ? "looked"
           : which == FO_JOURNAL_NOT_SHARED    ? "shared"
           : which == FO_JOURNAL_NOT_SANDBOXED ? "filtered"
           : which == FO_JOURNAL_NOT_SEARCHED  ? "failed"
                                               : NULL;
}

static void put_process(FILE *out, const struct fo_model *model, const struct fo_process_shown *p)
{
    json_t *line = line_of("process");
    bool how = p->how != NULL && *p->how != '\0';

    fo_json_set(line, "id", process_id(model, p));
    fo_json_set(line, "pid", fo_json_number(p->pid));
    fo_json_set(line, "parent_pid", fo_json_known(p->parent_pid));
    fo_json_set(line, "parent", process_id(model, p->parent));
    fo_json_set(line, "program", fo_json_text(p->name));
    fo_json_set(line, "started", fo_json_time(p->started));
    fo_json_set(line, "guard", fo_json_text(guard(p->guard)));
    fo_json_set(line, "signal", fo_json_known((uint64_t)p->signal));
    fo_json_set(line, "leaks", fo_json_text(look(p->look)));
    fo_json_set(line, "how", fo_json_text(how ? p->how : NULL));
    fo_json_set(line, "is_fork", json_boolean(p->is_fork));
    fo_json_set(line, "forked", code(&p->forked));
    put(out, line);
}

static json_t *unguarded(const struct fo_model *model)
{
    json_t *value;

    if (model->unguarded.reason == NULL)
        return json_null();
    value = fo_json_object();
    fo_json_set(value, "reason", fo_json_text(model->unguarded.reason));
    fo_json_set(value, "text", fo_json_text(model->unguarded.text));
    return value;
}

static void put_run(FILE *out, const struct fo_model *model, const struct fo_run_shown *run)
{
    json_t *line = line_of("run"), *command = json_null();

    if (run->command != NULL) {
        command = fo_json_array();
        for (char *const *word = run->command; *word != NULL; word++)
            fo_json_add(command, fo_json_text(*word));
    }
    fo_json_set(line, "format", fo_json_number(FORMAT_VERSION));
    fo_json_set(line, "version", fo_json_text(FREEONCE_VERSION));
    fo_json_set(line, "command", command);
    fo_json_set(line, "status", run->ended ? fo_json_number((uint64_t)run->status) : json_null());
    fo_json_set(line, "seconds", run->ended ? json_real(run->seconds) : json_null());
    fo_json_set(line, "guarded", fo_json_number(model->guarded));
    fo_json_set(line, "unprotected", fo_json_number(model->unprotected));
    fo_json_set(line, "unguarded", unguarded(model));
    put(out, line);
}

static void put_summary(FILE *out, const struct fo_model *model, size_t suppressions)
{
    json_t *line = line_of("summary");

    fo_json_set(line, "findings", fo_json_number(model->finding_count - suppressions));
    fo_json_set(line, "suppressed", fo_json_number(suppressions));
    fo_json_set(line, "occurrences", fo_json_number(model->occurrences));
    fo_json_set(line, "dropped", fo_json_number(model->dropped));
    fo_json_set(line, "excluded", fo_json_number(model->excluded));
    fo_json_set(line, "nameless", fo_json_number(model->nameless));
    fo_json_set(line, "unfinished", fo_json_number(model->unfinished));
    fo_json_set(line, "damaged", fo_json_number(model->damaged));
    put(out, line);
}

void fo_format_json(FILE *out, const struct fo_model *model, const struct fo_run_shown *run)
{
    size_t suppressions = 0;

    put_run(out, model, run);
    for (size_t i = 0; i < model->process_count; i++)
        put_process(out, model, &model->processes[i]);
    for (size_t i = 0; i < model->finding_count; i++) {
        put_finding(out, model, &model->findings[i]);
        suppressions += model->findings[i].suppressed != NULL;
    }
    put_summary(out, model, suppressions);
}
