/* SARIF 2.1.0 (OASIS Standard), for code scanning: one run, a rule for each kind of finding, a
 * result for each finding. */
#include <stdlib.h>

#include "cli/exit.h"
#include "cli/output/describe.h"
#include "cli/output/format.h"
#include "cli/output/sarif_parts.h"
#include "cli/output/suppress.h"
#include "report/journal_format.h"

#define SCHEMA                                                                                     \
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

static json_t *finding_message(const struct fo_finding_shown *finding)
{
    struct fo_description_text text;
    json_t *message;
    char *made;

    fo_describe_start(&text);
    fo_describe_finding(text.out, finding);
    made = fo_describe_end(&text);
    message = fo_sarif_message(made);
    free(made);
    return message;
}

static void add_related(json_t *list, const struct fo_place_shown *place, const char *label)
{
    struct fo_description_text text;
    json_t *location;
    char *made;

    if (!place->known)
        return;
    fo_describe_start(&text);
    fprintf(text.out, "%s: ", label);
    fo_describe_place(text.out, place);
    made = fo_describe_end(&text);
    location = fo_sarif_location(place);
    fo_json_set(location, "id", fo_json_number(json_array_size(list) + 1));
    fo_json_set(location, "message", fo_sarif_message(made));
    fo_json_add(list, location);
    free(made);
}

static void add_stack(json_t *list, const struct fo_place_shown *place, const char *label)
{
    if (place->frames > 0)
        fo_json_add(list, fo_sarif_stack(place, label));
}

static json_t *suppressions(const struct fo_suppression *suppressed)
{
    json_t *list = fo_json_array(), *one;
    struct fo_description_text text;
    char *made;

    if (suppressed == NULL)
        return list; /* in SARIF, an empty list means: not suppressed */
    fo_describe_start(&text);
    fo_describe_text(text.out, suppressed->name);
    fputs(" (", text.out);
    fo_describe_text(text.out, suppressed->file);
    fprintf(text.out, ":%u)", suppressed->line);
    made = fo_describe_end(&text);
    one = fo_json_object();
    fo_json_set(one, "kind", fo_json_text("external"));
    fo_json_set(one, "justification", fo_json_text(made));
    fo_json_add(list, one);
    free(made);
    return list;
}

/* An empty array is left out. */
static void set_filled(json_t *object, const char *key, json_t *array)
{
    if (json_array_size(array) > 0)
        fo_json_set(object, key, array);
    else
        json_decref(array);
}

static json_t *properties(const struct fo_finding_shown *f)
{
    json_t *bag = fo_json_object();

    fo_json_set(bag, "program", fo_json_text(fo_describe_program(f)));
    fo_json_set(bag, "object", fo_json_text(f->object));
    fo_json_set(bag, "answer", fo_json_text(f->answer));
    fo_json_set(bag, "pointer", fo_json_address(f->pointer));
    fo_json_set(bag, "size", fo_json_number(f->size));
    fo_json_set(bag, "first", fo_json_time(f->first));
    fo_json_set(bag, "last", fo_json_time(f->last));
    return bag;
}

static json_t *result(const struct fo_finding_shown *f)
{
    json_t *value = fo_json_object(), *locations = fo_json_array(), *prints;
    json_t *related = fo_json_array(), *stacks = fo_json_array();
    int rule = fo_sarif_rule_index(f->kind);

    fo_json_set(value, "ruleId", fo_json_text(f->kind != NULL ? f->kind : "unknown"));
    if (rule >= 0)
        fo_json_set(value, "ruleIndex", fo_json_number((uint64_t)rule));
    fo_json_set(value, "level", fo_json_text("error"));
    fo_json_set(value, "message", finding_message(f));
    fo_json_add(locations, fo_sarif_location(&f->now));
    fo_json_set(value, "locations", locations);
    add_related(related, &f->allocated, "allocated");
    add_related(related, &f->freed, "freed first");
    set_filled(value, "relatedLocations", related);
    add_stack(stacks, &f->allocated, "allocated");
    add_stack(stacks, &f->freed, "freed first");
    add_stack(stacks, &f->now, f->label != NULL ? f->label : "now");
    set_filled(value, "stacks", stacks);
    if (f->fingerprint != NULL) {
        prints = fo_json_object();
        fo_json_set(prints, "freeonce/v1", fo_json_text(f->fingerprint));
        fo_json_set(value, "partialFingerprints", prints);
    }
    fo_json_set(value, "suppressions", suppressions(f->suppressed));
    fo_json_set(value, "occurrenceCount", fo_json_number(f->count > 0 ? f->count : 1));
    fo_json_set(value, "properties", properties(f));
    return value;
}

static void add_notification(json_t *list, struct fo_description_text *text, const char *level)
{
    json_t *one = fo_json_object();
    char *made = fo_describe_end(text);

    fo_json_set(one, "level", fo_json_text(level));
    fo_json_set(one, "message", fo_sarif_message(made));
    fo_json_add(list, one);
    free(made);
}

/* What was not checked, and why. */
static json_t *notifications(const struct fo_model *model)
{
    json_t *list = fo_json_array();
    struct fo_description_text text;

    for (size_t i = 0; i < model->process_count; i++) {
        const struct fo_process_shown *process = &model->processes[i];
        if (process->guard != FO_JOURNAL_UNPROTECTED)
            continue;
        fo_describe_start(&text);
        fo_describe_text(text.out, process->name);
        fprintf(text.out, " (pid %u) used OpenSSL unprotected: ", process->pid);
        fo_describe_text(text.out, process->how);
        add_notification(list, &text, "warning");
    }
    if (model->unguarded.reason != NULL) {
        fo_describe_start(&text);
        fo_describe_unguarded(text.out, model);
        add_notification(list, &text, "warning");
    }
    if (model->nameless > 0) {
        fo_describe_start(&text);
        fo_describe_nameless(text.out, model->nameless);
        add_notification(list, &text, "warning");
    }
    if (model->excluded > 0) {
        fo_describe_start(&text);
        fo_describe_excluded(text.out, model->excluded);
        add_notification(list, &text, "error");
    }
    if (model->dropped > 0) {
        fo_describe_start(&text);
        fo_describe_dropped(text.out, model->dropped);
        add_notification(list, &text, "error");
    }
    return list;
}

/* Successful means: the findings are complete.  The command ended by itself, with any status, and
 * no finding is missing. */
static json_t *invocation(const struct fo_model *model, const struct fo_run_shown *run)
{
    json_t *value = fo_json_object(), *words = fo_json_array();
    bool started = run->status < FO_EXIT_RUN_FAILED || run->status > FO_EXIT_NOT_FOUND;

    for (char *const *word = run->command; word != NULL && *word != NULL; word++)
        fo_json_add(words, fo_json_text(*word));
    set_filled(value, "arguments", words);
    if (run->ended) {
        fo_json_set(value, "exitCode", fo_json_number((uint64_t)run->status));
        if (run->signal != 0)
            fo_json_set(value, "exitSignalNumber", fo_json_number((uint64_t)run->signal));
    }
    fo_json_set(value, "executionSuccessful",
                json_boolean(model->dropped == 0 && model->excluded == 0 &&
                             (!run->ended || (started && run->signal == 0))));
    set_filled(value, "toolExecutionNotifications", notifications(model));
    return value;
}

static json_t *driver(void)
{
    json_t *tool = fo_json_object(), *value = fo_json_object();

    fo_json_set(value, "name", fo_json_text("freeonce"));
    fo_json_set(value, "version", fo_json_text(FREEONCE_VERSION));
    fo_json_set(value, "semanticVersion", fo_json_text(FREEONCE_VERSION));
    fo_json_set(value, "rules", fo_sarif_rules());
    fo_json_set(tool, "driver", value);
    return tool;
}

void fo_format_sarif(FILE *out, const struct fo_model *model, const struct fo_run_shown *run)
{
    json_t *log = fo_json_object(), *one = fo_json_object(), *runs = fo_json_array();
    json_t *results = fo_json_array(), *invocations = fo_json_array();

    for (size_t i = 0; i < model->finding_count; i++)
        fo_json_add(results, result(&model->findings[i]));
    fo_json_add(invocations, invocation(model, run));
    fo_json_set(one, "tool", driver());
    fo_json_set(one, "invocations", invocations);
    fo_json_set(one, "originalUriBaseIds", fo_sarif_bases());
    fo_json_set(one, "results", results);
    fo_json_add(runs, one);
    fo_json_set(log, "version", fo_json_text("2.1.0"));
    fo_json_set(log, "$schema", fo_json_text(SCHEMA));
    fo_json_set(log, "runs", runs);
    json_dumpf(log, out, JSON_INDENT(1));
    fputc('\n', out);
    json_decref(log);
}
