/* The outputs of findings: one function for each format, chosen by name. */
#ifndef FO_CLI_OUTPUT_FORMAT_H
#define FO_CLI_OUTPUT_FORMAT_H

#include <stdio.h>

#include "cli/model/model.h"

/* The command that was run and how it ended; all empty for `freeonce report`. */
struct fo_run_shown {
    char *const *command; /* NULL: none */
    bool ended;           /* with this status, 128+n for a signal */
    int status;
    int signal; /* that ended it; 0: none did */
    double seconds;
};

/* A format writes one whole document.  The caller checks for write errors, with ferror(). */
struct fo_format {
    const char *name;
    const char *text; /* one line for the help */
    void (*write)(FILE *out, const struct fo_model *model, const struct fo_run_shown *run);
};

/* The format of this name, or NULL. */
const struct fo_format *fo_format_find(const char *name);

/* All formats; the last entry has no name. */
extern const struct fo_format fo_formats[];

void fo_format_text(FILE *out, const struct fo_model *model, const struct fo_run_shown *run);
/* Only the last lines of the text: which processes ran unprotected, and the number of findings. */
void fo_text_summary(FILE *out, const struct fo_model *model, const struct fo_run_shown *run);

void fo_format_json(FILE *out, const struct fo_model *model, const struct fo_run_shown *run);
void fo_format_junit(FILE *out, const struct fo_model *model, const struct fo_run_shown *run);
void fo_format_sarif(FILE *out, const struct fo_model *model, const struct fo_run_shown *run);
void fo_format_html(FILE *out, const struct fo_model *model, const struct fo_run_shown *run);
void fo_format_github(FILE *out, const struct fo_model *model, const struct fo_run_shown *run);

#endif
