/* freeonce status: is this process guarded, how, and what does the library hold there? */
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/exit.h"
#include "cli/flags.h"
#include "cli/inspect/blocks.h"
#include "cli/inspect/facts.h"
#include "cli/inspect/pid.h"
#include "cli/inspect/settings.h"
#include "cli/inspect/show.h"
#include "cli/inspect/tally.h"
#include "cli/message.h"
#include "cli/model/clean.h"
#include "cli/output/json_parts.h"
#include "report/journal_format.h"

enum { KEY_JSON = 1000 };
enum { FORMAT_VERSION = 1, HOW_MOST = 4096 };

struct arguments {
    bool json;
    pid_t pid;
};

static const char before[] =
    "Shows whether a process is guarded, how the library got in, which options are in force, what "
    "OpenSSL's memory there amounts to, and how many findings there were.  The process is read "
    "from "
    "outside: it is not stopped, and nothing is written in it.\v"
    "Examples:\n"
    "  freeonce status 4120          is process 4120 guarded?\n"
    "  freeonce status --json 4120   for programs\n"
    "\n"
    "Exit status: 0 it is guarded; 64 the command line is wrong; 65 it has a libfreeonce that this "
    "command does not understand; 66 there is no such process; 73 the output cannot be written; 77 "
    "this needs the process's user, or root; 78 it is not guarded.";

static const struct argp_option flags[] = {
    {"json", KEY_JSON, NULL, 0, "one JSON object", 0},
    {0},
};

static error_t take(int key, char *argument, struct argp_state *state)
{
    struct arguments *a = state->input;

    if (key != KEY_JSON)
        return fo_take_pid(key, argument, state, &a->pid, NULL);
    a->json = true;
    return 0;
}

/* What is shown. */
struct status {
    struct fo_target target;
    enum fo_journal_guard guard;
    char how[HOW_MOST];
    struct fo_blocks blocks;
    struct fo_tally processes;
    struct fo_setting settings[FO_OPTION_COUNT];
    uint64_t kinds, findings; /* distinct ones, and all */
    const char *loaded;       /* what made the dynamic linker load the library */
    uint64_t started;         /* nanoseconds since 1970; 0: not known */
};

/* --- reading -----------------------------------------------------------------------------------
 */

static void read_how(struct status *s)
{
    struct fo_target *t = &s->target;
    uint64_t guard = FO_JOURNAL_SEEN;
    size_t length = t->d.how_text.count - 1;

    fo_target_number(t, t->d.how, &t->d.how_guard, &guard);
    s->guard = guard <= FO_JOURNAL_LEFT ? (enum fo_journal_guard)guard : FO_JOURNAL_SEEN;
    if (!fo_source_read(t->source, t->d.how + t->d.how_text.offset, s->how, length))
        length = 0;
    s->how[length] = '\0';
    fo_clean(s->how, s->how);
}

static void read_findings(struct status *s)
{
    struct fo_target *t = &s->target;
    const struct fo_rows *rows = &t->d.in_findings.rows;
    const struct fo_field pointer = {0, sizeof(uint64_t)};
    uint64_t table;
    char *copy = malloc((size_t)rows->count * rows->stride);

    if (copy != NULL && fo_target_number(t, t->d.findings, &pointer, &table) && table != 0 &&
        fo_source_read(t->source, table + rows->offset, copy, (size_t)rows->count * rows->stride))
        for (uint32_t i = 0; i < rows->count; i++) {
            const char *row = copy + (size_t)i * rows->stride;
            s->kinds += fo_target_number_in(row, &t->d.in_findings.key) != 0;
            s->findings += fo_target_number_in(row, &t->d.in_findings.count);
        }
    free(copy);
}

static void count(void *context, const struct fo_block_seen *block)
{
    struct status *s = context;

    fo_tally_add(&s->processes, block->process, block->size);
}

static char *name_process(void *context, uint64_t row)
{
    struct status *s = context;
    struct fo_target_process process, parent;
    char *text;
    int length;

    fo_target_process(&s->target, (uint32_t)row, &process);
    fo_target_process(&s->target, process.parent, &parent);
    if (process.parent != 0)
        length = asprintf(&text, "pid %u (%s), forked from %u (%s)", process.pid, process.name,
                          parent.pid, parent.name);
    else
        length = asprintf(&text, "pid %u (%s)", process.pid, process.name);
    if (length < 0) {
        fo_error("no memory for the name of a process");
        exit(FO_EXIT_SOFTWARE);
    }
    return text;
}

static void read_status(struct status *s)
{
    read_how(s);
    read_findings(s);
    fo_settings_read(&s->target, s->settings);
    s->loaded = fo_process_loaded_by(s->target.source->pid);
    s->started = fo_process_started(s->target.source->pid);
    s->blocks.visit = count;
    s->blocks.context = s;
    fo_blocks_read(&s->target, &s->blocks);
    fo_tally_name(&s->processes, name_process, s);
}

static const char *word_of(const struct status *s)
{
    switch (s->guard) {
    case FO_JOURNAL_GUARDED:
        return "guarded";
    case FO_JOURNAL_UNPROTECTED:
        return "not guarded";
    default:
        return "not guarded yet: OpenSSL was not used";
    }
}

static uint64_t per_cent(uint64_t part, uint64_t whole)
{
    return whole != 0 && part <= UINT64_MAX / 100 ? part * 100 / whole : 0;
}

/* --- text --------------------------------------------------------------------------------------
 */

static void print_first(const struct status *s)
{
    const struct fo_source *source = s->target.source;
    time_t started = (time_t)(s->started / 1000000000);
    struct tm parts;
    char since[64] = "?";

    if (s->started != 0 && localtime_r(&started, &parts) != NULL)
        strftime(since, sizeof since, "%Y-%m-%d %H:%M:%S", &parts);
    printf("process %d (%s): %s\n", (int)source->pid, source->name, word_of(s));
    printf("  running since  %s\n", since);
    printf("  library        %s %s, loaded by %s\n", s->target.d.library, s->target.library,
           s->loaded);
    if (*s->how != '\0')
        printf("  %s %s\n", s->guard == FO_JOURNAL_GUARDED ? "guard         " : "reason        ",
               s->how);
}

static void print_settings(const struct status *s)
{
    const char *separator = "";

    printf("  options        ");
    for (unsigned i = 0; i < FO_OPTION_COUNT; i++)
        if (s->settings[i].changed) {
            printf("%s%s=%s", separator, s->settings[i].name, s->settings[i].value);
            separator = " ";
        }
    puts(*separator != '\0' ? "" : "as by default");
}

static void print_counts(const char *label, uint64_t blocks, uint64_t bytes, const char *more)
{
    char text[2][FO_GROUPED];

    printf("  %-14s %s blocks, %s bytes%s\n", label, fo_grouped(blocks, text[0]),
           fo_grouped(bytes, text[1]), more);
}

static void print_processes(const struct status *s)
{
    for (size_t i = 0; i < s->processes.used; i++) {
        const struct fo_tally_row *row = &s->processes.rows[i];
        char text[2][FO_GROUPED];
        printf("  %-14s %s: %s blocks, %s bytes\n", i == 0 ? "allocated by" : "", row->text,
               fo_grouped(row->blocks, text[0]), fo_grouped(row->bytes, text[1]));
    }
}

static void print_heap(const struct status *s)
{
    const struct fo_target *t = &s->target;
    uint64_t used = (uint64_t)t->pages << t->d.value.page_shift,
             most = (uint64_t)t->page_count << t->d.value.page_shift;
    char text[3][FO_GROUPED];

    if (t->region == 0)
        return;
    printf("  heap           %s bytes committed, %s in pages of blocks",
           fo_grouped(t->committed, text[0]), fo_grouped(s->blocks.slots_bytes, text[1]));
    if (s->blocks.slots_bytes != 0)
        printf(", of which %" PRIu64 " %% live",
               per_cent(s->blocks.live_bytes, s->blocks.slots_bytes));
    putchar('\n');
    if (t->is_shared_heap)
        printf("  shared memory  %s of %s bytes were used, %" PRIu64 " %%\n",
               fo_grouped(used, text[0]), fo_grouped(most, text[1]), per_cent(used, most));
}

static void print_text(const struct status *s)
{
    const struct fo_blocks *b = &s->blocks;
    char text[2][FO_GROUPED];

    print_first(s);
    print_settings(s);
    print_counts("live", b->live, b->live_bytes, "");
    print_counts("waiting", b->waiting, b->waiting_bytes, ", freed and in quarantine");
    print_heap(s);
    printf("  findings       %s, seen %s times\n", fo_grouped(s->kinds, text[0]),
           fo_grouped(s->findings, text[1]));
    print_processes(s);
    fo_blocks_doubts(&s->target, b);
}

/* --- JSON --------------------------------------------------------------------------------------
 */

static json_t *settings_json(const struct status *s)
{
    json_t *value = fo_json_object();

    for (unsigned i = 0; i < FO_OPTION_COUNT; i++)
        if (s->settings[i].known)
            fo_json_set(value, s->settings[i].name, fo_json_text(s->settings[i].value));
    return value;
}

static json_t *processes_json(struct status *s)
{
    json_t *rows = fo_json_array();

    for (size_t i = 0; i < s->processes.used; i++) {
        const struct fo_tally_row *r = &s->processes.rows[i];
        struct fo_target_process process, parent;
        json_t *row = fo_json_object();
        fo_target_process(&s->target, (uint32_t)r->key, &process);
        fo_target_process(&s->target, process.parent, &parent);
        fo_json_set(row, "pid", fo_json_known(process.pid));
        fo_json_set(row, "name", fo_json_text(process.name));
        fo_json_set(row, "parent_pid", fo_json_known(parent.pid));
        fo_json_set(row, "blocks", fo_json_number(r->blocks));
        fo_json_set(row, "bytes", fo_json_number(r->bytes));
        fo_json_add(rows, row);
    }
    return rows;
}

static json_t *heap_json(const struct fo_target *t, const struct fo_blocks *b)
{
    json_t *value = fo_json_object();

    if (t->region == 0) {
        json_decref(value);
        return json_null();
    }
    fo_json_set(value, "shared", json_boolean(t->is_shared_heap));
    fo_json_set(value, "committed", fo_json_number(t->committed));
    fo_json_set(value, "in_pages_of_blocks", fo_json_number(b->slots_bytes));
    fo_json_set(value, "used", fo_json_number((uint64_t)t->pages << t->d.value.page_shift));
    fo_json_set(value, "most", fo_json_number((uint64_t)t->page_count << t->d.value.page_shift));
    return value;
}

static json_t *new_document(bool guarded)
{
    json_t *document = fo_json_object();

    fo_json_set(document, "type", fo_json_text("status"));
    fo_json_set(document, "version", fo_json_number(FORMAT_VERSION));
    fo_json_set(document, "guarded", json_boolean(guarded));
    return document;
}

static void print_json(struct status *s)
{
    json_t *document = new_document(s->guard == FO_JOURNAL_GUARDED), *findings = fo_json_object();

    fo_json_set(document, "process", fo_process_json(&s->target));
    fo_json_set(document, "started", fo_json_time(s->started));
    fo_json_set(document, "library", fo_json_text(s->target.d.library));
    fo_json_set(document, "library_file", fo_json_text(s->target.library));
    fo_json_set(document, "loaded_by", fo_json_text(s->loaded));
    fo_json_set(document, "how", fo_json_text(s->how));
    fo_json_set(document, "options", settings_json(s));
    fo_json_set(document, "blocks", fo_blocks_json(&s->target, &s->blocks));
    fo_json_set(document, "heap", heap_json(&s->target, &s->blocks));
    fo_json_set(findings, "distinct", fo_json_number(s->kinds));
    fo_json_set(findings, "seen", fo_json_number(s->findings));
    fo_json_set(document, "findings", findings);
    fo_json_set(document, "processes", processes_json(s));
    fo_json_print(document);
}

/* --- start -------------------------------------------------------------------------------------
 */

static int show(struct status *s, bool json)
{
    read_status(s);
    if (json)
        print_json(s);
    else
        print_text(s);
    fo_tally_free(&s->processes);
    int status = fo_shown_is_written();
    return status != FO_EXIT_OK || s->guard == FO_JOURNAL_GUARDED ? status : FO_EXIT_CONFIG;
}

static int show_without(const struct fo_target *t, bool json)
{
    if (json) {
        json_t *document = new_document(false);
        fo_json_set(document, "process", fo_process_json(t));
        fo_json_set(document, "library", json_null());
        fo_json_print(document);
    } else {
        printf("process %d (%s): not guarded, it has no libfreeonce\n", (int)t->source->pid,
               t->source->name);
    }
    int status = fo_shown_is_written();
    return status != FO_EXIT_OK ? status : FO_EXIT_CONFIG;
}

int fo_status_main(int argc, char **argv)
{
    static const struct argp parser = {flags, take, "PID", before, NULL, NULL, NULL};
    static struct status s;
    struct arguments a = {0};
    struct fo_source source;

    fo_flags_check(argc, argv, &parser, false);
    if (argp_parse(&parser, argc, argv, 0, NULL, &a) != 0)
        return FO_EXIT_SOFTWARE;
    prctl(PR_SET_DUMPABLE, 0); /* pages that are read hold keys: none of them in a core file */
    int status = fo_source_of_process(&source, a.pid);
    if (status == FO_EXIT_OK) {
        enum fo_target_found found = fo_target_find(&s.target, &source);
        status = found == FO_TARGET_FOUND        ? show(&s, a.json)
                 : found == FO_TARGET_NO_LIBRARY ? show_without(&s.target, a.json)
                                                 : fo_target_explain(&s.target, found);
    }
    fo_source_free(&source);
    return status;
}
