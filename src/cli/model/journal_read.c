/* See journal_read.h. */
#include "cli/model/journal_read.h"

#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/message.h"
#include "cli/model/journal_file.h"
#include "cli/model/journal_rows.h"

/* Of several journals the first one's are shown, if they differ. */
static void read_settings(struct fo_reading *r)
{
    const struct fo_journal_settings *s = &r->journal->settings;
    struct fo_model *m = r->model;
    char text[sizeof s->text + 1];

    if (!fo_row_is_whole(m, &s->row, s->text, sizeof s->text))
        return;
    memcpy(text, s->text, sizeof s->text);
    text[sizeof s->text] = '\0';
    m->other_settings += s->others;
    if (m->settings == NULL)
        m->settings = fo_model_string(m, text);
    else
        m->other_settings += strcmp(m->settings, text) != 0;
}

static void read_one(struct fo_reading *r)
{
    const struct fo_journal_counters *c = &r->journal->counters;

    read_settings(r);
    fo_read_names(r);
    fo_read_processes(r);
    fo_read_findings(r);
    r->model->guarded += c->guarded;
    r->model->unprotected += c->unprotected;
    r->model->occurrences += c->findings;
    r->model->dropped += c->dropped.findings;
    r->model->excluded += c->excluded;
    r->model->older += c->older;
    r->model->nameless += c->dropped.strings + c->dropped.modules + c->dropped.processes;
    /* A finding is counted first: if it is neither in a row nor counted as dropped, its process was
     * killed while it wrote. */
    if (c->findings > r->occurrences + c->dropped.findings)
        r->model->dropped += c->findings - r->occurrences - c->dropped.findings;
}

static int by_time(const void *a, const void *b)
{
    const struct fo_finding_shown *x = a, *y = b;

    return x->first < y->first ? -1 : x->first > y->first;
}

static int report_damage(const struct fo_model *model, const char *path, uint64_t unfinished,
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
    struct fo_reading *r = fo_model_allocate(model, sizeof *r);
    for (int i = 0; i < count; i++) {
        int status;
        struct fo_journal *journal = fo_journal_file_read(paths[i], &status);
        if (journal != NULL) {
            uint64_t unfinished = model->unfinished, damaged = model->damaged;
            *r = (struct fo_reading){.model = model, .journal = journal};
            read_one(r);
            int rows = report_damage(model, paths[i], unfinished, damaged);
            status = status != FO_EXIT_OK ? status : rows;
            free(journal);
        }
        worst = worst != FO_EXIT_OK ? worst : status;
    }
    qsort(model->findings, model->finding_count, sizeof *model->findings, by_time);
    return worst;
}
