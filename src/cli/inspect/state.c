/* See state.h. */
#include "cli/inspect/state.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/exit.h"
#include "cli/inspect/facts.h"
#include "cli/message.h"
#include "cli/model/clean.h"

static void read_how(struct fo_state *s)
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

static void add_finding(void *data, uint64_t key, uint64_t count)
{
    struct fo_state *s = data;

    (void)key;
    s->kinds++;
    s->findings += count;
}

static void read_findings(struct fo_state *s)
{
    s->findings_at = fo_target_findings(&s->target);
    if (s->findings_at != 0)
        fo_target_findings_read(&s->target, s->findings_at, add_finding, s);
}

static void count(void *context, const struct fo_block_seen *block)
{
    struct fo_state *s = context;

    fo_tally_add(&s->processes, block->process, block->size);
}

static char *name_process(void *context, uint64_t row)
{
    struct fo_state *s = context;
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

void fo_state_read(struct fo_state *s)
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

void fo_state_free(struct fo_state *s)
{
    fo_tally_free(&s->processes);
    s->processes = (struct fo_tally){0};
}
