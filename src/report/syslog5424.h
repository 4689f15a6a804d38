/* A finding or message for syslog in the format of RFC 5424, with structured data. */
#ifndef FO_REPORT_SYSLOG5424_H
#define FO_REPORT_SYSLOG5424_H

#include <stdint.h>

#include "report/target.h"

struct fo_record;

/* At start: the name of the machine. */
void fo_syslog5424_begin(void);

/* Send it to the socket `fd`: one datagram, that is not waited for.  The text is whole lines;
 * `record` is NULL if it is no finding; `count` is how often it was seen, in all processes. */
enum fo_written fo_syslog5424_send(int fd, bool sandbox, const char *text, size_t length,
                                   const struct fo_record *record, uint64_t count);

#endif
