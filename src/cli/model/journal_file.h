/* A journal's file in memory, its head checked: for journal_read.c. */
#ifndef FO_CLI_MODEL_JOURNAL_FILE_H
#define FO_CLI_MODEL_JOURNAL_FILE_H

#include "report/journal_format.h"

/* A copy of the file; rows that are beyond its end are zero.  NULL: nothing of it can be used. Says
 * what is wrong; *status is then an exit status of exit.h.  free() it. */
struct fo_journal *fo_journal_file_read(const char *path, int *status);

#endif
