/* The terminal of freeonce top: keys one at a time, and its settings as they were on every way out.
 */
#ifndef FO_CLI_INSPECT_TERMINAL_H
#define FO_CLI_INSPECT_TERMINAL_H

#include <stdbool.h>

/* stdout is a terminal that can be redrawn. */
bool fo_terminal_is_there(void);

/* From now on keys come without a newline and are not shown.  exit(3) and signals that end or stop
 * the command restore the settings. */
void fo_terminal_begin(void);
void fo_terminal_end(void);

void fo_terminal_size(unsigned *rows, unsigned *columns);

/* Draw this text from the first row on, cut to the terminal's size. */
void fo_terminal_draw(const char *text);

/* Wait for a key.  0: the time is over, or the size of the terminal has changed; FO_KEY_NONE_MORE:
 * there will be no further key. */
enum { FO_KEY_NONE_MORE = -1 };
int fo_terminal_key(double seconds);

#endif
