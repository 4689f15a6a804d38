/* The journal's file: journal_format.h is what it looks like. */
#ifndef FO_REPORT_JOURNAL_MAKE_H
#define FO_REPORT_JOURNAL_MAKE_H

#include <stdint.h>

/* Nanoseconds since 1970. */
uint64_t fo_journal_now(void);

/* Lay the file out if it is empty, or if who began to was killed; the descriptor can read and
 * write. NULL: it is a journal of this version, whole.  Otherwise why not. */
const char *fo_journal_prepare(int fd);

#endif
