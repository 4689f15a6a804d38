/* A journal's file in memory, its head checked: for journal_read.c. */
#ifndef FO_CLI_MODEL_JOURNAL_FILE_H
#define FO_CLI_MODEL_JOURNAL_FILE_H

#include "report/journal_format.h"

/* A copy of the file; rows beyond its end are zero.  NULL: nothing of it can be used.  If something
 * is wrong, prints a message and sets *status to an exit status of exit.h.  The caller frees it. */
struct fo_journal *fo_journal_file_read(const char *path, int *status);

#endif
