/* What does ExecStart= run, and does LD_PRELOAD reach it?  Not static executables, nor those with
 * setuid or file capabilities (AT_SECURE), nor what is started with a cleaned environment. */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/program.h"
#include "cli/servers.h"
#include "cli/systemd/notes.h"
#include "cli/wrapper.h"

#define RECIPES FO_SERVER_PAGES

/* --- servers that need more than a drop-in -------------------------------------------------------
 */

static bool note_recipe(struct fo_plan *plan, const char *program)
{
    static const enum fo_note_kind kinds[] = {FO_NOTE, FO_NOTE_WARN, FO_NOTE_FATAL};
    const struct fo_server *server = fo_server_find(program);

    if (server != NULL)
        fo_note(plan, kinds[server->kind],
                "%s: see docs/servers/%s.md (installed: " RECIPES "/%s.md).", server->text,
                server->page, server->page);
    return server != NULL;
}

/* --- wrappers ----------------------------------------------------------------------------------
 */

static void note_wrapper(struct fo_plan *plan, const char *what, const char *where)
{
    if (what != NULL)
        fo_note(plan, FO_NOTE_WARN,
                "%s: %s. What it starts is not guarded by LD_PRELOAD: see "
                "docs/servers/ld-so-preload.md (installed: " RECIPES "/ld-so-preload.md).",
                where, what);
}

/* --- the file ------------------------------------------------------------------------------------
 */

/* Measured, each with and without no_new_privs.  That removes the effect of setuid, not of file
 * capabilities; AmbientCapabilities= and root have no influence. */
static void check_secure(struct fo_plan *plan, const char *path, const struct stat *status,
                         bool as_root)
{
    bool no_new = plan->sandbox.dynamic_user || fo_unit_flag(plan->unit, "NoNewPrivileges");
    const struct passwd *entry = as_root ? NULL : getpwnam(plan->sandbox.user);
    uid_t user = as_root ? 0 : entry != NULL ? entry->pw_uid : (uid_t)-1;
    const char *why = fo_program_secure(path, status, user, as_root ? 0 : (gid_t)-1, no_new);

    if (why != NULL)
        fo_note(
            plan, FO_NOTE_FATAL,
            "%s %s: the dynamic linker ignores LD_PRELOAD then (AT_SECURE). Give the service what "
            "it needs with AmbientCapabilities= instead, or see docs/servers/ld-so-preload.md "
            "(installed: " RECIPES "/ld-so-preload.md).",
            path, why);
}

static void check_profile(struct fo_plan *plan, const char *program)
{
    char name[PATH_MAX];

    if (!fo_apparmor_profile(plan->root, program, name, sizeof name))
        return;
    fo_note(plan, FO_NOTE_WARN,
            "Where AppArmor is on, /etc/apparmor.d/%s confines %s. Write into "
            "/etc/apparmor.d/local/%s the lines `%s mr,` and `%s rwk,`, then: apparmor_parser -r "
            "/etc/apparmor.d/%s",
            name, program, name, plan->library,
            plan->journal == NULL ? "the journal" : plan->journal, name);
}

static void check_file(struct fo_plan *plan, const char *name, bool as_root, bool has_recipe)
{
    const char *path = fo_string_format("%s%s", plan->root, name);
    struct fo_program program;
    const char *reason;
    char text[PATH_MAX];

    if (!fo_program_read(&program, path)) {
        fo_note(plan, FO_NOTE_WARN,
                "%s could not be looked at (%s): is it statically linked, setuid?", path,
                errno != 0 ? strerror(errno) : "no regular file");
        return;
    }
    if (program.kind > FO_PROGRAM_SCRIPT) {
        if (fo_program_obstacle(&program, &reason, text, sizeof text))
            fo_note(plan, FO_NOTE_FATAL, "%s %s.", path, text);
        check_secure(plan, path, &program.status, as_root);
    } else if (program.kind == FO_PROGRAM_SCRIPT && !has_recipe &&
               memmem(program.head, strcspn(program.head, "\n"), "sh", 2) != NULL) {
        note_wrapper(plan, fo_wrapper_in_script(program.head), path);
    }
    fo_program_free(&program);
}

/* --- a line ------------------------------------------------------------------------------------
 */

bool fo_exec_read(struct fo_plan *plan, const char *line, struct fo_exec *exec)
{
    size_t prefixes = strspn(line, "@-:+!");
    struct fo_list words = {0};

    *exec = (struct fo_exec){.outside = memchr(line, '+', prefixes) != NULL,
                             .wrapper = fo_wrapper_in(line + prefixes)};
    exec->as_root = plan->sandbox.is_root || exec->outside || memchr(line, '!', prefixes) != NULL;
    fo_unit_split(plan->unit, line + prefixes, &words);
    exec->program = words.count != 0 ? words.items[0] : NULL;
    fo_list_free(&words);
    return exec->program != NULL;
}

static void check_line(struct fo_plan *plan, const char *line)
{
    struct fo_exec exec;

    if (!fo_exec_read(plan, line, &exec))
        return;
    const char *program = exec.program;
    if (exec.outside)
        fo_note(
            plan, FO_NOTE_WARN,
            "ExecStart=+%s runs as root and outside the sandbox: the library works there, and a "
            "journal that it makes belongs to the owner of its directory.",
            program);
    bool has_recipe = note_recipe(plan, basename(program));
    if (strcmp(basename(program), "true") == 0)
        fo_note(plan, FO_NOTE_FATAL,
                "%s runs no server itself. Name the unit that does: systemctl list-units '%s@*'",
                plan->unit->name, plan->unit->prefix);
    note_wrapper(plan, exec.wrapper, fo_string_format("ExecStart=%s", program));
    if (strchr(program, '%') != NULL || strchr(program, '$') != NULL)
        return;
    if (plan->sandbox.root != NULL && !exec.outside) {
        fo_note(plan, FO_NOTE,
                "%s was not looked at: it lies below %s. It must not be statically linked, setuid "
                "or have file capabilities, and its libc must be as new as that of this system.",
                program, plan->sandbox.root);
    } else if (*program == '/') {
        check_file(plan, program, exec.as_root, has_recipe);
        check_profile(plan, program);
    }
}

void fo_plan_exec(struct fo_plan *plan)
{
    struct fo_list lines = fo_unit_lines(plan->unit, "ExecStart");

    if (lines.count == 0)
        fo_note(plan, FO_NOTE_WARN, "The unit has no ExecStart=: nothing of it would be guarded.");
    for (size_t i = 0; i < lines.count; i++)
        check_line(plan, lines.items[i]);
    fo_list_free(&lines);
}
