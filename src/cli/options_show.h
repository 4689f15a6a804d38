/* The effective options on stdout: as a table, as JSON, and one by one with their manual. */
#ifndef FO_CLI_OPTIONS_SHOW_H
#define FO_CLI_OPTIONS_SHOW_H

#include <stdbool.h>

#include "options/options.h"

enum { FO_PROBLEM_MAX = 4800 }; /* a path and a sentence */

struct fo_row {
    const char *name; /* without FREEONCE_ */
    const char *choices, *fallback, *help;
    bool wanted;
    char value[FO_TEXT_MAX + 32];
    char from[4200]; /* "default", "environment", "FILE:LINE" */
};

struct fo_shown {
    const struct fo_conf *conf;
    const char *program; /* the sections [program] were read; NULL: none */
    struct fo_row rows[FO_OPTION_COUNT];
    char (*problems)[FO_PROBLEM_MAX];
    unsigned problem_count;
};

/* Fill the rows, after the options were read.  All rows are wanted then. */
void fo_shown_fill(struct fo_shown *s);

void fo_show_table(const struct fo_shown *s);
void fo_show_help(const struct fo_shown *s);

/* False: no memory. */
bool fo_show_json(const struct fo_shown *s);

#endif
