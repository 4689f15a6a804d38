/* Messages for people, from any room: "freeonce: " + text + newline, written where reports go.
 * Defined in report/output.c. */
#ifndef FO_BASE_SAY_H
#define FO_BASE_SAY_H

#include "base/format.h"

/* The strings of fo_say_words() end with NULL. */
void fo_say(const struct fo_text *text);
void fo_say_words(const char *first, ...) __attribute__((sentinel));

#endif
