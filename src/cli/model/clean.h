/* Text that every output can show: UTF-8 without control characters. */
#ifndef FO_CLI_MODEL_CLEAN_H
#define FO_CLI_MODEL_CLEAN_H

#include <stdbool.h>

/* A copy of text to `to`, which has room for strlen(text) + 1 and may be text itself; '?' stands
 * for each byte that is a control character or no UTF-8. */
void fo_clean(char *to, const char *text);

/* The same in memory that the caller frees; without memory the command ends. */
char *fo_clean_copy(const char *text);

/* Would fo_clean() not change it? */
bool fo_is_clean(const char *text);

#endif
