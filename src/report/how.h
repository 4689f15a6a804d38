/* How the library got into this process, or why it could not, for a command that reads it from
 * outside (load/description.h): also where no journal is kept. */
#ifndef FO_REPORT_HOW_H
#define FO_REPORT_HOW_H

#include "base/base.h"
#include "report/journal_format.h"

struct fo_how {
    uint32_t guard; /* enum fo_journal_guard */
    char text[252]; /* ends with a NUL */
};

extern FO_HIDDEN struct fo_how fo_how;

void fo_how_keep(enum fo_journal_guard guard, const char *how);

#endif
