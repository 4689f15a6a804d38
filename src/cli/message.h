/* One line to a person on stderr, "freeonce: ...", coloured on a terminal. */
#ifndef FO_CLI_MESSAGE_H
#define FO_CLI_MESSAGE_H

#include <stdbool.h>
#include <stdio.h>

/* Something is wrong and the command cannot do what it was asked for. */
void fo_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Something is worth knowing, the command goes on. */
void fo_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* May colours be written there?  Only to a terminal, and not where NO_COLOR is set (no-color.org).
 */
bool fo_colours(FILE *out);

#endif
