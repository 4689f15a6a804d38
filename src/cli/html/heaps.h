/* The part of the page about saved heaps (--heap): charts of live bytes, and their tables. */
#ifndef FO_CLI_HTML_HEAPS_H
#define FO_CLI_HTML_HEAPS_H

#include "cli/html/page.h"
#include "cli/inspect/heap.h"
#include "cli/inspect/snapshots.h"

/* Lines of a chart: the greatest rows, then the others if there are any. */
size_t fo_course_lines(const struct fo_course *c);
const char *fo_course_line(const struct fo_course *c, size_t line);

/* The number of a line's colour in page.css, from 1. */
size_t fo_course_colour(const struct fo_course *c, size_t line);

/* Of a course with two snapshots or more; the number makes its identifiers. */
void fo_html_chart(FILE *out, const struct fo_course *course, size_t number);

#endif
