/* A finding or message as one entry of systemd-journald, with fields that can be searched for:
 * `journalctl FREEONCE_KIND=double-free`.  https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ */
#ifndef FO_REPORT_JOURNALD_H
#define FO_REPORT_JOURNALD_H

#include <stdint.h>

#include "report/target.h"

/* The same for each finding, and not for other messages. */
#define FO_JOURNALD_FINDING "d7a1f5f6f7e24c1d9f0b5c8e3a6b4d20"

struct fo_record;

/* Send an entry to the socket `fd`: one datagram that is not waited for.  The text is whole lines;
 * `record` is NULL if it is no finding; `count` is how often it was seen, in all processes. */
enum fo_written fo_journald_send(int fd, bool sandbox, const char *text, size_t length,
                                 const struct fo_record *record, uint64_t count);

#endif
