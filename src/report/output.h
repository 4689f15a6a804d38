/* Where do lines for people go?  stderr, a file that was opened at start, or syslog; FREEONCE_LOG
 * chooses.  Writing takes no lock, allocates nothing and works in a signal handler. */
#ifndef FO_REPORT_OUTPUT_H
#define FO_REPORT_OUTPUT_H

#include "report/format.h"

/* Open what FREEONCE_LOG names.  What cannot be opened is said on stderr, which is then used. */
void fo_output_open(void);

/* Some servers (sshd) close all descriptors, fork, and lock the child into a sandbox that cannot
 * open the file again: so it is opened again before the fork. */
void fo_output_before_fork(void);

/* In a child: with %p in the path it gets a file of its own. */
void fo_output_forked(void);

/* Are findings to be written, too?  Not with FREEONCE_LOG=journal, where there is one. */
bool fo_output_has_findings(void);

/* One write(2) of whole lines, which already start with "freeonce: " or blanks. */
void fo_output_write(const char *text, size_t length);

/* "freeonce: " + text + newline; the strings of the second end with NULL. */
void fo_say(const struct fo_text *text);
void fo_say_words(const char *first, ...) __attribute__((sentinel));

#endif
