/* One process, for people and as JSON.  See state.h. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "cli/inspect/show.h"
#include "cli/inspect/state.h"
#include "cli/output/json_parts.h"

enum { FORMAT_VERSION = 1 };

static const char *word_of(const struct fo_state *s)
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

static void print_first(const struct fo_state *s)
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

static void print_settings(const struct fo_state *s)
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

static void print_processes(const struct fo_state *s)
{
    for (size_t i = 0; i < s->processes.used; i++) {
        const struct fo_tally_row *row = &s->processes.rows[i];
        char text[2][FO_GROUPED];
        printf("  %-14s %s: %s blocks, %s bytes\n", i == 0 ? "allocated by" : "", row->text,
               fo_grouped(row->blocks, text[0]), fo_grouped(row->bytes, text[1]));
    }
}

static void print_heap(const struct fo_state *s)
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

void fo_state_text(const struct fo_state *s)
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

static json_t *settings_json(const struct fo_state *s)
{
    json_t *value = fo_json_object();

    for (unsigned i = 0; i < FO_OPTION_COUNT; i++)
        if (s->settings[i].known)
            fo_json_set(value, s->settings[i].name, fo_json_text(s->settings[i].value));
    return value;
}

static json_t *processes_json(struct fo_state *s)
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

json_t *fo_state_json_without(const struct fo_target *t)
{
    json_t *document = new_document(false);

    fo_json_set(document, "process", fo_process_json(t));
    fo_json_set(document, "library", json_null());
    return document;
}

json_t *fo_state_json(struct fo_state *s)
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
    return document;
}
