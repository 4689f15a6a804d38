/* JUnit's XML as Jenkins and GitLab read it: a test case for each finding, failed, or skipped if it
 * is suppressed; and one case for all findings that are in no row.  GitLab keeps only one case of
 * each name, so the names are made different.  Without findings there is one case that passed,
 * because some viewers report an empty file as an error. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output/describe.h"
#include "cli/exit.h"
#include "cli/output/format.h"
#include "cli/message.h"
#include "cli/model/source_path.h"
#include "cli/output/suppress.h"
#include "cli/output/xml.h"
#include "report/journal_format.h"

/* The file as it is shown: relative to the working directory if it is beneath that. */
static const char *shown_file(const struct fo_location *location)
{
    static char here[4096];
    const char *beneath;

    if (location->file == NULL)
        return NULL;
    beneath = fo_path_beneath(location->file, getcwd(here, sizeof here));
    return beneath != NULL ? beneath : location->file;
}

/* The caller frees it. */
static char *case_name(const struct fo_finding_shown *finding)
{
    struct fo_location location = fo_place_location(&finding->now);
    const char *file = shown_file(&location);
    struct fo_description_text name;

    fo_describe_start(&name);
    fprintf(name.out, "%s of %s", finding->kind != NULL ? finding->kind : "?",
            finding->object != NULL ? finding->object : "?");
    if (file != NULL)
        fprintf(name.out, " at %s:%u", file, location.line);
    else if (location.function != NULL)
        fprintf(name.out, " in %s", location.function);
    return fo_describe_end(&name);
}

/* The names of all cases, with a number after the second of the same name.  The caller frees
 * them. */
static char **case_names(const struct fo_model *model)
{
    size_t count = model->finding_count;
    char **names = calloc(count + 1, sizeof *names), **plain = calloc(count + 1, sizeof *plain);

    if (names == NULL || plain == NULL) {
        fo_error("no memory for the output as JUnit's XML");
        exit(FO_EXIT_SOFTWARE);
    }
    for (size_t i = 0; i < count; i++) {
        const char *program = fo_describe_program(&model->findings[i]);
        struct fo_description_text name;
        size_t before = 0;
        plain[i] = case_name(&model->findings[i]);
        for (size_t k = 0; k < i; k++)
            before += strcmp(plain[k], plain[i]) == 0 &&
                      strcmp(fo_describe_program(&model->findings[k]), program) == 0;
        fo_describe_start(&name);
        fputs(plain[i], name.out);
        if (before > 0)
            fprintf(name.out, " (%zu)", before + 1);
        names[i] = fo_describe_end(&name);
    }
    for (size_t i = 0; i < count; i++)
        free(plain[i]);
    free(plain);
    return names;
}

static void put_outcome(struct fo_xml *xml, const struct fo_finding_shown *finding)
{
    const struct fo_suppression *suppressed = finding->suppressed;
    struct fo_description_text text;
    char *message;

    fo_describe_start(&text);
    if (suppressed != NULL)
        fprintf(text.out, "suppressed by [%s] of %s:%u", suppressed->name, suppressed->file,
                suppressed->line);
    else
        fprintf(text.out, "%s", finding->headline != NULL ? finding->headline : "?");
    message = fo_describe_end(&text);
    fo_xml_start(xml, suppressed != NULL ? "skipped" : "failure");
    fo_xml_attribute(xml, "message", message);
    free(message);
    if (suppressed == NULL) {
        fo_xml_attribute(xml, "type", finding->kind != NULL ? finding->kind : "?");
        fo_describe_start(&text);
        fo_describe_finding(text.out, finding);
        message = fo_describe_end(&text);
        fo_xml_text(xml, message);
        free(message);
    }
    fo_xml_end(xml);
}

static void put_case(struct fo_xml *xml, const struct fo_finding_shown *finding, const char *name)
{
    struct fo_location location = fo_place_location(&finding->now);

    fo_xml_start(xml, "testcase");
    fo_xml_attribute(xml, "classname", fo_describe_program(finding));
    fo_xml_attribute(xml, "name", name);
    fo_xml_attribute(xml, "time", "0");
    if (location.file != NULL && !location.openssl) /* a file of the project */
        fo_xml_attribute(xml, "file", shown_file(&location));
    put_outcome(xml, finding);
    fo_xml_end(xml);
}

/* A failed case for findings that are missing in the journal. */
static void put_missing(struct fo_xml *xml, const char *name, const char *type,
                        struct fo_description_text *text, const char *advice)
{
    char *message = fo_describe_end(text);

    fo_xml_start(xml, "testcase");
    fo_xml_attribute(xml, "classname", "freeonce");
    fo_xml_attribute(xml, "name", name);
    fo_xml_attribute(xml, "time", "0");
    fo_xml_start(xml, "failure");
    fo_xml_attribute(xml, "message", message);
    fo_xml_attribute(xml, "type", type);
    free(message);
    fo_xml_text(xml, advice);
    fo_xml_end(xml);
    fo_xml_end(xml);
}

static void put_dropped(struct fo_xml *xml, uint64_t dropped)
{
    struct fo_description_text text;

    _Static_assert(FO_JOURNAL_FINDINGS == 1024, "as said below");
    fo_describe_start(&text);
    fo_describe_dropped(text.out, dropped);
    put_missing(xml, "findings that are not in the journal", "dropped", &text,
                "It holds 1024 different ones, and none whose process was killed before it was "
                "written. Mend those that are there, and run again.");
}

static void put_excluded(struct fo_xml *xml, uint64_t processes)
{
    struct fo_description_text text;

    fo_describe_start(&text);
    fo_describe_excluded(text.out, processes);
    put_missing(xml, "processes that could not write the journal", "excluded", &text,
                "Each has printed the reason on its standard error. A process of another user "
                "needs --any-user.");
}

/* No case of its own: a missing name does not make a run fail. */
static void put_nameless(struct fo_xml *xml, uint64_t times)
{
    struct fo_description_text text;
    char *message;

    fo_describe_start(&text);
    fo_describe_nameless(text.out, times);
    message = fo_describe_end(&text);
    fo_xml_start(xml, "system-out");
    fo_xml_text(xml, message);
    fo_xml_end(xml);
    free(message);
}

/* Passed, or skipped where nothing was checked. */
static void put_none(struct fo_xml *xml, const struct fo_model *model)
{
    fo_xml_start(xml, "testcase");
    fo_xml_attribute(xml, "classname", "freeonce");
    fo_xml_attribute(xml, "name", "no findings");
    fo_xml_attribute(xml, "time", "0");
    if (model->unguarded.reason != NULL) {
        struct fo_description_text text;
        fo_describe_start(&text);
        fo_describe_unguarded(text.out, model);
        char *message = fo_describe_end(&text);
        fo_xml_start(xml, "skipped");
        fo_xml_attribute(xml, "message", message);
        free(message);
        fo_xml_end(xml);
    }
    fo_xml_end(xml);
}

static bool has_none(const struct fo_model *model)
{
    return model->finding_count + model->dropped + model->excluded == 0;
}

static void put_counts(struct fo_xml *xml, const struct fo_model *model,
                       const struct fo_run_shown *run, size_t skipped, bool suite)
{
    size_t missing = (model->dropped != 0 ? 1u : 0u) + (model->excluded != 0 ? 1u : 0u);
    size_t cases = model->finding_count + missing;
    size_t none = has_none(model) && model->unguarded.reason != NULL;
    char seconds[32];

    fo_xml_attribute(xml, "name", "freeonce");
    fo_xml_number(xml, "tests", cases > 0 ? cases : 1);
    fo_xml_number(xml, "failures", cases - skipped);
    fo_xml_number(xml, "errors", 0);
    if (suite) /* in Jenkins' schema, <testsuites> has no such attribute */
        fo_xml_number(xml, "skipped", skipped + none);
    snprintf(seconds, sizeof seconds, "%.3f", run->ended ? run->seconds : 0.0);
    fo_xml_attribute(xml, "time", seconds);
}

static void put_document(struct fo_xml *xml, const struct fo_model *model,
                         const struct fo_run_shown *run)
{
    char **names = case_names(model);
    size_t skipped = 0;

    for (size_t i = 0; i < model->finding_count; i++)
        skipped += model->findings[i].suppressed != NULL;
    fo_xml_start(xml, "testsuites");
    put_counts(xml, model, run, skipped, false);
    fo_xml_start(xml, "testsuite");
    put_counts(xml, model, run, skipped, true);
    for (size_t i = 0; i < model->finding_count; i++) {
        put_case(xml, &model->findings[i], names[i]);
        free(names[i]);
    }
    free(names);
    if (model->dropped != 0)
        put_dropped(xml, model->dropped);
    if (model->excluded != 0)
        put_excluded(xml, model->excluded);
    if (has_none(model))
        put_none(xml, model);
    if (model->nameless != 0)
        put_nameless(xml, model->nameless);
    fo_xml_end(xml);
    fo_xml_end(xml);
}

void fo_format_junit(FILE *out, const struct fo_model *model, const struct fo_run_shown *run)
{
    struct fo_xml xml = {.out = out};

    put_document(&xml, model, run);
}
