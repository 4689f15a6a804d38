/* Shared by the parts of journal_read.c: one journal while it is read, and its rows.  A row is used
 * if it was written to its end and its check is right; a reference, if it leads to such a row. */
#ifndef FO_CLI_MODEL_JOURNAL_ROWS_H
#define FO_CLI_MODEL_JOURNAL_ROWS_H

#include "cli/model/model.h"
#include "report/journal_format.h"

struct fo_reading {
    struct fo_model *model;
    const struct fo_journal *journal;
    size_t first_finding; /* in the model */
    uint64_t occurrences; /* in its rows */
    const char *strings[FO_JOURNAL_STRINGS];
    struct fo_code modules[FO_JOURNAL_MODULES]; /* without addresses */
    struct fo_process_shown *processes[FO_JOURNAL_PROCESSES];
};

/* A row that is not whole is counted, as unfinished or damaged. */
bool fo_row_is_whole(struct fo_model *model, const struct fo_journal_row *row, const void *body,
                     size_t size);

/* The text in an array that may have no NUL at its end. */
const char *fo_row_text(struct fo_model *model, const char *text, size_t size);

/* The row of a reference.  NULL, or a code without a module: it leads to none. */
const char *fo_row_string(const struct fo_reading *r, struct fo_journal_reference reference);
struct fo_code fo_row_code(const struct fo_reading *r, const struct fo_journal_code *c);

/* The tables, each after those that it refers to: strings and modules, processes, findings. */
void fo_read_names(struct fo_reading *r);
void fo_read_processes(struct fo_reading *r);
void fo_read_findings(struct fo_reading *r);

#endif
