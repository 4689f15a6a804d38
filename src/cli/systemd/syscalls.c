/* Does the unit's system call filter allow the library's calls?  systemd installs the filter before
 * it executes the program, so it is in force from the library's first instruction on.  The table
 * has the library's calls, by strace(1), without those of every dynamically linked program. */
#include <string.h>

#include "cli/systemd/notes.h"

enum need {
    FOR_START = 1,
    FOR_JOURNAL = 2,
    FOR_SYSLOG = 4,
    FOR_STDERR = 8,
    FOR_JOURNALD = 16,
    FOR_SYSLOG5424 = 32,
};

/* `sets`: the sets of systemd 252 with the call, without @known.  `systemd-analyze syscall-filter`
 * prints them; tests/cli compares. */
static const struct call {
    const char *name, *sets;
    unsigned int need;
} calls[] = {
    {"madvise", "@system-service", FOR_START},
    {"rt_sigprocmask", "@signal @system-service", FOR_START},
    {"getpid", "@default @system-service", FOR_START},
    {"gettid", "@default @system-service", FOR_START},
    {"getppid", "@default @system-service", FOR_START},
    {"write", "@basic-io @system-service", FOR_START},
    {"fcntl", "@file-system @system-service", FOR_SYSLOG},
    {"newfstatat", "@file-system @system-service", FOR_JOURNAL | FOR_SYSLOG},
    {"openat", "@file-system @system-service", FOR_JOURNAL},
    {"flock", "@system-service", FOR_JOURNAL},
    {"fallocate", "@file-system @system-service", FOR_JOURNAL},
    {"ftruncate", "@file-system @system-service", FOR_JOURNAL},
    {"pread64", "@basic-io @system-service", FOR_JOURNAL},
    {"pwrite64", "@basic-io @system-service", FOR_JOURNAL},
    {"readlinkat", "@file-system @system-service", FOR_JOURNAL},
    {"socket", "@network-io @system-service", FOR_SYSLOG},
    {"connect", "@network-io @system-service", FOR_SYSLOG},
    {"writev", "@basic-io @system-service", FOR_JOURNALD | FOR_SYSLOG5424},
    {"uname", "@system-service", FOR_SYSLOG5424},
    {"poll", "@io-event @system-service", FOR_STDERR},
    {"rt_sigtimedwait", "@signal @system-service", FOR_STDERR},
};
enum { CALLS = sizeof calls / sizeof calls[0] };

/* Which of the library's calls does a filter allow? */
struct filter {
    bool known_mode, allow_list, allowed[CALLS];
    struct fo_list unknown; /* sets that are not known here */
};

static bool is_member(const struct call *c, const char *set)
{
    size_t length = strlen(set);

    if (strcmp(set, "@known") == 0)
        return true;
    for (const char *at = strstr(c->sets, set); at != NULL; at = strstr(at + 1, set))
        if (at[length] == ' ' || at[length] == '\0')
            return true;
    return false;
}

static bool is_set(const char *name)
{
    static const char all[] =
        " @aio @basic-io @chown @clock @cpu-emulation @debug @default @file-system @io-event @ipc "
        "@keyring @known @memlock @module @mount @network-io @obsolete @pkey @privileged @process "
        "@raw-io @reboot @resources @sandbox @setuid @signal @swap @sync @system-service @timer ";
    const char *at = strstr(all, name);

    return at != NULL && at[-1] == ' ' && at[strlen(name)] == ' ';
}

static void apply(struct filter *f, const char *item, bool allow)
{
    const char *name = fo_string_copy(item, strcspn(item, ":")); /* :EPERM, :kill */

    if (*name == '@' && !is_set(name))
        fo_list_add(&f->unknown, name);
    for (int i = 0; i < CALLS; i++)
        if (*name == '@' ? is_member(&calls[i], name) : strcmp(calls[i].name, name) == 0)
            f->allowed[i] = allow;
}

/* The first line decides whether the list allows or denies; later lines add to it or remove. */
static void read_line(struct filter *f, struct fo_unit *u, const char *line)
{
    struct fo_list words = {0};
    bool deny = *line == '~';

    if (!f->known_mode) {
        f->known_mode = true;
        f->allow_list = !deny;
        for (int i = 0; i < CALLS; i++)
            f->allowed[i] = deny;
        if (!deny)
            apply(f, "@default", true); /* systemd adds it */
    }
    fo_unit_split(u, line + deny, &words);
    for (size_t i = 0; i < words.count; i++)
        apply(f, words.items[i], !deny);
    fo_list_free(&words);
}

static unsigned int needs_of(const struct fo_plan *plan)
{
    unsigned int needs = FOR_START | FOR_STDERR | FOR_JOURNAL;

    if (plan->log != NULL && strcmp(plan->log, "stderr") != 0 && strcmp(plan->log, "journal") != 0)
        needs |= FOR_SYSLOG;
    if (plan->log != NULL && strcmp(plan->log, "journald") == 0)
        needs |= FOR_JOURNALD;
    if (plan->log != NULL && strcmp(plan->log, "syslog5424") == 0)
        needs |= FOR_SYSLOG5424;
    return needs;
}

static void judge(struct fo_plan *plan, const struct filter *f)
{
    const char *error = fo_unit_value(plan->unit, "SystemCallErrorNumber"), *missing = "";
    unsigned int needs = needs_of(plan);

    for (int i = 0; i < CALLS; i++)
        if (!f->allowed[i] && (calls[i].need & needs) != 0)
            missing =
                fo_string_format("%s%s%s", missing, *missing == '\0' ? "" : " ", calls[i].name);
    for (size_t i = 0; i < f->unknown.count; i++)
        fo_note(plan, FO_NOTE_WARN,
                "SystemCallFilter= names %s, a set that is not known here: compare what "
                "`systemd-analyze syscall-filter %s` prints with what freeonce(1) says is needed",
                f->unknown.items[i], f->unknown.items[i]);
    if (*missing == '\0') {
        fo_note(plan, FO_NOTE, "SystemCallFilter= lets through all that the library needs.");
        return;
    }
    fo_setting(plan, "SystemCallFilter=%s", missing);
    fo_note(
        plan, FO_NOTE_WARN,
        "The unit's SystemCallFilter= stops calls that the library needs, %s: this drop-in adds "
        "them (%s). Without them %s.",
        f->allow_list ? "by not listing them" : "by naming them", missing,
        error == NULL || strcmp(error, "kill") == 0
            ? "the kernel would kill the service"
            : fo_string_format("they would fail with %s, and journal or reports be missing",
                               error));
}

void fo_plan_syscalls(struct fo_plan *plan)
{
    struct fo_list lines = fo_unit_lines(plan->unit, "SystemCallFilter");
    struct filter f = {0};

    for (size_t i = 0; i < lines.count; i++)
        read_line(&f, plan->unit, lines.items[i]);
    if (f.known_mode)
        judge(plan, &f);
    fo_list_free(&f.unknown);
    fo_list_free(&lines);
}

bool fo_family_is_allowed(struct fo_unit *unit, const char *family)
{
    struct fo_list lines = fo_unit_lines(unit, "RestrictAddressFamilies");
    bool allowed = true;

    for (size_t i = 0; i < lines.count; i++) {
        struct fo_list words = {0};
        bool deny = lines.items[i][0] == '~';
        if (i == 0)
            allowed = deny;
        fo_unit_split(unit, lines.items[i] + deny, &words);
        if (strcmp(lines.items[i], "none") != 0 && fo_list_has(&words, family))
            allowed = !deny;
        fo_list_free(&words);
    }
    fo_list_free(&lines);
    return allowed;
}
