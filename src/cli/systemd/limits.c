/* Settings of which users may fear that they break the library: do they? */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/systemd/notes.h"

enum { JOURNAL_SIZE = 8 << 20 }; /* larger than a journal, see report/journal_format.h */

/* Of a value such as 1M:2M or infinity, the soft limit. */
bool fo_limit_is_below(const char *value, unsigned long long bytes)
{
    char *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(value, &end, 10);
    if (end == value || errno != 0)
        return false;
    for (const char *unit = "KMGTPE"; strchr("KMGTPE", *end) != NULL && *end != '\0'; unit++) {
        if (number > bytes)
            return false;
        number <<= 10;
        if (*unit == *end)
            break;
    }
    return number < bytes;
}

static void check_file_size(struct fo_plan *plan)
{
    const char *limit = fo_unit_value(plan->unit, "LimitFSIZE");

    if (limit != NULL && fo_limit_is_below(limit, JOURNAL_SIZE))
        fo_note(plan, FO_NOTE_WARN,
                "LimitFSIZE=%s is too small for a journal (some MiB): the library "
                "works without one. Raise it to 8M.",
                limit);
}

/* For a program that changes its security domain at execve(2), the kernel sets AT_SECURE. */
static void check_modules(struct fo_plan *plan)
{
    const char *context = fo_unit_value(plan->unit, "SELinuxContext");
    const char *profile = fo_unit_value(plan->unit, "AppArmorProfile");

    if (context != NULL)
        fo_note(
            plan, FO_NOTE_WARN,
            "SELinuxContext=%s: a change of domain makes the dynamic linker ignore LD_PRELOAD "
            "unless the policy grants `process noatsecure`; the domain must also be allowed to map "
            "%s and to create, lock and map %s.",
            context, plan->library, plan->journal == NULL ? "the journal" : plan->journal);
    if (profile != NULL)
        fo_note(plan, FO_NOTE_WARN,
                "AppArmorProfile=%s must allow `%s mr,`, `%s rwk,`%s `/proc/*/exe r,`.", profile,
                plan->library, plan->journal == NULL ? "the journal" : plan->journal,
                plan->log != NULL && strncmp(plan->log, "syslog", strlen("syslog")) == 0
                    ? ", `/dev/log w,` and"
                : plan->log != NULL && strcmp(plan->log, "journald") == 0
                    ? ", `/run/systemd/journal/socket w,` and"
                    : " and");
}

void fo_plan_limits(struct fo_plan *plan)
{
    struct fo_unit *u = plan->unit;

    if (fo_unit_flag(u, "MemoryDenyWriteExecute"))
        fo_note(plan, FO_NOTE,
                "MemoryDenyWriteExecute= is fine: the library has no memory that is both "
                "writable and executable.");
    if (fo_unit_value(u, "AmbientCapabilities") != NULL)
        fo_note(plan, FO_NOTE,
                "AmbientCapabilities= is fine: it does not make the dynamic linker "
                "ignore LD_PRELOAD, as file capabilities would.");
    if (fo_unit_value(u, "LimitAS") != NULL)
        fo_note(plan, FO_NOTE,
                "LimitAS=%s: the addresses that the library reserves count, too. If it cannot "
                "reserve them, it prints a message and the program runs without.",
                fo_unit_value(u, "LimitAS"));
    check_file_size(plan);
    check_modules(plan);
    if (u->unexpanded.count > 0) {
        const char *all = "";
        for (size_t i = 0; i < u->unexpanded.count; i++)
            all = fo_string_format("%s%s%s", all, i == 0 ? "" : ", ", u->unexpanded.items[i]);
        fo_note(plan, u->is_template ? FO_NOTE : FO_NOTE_WARN,
                "The unit uses %s, which only the manager expands: paths with it were not judged.",
                all);
    }
}
