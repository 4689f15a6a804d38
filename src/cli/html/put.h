/* The only way text gets into the page: what is no literal of this program is escaped. */
#ifndef FO_CLI_HTML_PUT_H
#define FO_CLI_HTML_PUT_H

#include <stdint.h>
#include <stdio.h>

/* As fprintf(), of which it knows %s, %.*s, %d, %u, %zu, %llu and %llx.  The format is HTML.
 * %s is text, for an element or for an attribute in double quotes: NULL is "?", and so is each
 * character that a page cannot show or that would change the order of what is read.  What is longer
 * than 1,000 bytes, or with %.*s than so many, is cut, and the place is marked. */
__attribute__((format(printf, 2, 3))) void fo_html(FILE *out, const char *format, ...);

/* A number with commas, in `text`. */
enum { FO_HTML_NUMBER = 32 };
const char *fo_html_number(char text[FO_HTML_NUMBER], uint64_t number);

#endif
