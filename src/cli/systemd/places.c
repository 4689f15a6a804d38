/* Where can journal, library and reports be, so that the unit's sandbox allows them?
 *
 * The journal goes into a directory that systemd makes, gives to User= and makes writable in every
 * sandbox: LogsDirectory=.  If the unit has one, the journal goes into it: another entry would
 * change the $LOGS_DIRECTORY of the program.  Each unit has a directory of its own below
 * /var/log/freeonce, because systemd gives the whole directory to the unit's user. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/library.h"
#include "cli/systemd/notes.h"
#include "report/log_daemon.h"

/* --- the journal -------------------------------------------------------------------------------
 */

static const struct {
    const char *key, *base;
} directories[] = {{"LogsDirectory", "/var/log"},
                   {"StateDirectory", "/var/lib"},
                   {"CacheDirectory", "/var/cache"}};

/* The unit's name as a file name; "%N" if only the manager knows it. */
static const char *own_name(const struct fo_unit *u)
{
    if (u->is_template)
        return "%N";
    char *name = strdup(u->name);
    if (name == NULL)
        exit(FO_EXIT_SOFTWARE);
    name[strlen(name) - strlen(".service")] = '\0';
    for (char *c = name; *c != '\0'; c++)
        if (*c == '\\' || *c == ':')
            *c = '_';
    const char *kept = fo_string_copy(name, strlen(name));
    free(name);
    return kept;
}

static void choose_journal(struct fo_plan *plan)
{
    const char *name = own_name(plan->unit), *why = "";

    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
        struct fo_list own = fo_unit_words(plan->unit, directories[i].key);
        const char *first =
            own.count == 0 ? NULL : fo_string_copy(own.items[0], strcspn(own.items[0], ":"));
        const char *directory = first == NULL
                                    ? fo_string_format("%s/freeonce/%s", directories[i].base, name)
                                    : fo_string_format("%s/%s", directories[i].base, first);
        fo_list_free(&own);
        if (fo_sandbox_access(&plan->sandbox, directory, &why) == FO_HIDDEN)
            continue;
        plan->journal = first == NULL ? fo_string_format("%s/journal", directory)
                                      : fo_string_format("%s/freeonce-%s.journal", directory, name);
        plan->adds_directory = true;
        if (first == NULL)
            fo_setting(plan, "%s=freeonce/%s", directories[i].key, name);
        const char *mode =
            fo_unit_value(plan->unit, fo_string_format("%sMode", directories[i].key));
        if (mode != NULL && (strtoul(mode, NULL, 8) & 0300) != 0300)
            fo_note(plan, FO_NOTE_WARN,
                    "%sMode=%s lets only root make a file there: the journal may be missing.",
                    directories[i].key, mode);
        return;
    }
    fo_note(plan, FO_NOTE_WARN,
            "There is no journal: %s hides every directory that systemd could make for it. Name "
            "another place with --journal.",
            why);
}

/* Check a directory of the host: does it exist, and can the unit's user write to it? */
static void check_directory(struct fo_plan *plan, const char *directory)
{
    struct stat status;
    const char *path = fo_string_format("%s%s", plan->root, directory);
    const struct passwd *user;

    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        fo_note(plan, FO_NOTE_WARN, "The journal's directory %s %s: make it, writable by %s.", path,
                errno == ENOENT ? "is not there" : "cannot be used", plan->sandbox.user);
        return;
    }
    if (plan->sandbox.is_root || (status.st_mode & S_IWOTH) != 0)
        return;
    user = plan->sandbox.dynamic_user ? NULL : getpwnam(plan->sandbox.user);
    if (user == NULL || (status.st_uid != user->pw_uid && status.st_gid != user->pw_gid))
        fo_note(plan, FO_NOTE_WARN, "The journal's directory %s must be writable by %s (User=).",
                path, plan->sandbox.user);
}

static void open_directory(struct fo_plan *plan, const char *directory, const char *why)
{
    const struct fo_sandbox *s = &plan->sandbox;

    for (size_t i = 0; i < s->count; i++)
        if (s->rules[i].kind == FO_FORBID_WRITE && fo_path_below(s->rules[i].path, directory) &&
            fo_path_below(plan->journal, s->rules[i].path)) {
            fo_note(plan, FO_NOTE_WARN,
                    "%s forbids to write the journal %s, and no other setting can "
                    "allow it: name another place with --journal, or none for the default.",
                    s->rules[i].why, plan->journal);
            return;
        }
    fo_setting(plan, "ReadWritePaths=%s", fo_quoted(fo_string_format("-%s", directory), false));
    fo_note(plan, FO_NOTE, "%s makes %s read-only: ReadWritePaths= opens it.", why, directory);
}

/* The journal that the user or the unit names. */
static void check_journal(struct fo_plan *plan)
{
    const char *why, *slash = strrchr(plan->journal, '/');
    const char *directory = slash == NULL || slash == plan->journal
                                ? "/"
                                : fo_string_copy(plan->journal, (size_t)(slash - plan->journal));

    switch (fo_sandbox_access(&plan->sandbox, plan->journal, &why)) {
    case FO_HIDDEN:
        fo_note(plan, FO_NOTE_WARN, "%s hides the journal %s: name another place with --journal.",
                why, plan->journal);
        return;
    case FO_PRIVATE:
        fo_note(
            plan, plan->sandbox.root == why ? FO_NOTE : FO_NOTE_WARN,
            plan->sandbox.root == why
                ? "The journal %2$s is a path inside %1$s: seen from outside, put that before it."
                : "%s gives the service a place of its own there: the journal %s is not seen from "
                  "outside, and may be gone when the service stops.",
            why, plan->journal);
        return;
    case FO_READ_ONLY:
        open_directory(plan, directory, why);
        break;
    case FO_WRITABLE:
        break;
    }
    if (strchr(directory, '%') == NULL && !fo_sandbox_makes(&plan->sandbox, directory))
        check_directory(plan, directory);
}

/* --- the library -------------------------------------------------------------------------------
 */

/* May code at this path be mapped?  NoExecPaths= forbids it, ExecPaths= allows it. */
static bool can_execute(struct fo_unit *u, const char *path)
{
    struct fo_list no = fo_unit_words(u, "NoExecPaths"), yes = fo_unit_words(u, "ExecPaths");
    size_t longest_no = 0, longest_yes = 0;

    for (size_t i = 0; i < no.count; i++) {
        const char *p = no.items[i] + strspn(no.items[i], "-+");
        if (fo_path_below(path, p) && strlen(p) > longest_no)
            longest_no = strlen(p);
    }
    for (size_t i = 0; i < yes.count; i++) {
        const char *p = yes.items[i] + strspn(yes.items[i], "-+");
        if (fo_path_below(path, p) && strlen(p) > longest_yes)
            longest_yes = strlen(p);
    }
    fo_list_free(&no);
    fo_list_free(&yes);
    return longest_no <= longest_yes;
}

static void place_library(struct fo_plan *plan)
{
    const char *why;

    switch (fo_sandbox_access(&plan->sandbox, plan->library, &why)) {
    case FO_HIDDEN:
        fo_note(plan, FO_NOTE_FATAL,
                "%s hides the library %s: install it elsewhere, and name it with "
                "--library.",
                why, plan->library);
        return;
    case FO_PRIVATE:
        fo_setting(plan, "BindReadOnlyPaths=%s", fo_quoted(plan->library, false));
        fo_note(plan, FO_NOTE, "%s hides the library: BindReadOnlyPaths= shows it inside.%s", why,
                why == plan->sandbox.root ? " The libc there must be glibc 2.28 or later." : "");
        break;
    default:
        break;
    }
    if (!can_execute(plan->unit, plan->library)) {
        fo_setting(plan, "ExecPaths=%s", fo_quoted(plan->library, false));
        fo_note(plan, FO_NOTE, "NoExecPaths= forbids to load the library: ExecPaths= allows it.");
    }
    if (!plan->sandbox.is_root && !fo_library_is_readable(plan->library))
        fo_note(plan, FO_NOTE_WARN,
                "The library %s cannot be read by all users, and the service runs "
                "as %s: install it where all users can read it.",
                plan->library, plan->sandbox.user);
}

/* --- the output of reports ---------------------------------------------------------------------
 */

static bool is_log_daemon(struct fo_unit *u)
{
    struct fo_list words = fo_unit_words(u, "ExecStart");
    const char *slash = words.count == 0 ? NULL : strrchr(words.items[0], '/');
    bool is = slash != NULL && fo_is_log_daemon(slash + 1);

    fo_list_free(&words);
    return is;
}

static void place_log(struct fo_plan *plan)
{
    const char *to = fo_unit_value(plan->unit, "StandardError"), *why, *type,
               *key = "StandardError";

    if (to == NULL || strcmp(to, "inherit") == 0) {
        to = fo_unit_value(plan->unit, "StandardOutput");
        key = "StandardOutput";
    }
    bool nowhere = to != NULL && strcmp(to, "null") == 0;
    type = fo_unit_value(plan->unit, "Type");
    bool daemon = type != NULL && strcmp(type, "forking") == 0;
    if (!nowhere && !daemon) {
        if (to != NULL && strcmp(to, "journal") != 0 && strcmp(to, "inherit") != 0)
            fo_note(plan, FO_NOTE, "%s=%s: reports of the library go there.", key, to);
        return;
    }
    bool socket =
        fo_sandbox_access(&plan->sandbox, "/run/systemd/journal/dev-log", &why) < FO_PRIVATE;
    const char *what = nowhere ? fo_string_format("%s=null discards what is written to stderr", key)
                               : "Type=forking: a daemon closes its stderr";
    if (is_log_daemon(plan->unit)) {
        fo_note(plan, FO_NOTE_WARN,
                "%s, and syslog is the service itself: reports are in the journal alone.", what);
    } else if (socket && fo_family_is_allowed(plan->unit, "AF_UNIX")) {
        plan->log = "syslog";
        fo_note(plan, FO_NOTE, "%s, so reports go to syslog: journalctl -u %s.", what,
                plan->unit->name);
    } else {
        fo_note(plan, FO_NOTE_WARN,
                "%s, and %s keeps syslog away: reports are in the journal alone.", what,
                socket ? "RestrictAddressFamilies= without AF_UNIX" : why);
    }
}

static void check_log(struct fo_plan *plan)
{
    bool journald = strcmp(plan->log, "journald") == 0;
    const char *why = "", *socket = journald ? "/run/systemd/journal/socket" : "/dev/log",
               *real = journald ? socket : "/run/systemd/journal/dev-log";

    if (journald || strcmp(plan->log, "syslog") == 0 || strcmp(plan->log, "syslog5424") == 0) {
        if (!fo_family_is_allowed(plan->unit, "AF_UNIX"))
            fo_note(plan, FO_NOTE_WARN,
                    "FREEONCE_LOG=%s needs AF_UNIX, which "
                    "RestrictAddressFamilies= forbids: reports go to stderr.",
                    plan->log);
        else if (fo_sandbox_access(&plan->sandbox, real, &why) >= FO_PRIVATE)
            fo_note(plan, FO_NOTE_WARN,
                    "FREEONCE_LOG=%s needs %s, which %s hides: reports go to stderr.", plan->log,
                    socket, why);
    } else if (plan->log[0] == '/' &&
               fo_sandbox_access(&plan->sandbox, plan->log, &why) != FO_WRITABLE) {
        fo_note(
            plan, FO_NOTE_WARN,
            "FREEONCE_LOG=%s: %s does not let the service write there, or not where it is seen.",
            plan->log, why);
    }
}

void fo_plan_places(struct fo_plan *plan)
{
    const char *file;

    place_library(plan);
    if (plan->journal == NULL)
        plan->journal = fo_environment_has(plan, "FREEONCE_JOURNAL", &file);
    if (plan->journal == NULL || *plan->journal == '\0')
        choose_journal(plan);
    else
        check_journal(plan);
    if (plan->log == NULL)
        plan->log = fo_environment_has(plan, "FREEONCE_LOG", &file);
    if (plan->log == NULL)
        place_log(plan);
    else
        check_log(plan);
    if (plan->sandbox.root != NULL && plan->adds_directory)
        fo_note(
            plan, FO_NOTE,
            "%s: systemd mounts the host's journal directory at the same path inside. A root that "
            "is read-only must have that directory, and a file in the library's place.",
            plan->sandbox.root);
    if (plan->sandbox.dynamic_user && plan->adds_directory)
        fo_note(plan, FO_NOTE, "DynamicUser=: only root can read the journal.");
}
