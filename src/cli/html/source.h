/* The lines of a program around a call.  The name of the file comes from debugging information: a
 * file is read only if it is a source file by its name, and no secret of its owner's. */
#ifndef FO_CLI_HTML_SOURCE_H
#define FO_CLI_HTML_SOURCE_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/model/model.h"

struct fo_html_sources {
    struct fo_html_source *list; /* files that were read, or could not be */
    size_t bytes;                /* of all */
};

/* The lines around the line of `code`, as the content of a pre element; nothing and false: they are
 * not there. */
bool fo_html_excerpt(FILE *out, struct fo_html_sources *sources, const struct fo_code *code);

void fo_html_sources_free(struct fo_html_sources *sources);

#endif
