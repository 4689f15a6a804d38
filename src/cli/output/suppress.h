/* Suppressions: known findings, which do not fail a run.  The syntax is in freeonce(1). */
#ifndef FO_CLI_OUTPUT_SUPPRESS_H
#define FO_CLI_OUTPUT_SUPPRESS_H

#include <stdio.h>

#include "cli/model/model.h"

struct fo_suppression {
    const char *file; /* from which it was read */
    unsigned line;
    const char *name;
    uint64_t used; /* findings that it matched */
    struct fo_suppression *next;
    void *rules; /* suppress.c's */
};

/* Read one more file; the list keeps the order.  False, after a message: something is wrong. */
bool fo_suppressions_read(struct fo_suppression **list, const char *path, int *exit_status);
void fo_suppressions_apply(struct fo_suppression *list, struct fo_model *model);
void fo_suppressions_free(struct fo_suppression *list);

/* Write entries that match the findings that are not suppressed. */
void fo_suppressions_generate(FILE *out, const struct fo_model *model);

#endif
