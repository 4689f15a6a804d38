/* One line on stderr, "freeonce: ...", coloured on a terminal. */
#ifndef FO_CLI_MESSAGE_H
#define FO_CLI_MESSAGE_H

#include <stdbool.h>
#include <stdio.h>

/* For an error: the command cannot do what it was called for. */
void fo_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For a warning: the command continues. */
void fo_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Is `out` to have colours?  Only a terminal, and not if NO_COLOR is set (no-color.org). */
bool fo_colours(FILE *out);

#endif
