/* Is this program the log daemon?  A message that it sends to syslog would come to itself.  It is
 * known by the name of its file, of which the library keeps 15 characters. */
#ifndef FO_REPORT_LOG_DAEMON_H
#define FO_REPORT_LOG_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static inline bool fo_is_log_daemon(const char *program)
{
    static const char *const names[] = {"rsyslogd", "syslog-ng", "systemd-journald",
                                        "syslogd",  "metalog",   "socklog"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(program, names[i], 15) == 0)
            return true;
    return false;
}

#endif
