/* What to do about a finding: the last line of a report, the same in every output. */
#ifndef FO_REPORT_ADVICE_H
#define FO_REPORT_ADVICE_H

#include "base/format.h"
#include "report/record.h"

/* For every finding of this kind.  Static, never NULL. */
const char *fo_advice_of_kind(enum fo_finding_kind kind);

/* The same, and for a fault of ownership which of OpenSSL's functions lend an object of this type,
 * and which take it.  object: as in a record. */
void fo_advice(struct fo_text *t, enum fo_finding_kind kind, const char *object);

#endif
