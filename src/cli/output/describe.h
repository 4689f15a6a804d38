/* A finding as text, for the outputs that have one text for each finding. */
#ifndef FO_CLI_OUTPUT_DESCRIBE_H
#define FO_CLI_OUTPUT_DESCRIBE_H

#include <stdio.h>

#include "cli/model/model.h"

/* The text, with '?' for each byte that is not clean; "?" for NULL. */
void fo_describe_text(FILE *out, const char *text);

/* "ssl/ssl_lib.c:3457 by worker_shutdown at src/worker.c:41, pid 4131 (nginx), forked from 4120" */
void fo_describe_place(FILE *out, const struct fo_place_shown *place);

/* "function at file:line", "function in module+address" or "module+address" */
void fo_describe_code(FILE *out, const struct fo_code *code);

/* The headline, and a line for each place that is known, with its stack. */
void fo_describe_finding(FILE *out, const struct fo_finding_shown *finding);

/* "2 more findings are not in the journal", and other things that are missing in it. */
void fo_describe_dropped(FILE *out, uint64_t dropped);
void fo_describe_nameless(FILE *out, uint64_t times);
void fo_describe_excluded(FILE *out, uint64_t processes);

/* "nothing was checked: ./server is statically linked ..."; model->unguarded must have a reason. */
void fo_describe_unguarded(FILE *out, const struct fo_model *model);

/* The name of its program; "?": not known. */
const char *fo_describe_program(const struct fo_finding_shown *finding);

/* The last component of a path. */
const char *fo_describe_base(const char *path);

/* A stream into memory.  The caller frees the text that fo_describe_end() returns; without memory
 * the command ends. */
struct fo_description_text {
    FILE *out;
    char *text;
    size_t size;
};
void fo_describe_start(struct fo_description_text *description);
char *fo_describe_end(struct fo_description_text *description);

#endif
