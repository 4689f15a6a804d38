/* Making the journal's file; its format is in journal_format.h. */
#ifndef FO_REPORT_JOURNAL_MAKE_H
#define FO_REPORT_JOURNAL_MAKE_H

#include <stdint.h>

/* Nanoseconds since 1970. */
uint64_t fo_journal_now(void);

/* Lay the file out if it is empty, or if the process that had begun this was killed; the descriptor
 * must be open for reading and writing.  NULL: it is a whole journal of this version.  Else the
 * reason. */
const char *fo_journal_prepare(int fd);

#endif
