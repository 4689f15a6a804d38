/* Which of these words did the user mean? */
#ifndef FO_BASE_NEAREST_H
#define FO_BASE_NEAREST_H

#include "base/base.h"

/* Number of edits between a and b (first 31 characters of each): a letter added, left out or
 * changed, or two neighbours swapped; upper and lower case are equal. */
unsigned fo_edit_distance(const char *a, const char *b);

/* The word nearest to `word` among the '|'-separated `choices`, copied to out.  False: none is near
 * enough. */
bool fo_nearest_choice(const char *word, const char *choices, char *out, size_t size);

#endif
