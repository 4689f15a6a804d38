/* Will a service of systemd be guarded, and is it?  The same plan as that of freeonce systemd
 * tells: what it would still add to the unit, with the drop-ins that are there, is what is missing.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/doctor/doctor.h"
#include "cli/exit.h"
#include "cli/inspect/looks.h"
#include "cli/systemd/cluster.h"
#include "cli/systemd/notes.h"

enum { ADDRESSES = 32 << 20, LINES_MOST = 16 };

static const char *install(const struct fo_unit *u)
{
    return fo_string_format("freeonce systemd --install %s && systemctl restart %s", u->name,
                            u->name);
}

static const char *edit(const struct fo_unit *u)
{
    return fo_string_format("systemctl edit %s", u->name);
}

static bool begins(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* --- the environment ---------------------------------------------------------------------------
 */

static bool is_taken_away(struct fo_unit *u)
{
    struct fo_list words = fo_unit_words(u, "UnsetEnvironment");
    bool is = false;

    for (size_t i = 0; i < words.count; i++)
        is = is || strcmp(words.items[i], "LD_PRELOAD") == 0 ||
             begins(words.items[i], "LD_PRELOAD=");
    fo_list_free(&words);
    return is;
}

/* Of a word of LD_PRELOAD: is the file there, as this command sees it? */
static bool is_there(const struct fo_plan *plan, const char *preload)
{
    struct fo_below file;

    for (const char *at = preload; *at != '\0'; at += strcspn(at, " :"), at += strspn(at, " :")) {
        const char *word = fo_string_copy(at, strcspn(at, " :"));
        if (strstr(word, "libfreeonce") == NULL)
            continue;
        if (plan->sandbox.root != NULL) /* the mounts of a running service show it there */
            return true;
        if (!fo_preloaded_open("", word, &file))
            return false;
        fo_below_close(&file);
    }
    return true;
}

/* False: the service starts without the library. */
static bool check_environment(struct fo_doctor *d, struct fo_plan *plan)
{
    const char *file = NULL, *preload = fo_environment_has(plan, "LD_PRELOAD", &file);

    if (preload == NULL || strstr(preload, "libfreeonce") == NULL) {
        fo_row(d, FO_ROW_FAILURE, "preload", install(plan->unit),
               "%s does not set LD_PRELOAD to the library.", plan->unit->name);
        return false;
    }
    if (is_taken_away(plan->unit)) {
        fo_row(d, FO_ROW_FAILURE, "preload", install(plan->unit),
               "UnsetEnvironment= takes LD_PRELOAD away again, which the unit sets.");
        return false;
    }
    if (!is_there(plan, preload)) {
        fo_row(d, FO_ROW_FAILURE, "preload", install(plan->unit),
               "The unit sets LD_PRELOAD=%s, and that file is not there.", preload);
        return false;
    }
    fo_row(d, FO_ROW_OK, "preload", NULL, "The unit sets LD_PRELOAD=%s%s%s.", preload,
           file != NULL ? " in " : "", file != NULL ? file : "");
    return true;
}

/* --- what is missing in the unit ---------------------------------------------------------------
 */

/* Settings that the plan adds.  Without the library they come with it. */
static void check_setting(struct fo_doctor *d, const struct fo_plan *plan, const char *setting,
                          bool has_library)
{
    static const struct {
        const char *key, *check, *why;
        enum fo_row_state state;
    } known[] = {
        {"SystemCallFilter=", "seccomp", "the library needs these system calls", FO_ROW_FAILURE},
        {"BindReadOnlyPaths=", "root", "the service does not see the library otherwise",
         FO_ROW_FAILURE},
        {"ExecPaths=", "root", "the library cannot be loaded otherwise", FO_ROW_FAILURE},
        {"", "journal", "the journal cannot be written otherwise", FO_ROW_WARNING},
    };
    size_t i = 0;

    while (!begins(setting, known[i].key))
        i++;
    if (has_library)
        fo_row(d, known[i].state, known[i].check, install(plan->unit), "The unit needs %s: %s.",
               setting, known[i].why);
    else
        fo_row(d, FO_ROW_OK, known[i].check, NULL, "freeonce systemd --install adds %s.", setting);
}

static void check_settings(struct fo_doctor *d, struct fo_plan *plan, bool has_library)
{
    const struct fo_list none = {0};
    struct fo_list *warnings = &plan->notes[FO_NOTE_WARN];
    const char *file;
    bool has_journal = fo_environment_has(plan, "FREEONCE_JOURNAL", &file) != NULL;

    fo_plan_places(plan);
    if (!has_library) /* else it speaks of what it would replace */
        fo_plan_environment(plan, &none);
    size_t settings = plan->settings.count;
    fo_plan_syscalls(plan);
    if (plan->settings.count != settings && warnings->count != 0)
        warnings->count--; /* it says the same as the setting's row */
    fo_plan_limits(plan);
    for (size_t i = 0; i < plan->settings.count; i++)
        if (has_journal || !has_library || strstr(plan->settings.items[i], "Directory=") == NULL)
            check_setting(d, plan, plan->settings.items[i], has_library);
    for (size_t i = 0; i < plan->notes[FO_NOTE_FATAL].count; i++)
        fo_row(d, FO_ROW_FAILURE, "unit", edit(plan->unit), "%s",
               plan->notes[FO_NOTE_FATAL].items[i]);
    for (size_t i = 0; i < warnings->count; i++)
        fo_row(d, FO_ROW_WARNING, "unit", edit(plan->unit), "%s", warnings->items[i]);
    if (has_library && !has_journal)
        fo_row(d, FO_ROW_WARNING, "journal", install(plan->unit),
               "The unit names no journal (FREEONCE_JOURNAL): what is found is printed only.");
}

/* --- the journal -------------------------------------------------------------------------------
 */

static bool can_write(const struct stat *status, const struct passwd *user)
{
    return (status->st_mode & S_IWOTH) != 0 ||
           (status->st_uid == user->pw_uid && (status->st_mode & S_IWUSR) != 0) ||
           (status->st_gid == user->pw_gid && (status->st_mode & S_IWGRP) != 0);
}

/* One that is there, as after a change of User=. */
static void check_journal(struct fo_doctor *d, const struct fo_plan *plan)
{
    struct stat status;
    const char *why;
    const struct passwd *user =
        plan->sandbox.is_root || plan->sandbox.dynamic_user ? NULL : getpwnam(plan->sandbox.user);

    if (user == NULL || plan->journal == NULL || *plan->journal != '/' ||
        strchr(plan->journal, '%') != NULL ||
        fo_sandbox_access(&plan->sandbox, plan->journal, &why) != FO_WRITABLE ||
        stat(plan->journal, &status) != 0)
        return;
    if (!can_write(&status, user))
        fo_row(d, FO_ROW_WARNING, "journal", fo_string_format("ls -l %s", plan->journal),
               "The journal %s belongs to user %s, and %s (User=) cannot write it.", plan->journal,
               fo_user_name(status.st_uid), plan->sandbox.user);
    else
        fo_row(d, FO_ROW_OK, "journal", NULL, "The journal %s can be written by %s.", plan->journal,
               plan->sandbox.user);
}

/* --- what it runs ------------------------------------------------------------------------------
 */

/* What a shell starts is not known here. */
static bool is_shell(const char *program)
{
    static const char *const shells[] = {"sh", "bash", "dash", "env"};

    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
        if (strcmp(basename(program), shells[i]) == 0)
            return true;
    return false;
}

/* False: it is no program that could be looked at. */
static bool check_kind(struct fo_doctor *d, const struct fo_plan *plan, const char *program)
{
    const struct fo_unit *u = plan->unit;

    if (strcmp(basename(program), "true") == 0)
        fo_row(d, FO_ROW_FAILURE, "program",
               fo_string_format("systemctl list-units '%s@*'", u->prefix),
               "%s runs no server itself: another unit does.", u->name);
    else if (is_shell(program))
        fo_row(d, FO_ROW_WARNING, "program", fo_string_format("freeonce status %s", u->name),
               "ExecStart= runs %s: which program that starts was not looked at.", program);
    else
        return true;
    return false;
}

static void check_exec(struct fo_doctor *d, struct fo_plan *plan, const struct fo_exec *exec)
{
    const struct passwd *user = exec->as_root ? NULL : getpwnam(plan->sandbox.user);
    const char *directory = exec->outside ? NULL : fo_unit_value(plan->unit, "RootDirectory");
    const char *root = directory != NULL ? directory + strspn(directory, "-+") : "";
    struct fo_subject subject = {.name = exec->program,
                                 .root = strcmp(root, "/") == 0 ? "" : root,
                                 .user = exec->as_root  ? 0
                                         : user != NULL ? user->pw_uid
                                                        : (uid_t)-1,
                                 .group = exec->as_root  ? 0
                                          : user != NULL ? user->pw_gid
                                                         : (gid_t)-1};
    struct fo_below file;

    if (exec->wrapper != NULL)
        fo_row(d, FO_ROW_WARNING, "environment", fo_doctor_page("ld-so-preload"),
               "ExecStart=%s: %s.", exec->program, exec->wrapper);
    if (!check_kind(d, plan, exec->program))
        return;
    if (strpbrk(exec->program, "%$") != NULL || *exec->program != '/' ||
        (!exec->outside && fo_unit_value(plan->unit, "RootImage") != NULL)) {
        fo_row(d, FO_ROW_WARNING, "program", fo_string_format("freeonce doctor %s", exec->program),
               "%s of ExecStart= was not looked at: only systemd knows where it is.",
               exec->program);
        return;
    }
    if (!fo_below_open(&file, subject.root, exec->program)) {
        fo_row(d, FO_ROW_FAILURE, "program",
               fo_string_format("ls -l %s%s", subject.root, exec->program),
               "%s%s of ExecStart= is not there.", subject.root, exec->program);
        return;
    }
    subject.path = file.path;
    fo_doctor_program(d, &subject);
    fo_below_close(&file);
}

static void check_programs(struct fo_doctor *d, struct fo_plan *plan)
{
    struct fo_list lines = fo_unit_lines(plan->unit, "ExecStart");
    struct fo_exec exec;

    if (lines.count == 0)
        fo_row(d, FO_ROW_FAILURE, "program", fo_string_format("systemctl cat %s", plan->unit->name),
               "The unit has no ExecStart=: it runs no program.");
    for (size_t i = 0; i < lines.count && i < LINES_MOST; i++)
        if (fo_exec_read(plan, lines.items[i], &exec))
            check_exec(d, plan, &exec);
    fo_list_free(&lines);
}

static void check_addresses(struct fo_doctor *d, const struct fo_plan *plan)
{
    const char *limit = fo_unit_value(plan->unit, "LimitAS");

    if (limit != NULL && fo_limit_is_below(limit, ADDRESSES))
        fo_row(d, FO_ROW_FAILURE, "limits", edit(plan->unit),
               "LimitAS=%s leaves fewer addresses than the 32 MB that the library needs.", limit);
}

static void check_running(struct fo_doctor *d, const struct fo_unit *u)
{
    const char *status = fo_string_format("freeonce status %s", u->name);
    struct fo_chosen chosen = {0};
    struct fo_looks l;

    if (!fo_chosen_unit(&chosen, u->name)) {
        fo_row(d, FO_ROW_OK, "running", NULL, "The service does not run.");
        return;
    }
    fo_looks_read(&l, &chosen, NULL);
    size_t bare = l.by_state[FO_LOOK_NOT_GUARDED] + l.by_state[FO_LOOK_UNPROTECTED];
    if (bare != 0)
        fo_row(d, FO_ROW_FAILURE, "running",
               fo_string_format("systemctl restart %s && freeonce status %s", u->name, u->name),
               "The service runs: %zu of its %zu processes are not guarded.", bare, l.count);
    else if (l.by_state[FO_LOOK_UNREADABLE] + l.by_state[FO_LOOK_UNKNOWN] != 0)
        fo_row(d, FO_ROW_WARNING, "running", status,
               "The service runs, and not all of its %zu processes can be read.", l.count);
    else
        fo_row(d, FO_ROW_OK, "running", NULL,
               "The service runs: %zu of its %zu processes are "
               "guarded, and no other has OpenSSL.",
               l.by_state[FO_LOOK_GUARDED], l.count);
    fo_looks_free(&l);
    fo_chosen_free(&chosen);
}

static void check_unit(struct fo_doctor *d, struct fo_plan *plan, bool is_file)
{
    fo_sandbox_read(&plan->sandbox, plan->unit);
    fo_row(d, FO_ROW_OK, "unit", NULL, "%s runs as %s%s%s.",
           plan->unit->file != NULL ? plan->unit->file : plan->unit->name, plan->sandbox.user,
           plan->sandbox.root != NULL ? " with " : "",
           plan->sandbox.root != NULL ? plan->sandbox.root : "");
    if (fo_cluster_file(plan->unit) != NULL) {
        fo_row(d, FO_ROW_WARNING, "environment", fo_doctor_page("postgresql"),
               "The server gets its environment from %s and not from the unit.",
               fo_cluster_file(plan->unit));
    } else {
        bool has_library = check_environment(d, plan);
        check_settings(d, plan, has_library);
        check_journal(d, plan);
    }
    check_addresses(d, plan);
    check_programs(d, plan);
    if (!is_file)
        check_running(d, plan->unit);
}

int fo_doctor_unit(struct fo_doctor *d, const char *word)
{
    struct fo_unit unit = {.with_own = true};
    struct fo_plan plan = {.unit = &unit, .root = "", .library = d->library};
    bool is_file = strchr(word, '/') != NULL;
    int status = (int)fo_unit_name(&unit, word);

    if (status == FO_EXIT_OK)
        status = (int)(is_file ? fo_unit_load_file(&unit, word) : fo_unit_load(&unit, NULL));
    if (status == FO_EXIT_OK)
        check_unit(d, &plan, is_file);
    fo_plan_free(&plan);
    fo_unit_free(&unit);
    return status;
}
