/* The words of a finding, the same in the library's reports and in the command's. */
#ifndef FO_REPORT_HEADLINE_H
#define FO_REPORT_HEADLINE_H

#include "base/format.h"
#include "report/record.h"

/* "double free of SSL_CTX 0x7f12a4c01040 (1072 bytes)" */
void fo_record_headline(struct fo_text *t, const struct fo_record *record);

/* What happened at the record's last place: "freed again". */
const char *fo_record_label(const struct fo_record *record);

#endif
