/* What does ExecStart= run, and does LD_PRELOAD reach it?  Not static executables, nor those with
 * setuid or file capabilities (AT_SECURE), nor what is started with a cleaned environment. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/program.h"
#include "cli/systemd/notes.h"
#include "cli/wrapper.h"

#define RECIPES "/usr/share/doc/freeonce/servers"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* --- servers that need more than a drop-in -------------------------------------------------------
 */

static const struct recipe {
    const char *program, *page;
    enum fo_note_kind kind; /* FO_NOTE_WARN: the drop-in alone guards no process with TLS */
    const char *text;
} recipes[] = {
#define POSTFIX                                                                                    \
    "Postfix gives its daemons only the variables that import_environment names: the drop-in "     \
    "alone "                                                                                       \
    "guards none of them"
#define ENVVARS "apachectl reads /etc/apache2/envvars last: what it sets wins over the drop-in"
    {"kamailio", "kamailio", FO_NOTE,
     "Kamailio keeps OpenSSL's memory in memory that its processes share, which the library cures"},
    {"opensips", "opensips", FO_NOTE,
     "OpenSIPS keeps OpenSSL's memory in memory that its processes share, which the library cures"},
    {"nginx", "nginx", FO_NOTE,
     "nginx loses the variables in a binary upgrade, unless nginx.conf names each with `env`"},
    {"apachectl", "apache", FO_NOTE, ENVVARS},
    {"apache2ctl", "apache", FO_NOTE, ENVVARS},
    {"haproxy", "haproxy", FO_NOTE,
     "Where haproxy.cfg has resetenv, it must name LD_PRELOAD and each FREEONCE_..."},
    {"dovecot", "dovecot", FO_NOTE_WARN,
     "Dovecot gives its processes only the variables that import_environment names: the drop-in "
     "alone "
     "guards none of them"},
    {"postmulti", "postfix", FO_NOTE_WARN, POSTFIX},
    {"postfix", "postfix", FO_NOTE_WARN, POSTFIX},
    {"sshd", "sshd", FO_NOTE,
     "sshd gives sessions nothing of its environment: they are not guarded"},
    {"pg_ctlcluster", "postgresql", FO_NOTE_FATAL,
     "pg_ctlcluster empties the environment: the variables belong into a cluster's file "
     "`environment`. Name the cluster, as postgresql@15-main"},
    {"squid", "squid", FO_NOTE_WARN,
     "squid executes its worker, which does all of the TLS, with mixed user ids: that takes the "
     "library away, unless squid is started as its user. The drop-in alone guards nothing that "
     "matters"},
    {"postgres", "postgresql", FO_NOTE, "The journal must be where the user postgres can make it"},
};

static bool note_recipe(struct fo_plan *plan, const char *program)
{
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++)
        if (strcmp(recipes[i].program, program) == 0) {
            fo_note(plan, recipes[i].kind,
                    "%s: see docs/servers/%s.md (installed: " RECIPES "/%s.md).", recipes[i].text,
                    recipes[i].page, recipes[i].page);
            return true;
        }
    return false;
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

static bool is_same_user(const char *name, uid_t uid)
{
    const struct passwd *entry = getpwnam(name);

    return entry != NULL && entry->pw_uid == uid;
}

/* Measured, each with and without no_new_privs.  That removes the effect of setuid, not of file
 * capabilities; AmbientCapabilities= and root have no influence. */
static void check_secure(struct fo_plan *plan, const char *path, const struct stat *status,
                         bool as_root)
{
    const char *user = plan->sandbox.user, *why = NULL;
    bool no_new = plan->sandbox.dynamic_user || fo_unit_flag(plan->unit, "NoNewPrivileges");

    if (fo_program_has_capabilities(path) && !as_root)
        why = "has file capabilities (getcap)";
    else if ((status->st_mode & S_ISUID) != 0 && !no_new &&
             !(as_root ? status->st_uid == 0 : is_same_user(user, status->st_uid)))
        why = "is setuid";
    else if ((status->st_mode & S_ISGID) != 0 && (status->st_mode & S_IXGRP) != 0 && !no_new &&
             !(as_root && status->st_gid == 0))
        why = "is setgid";
    if (why != NULL)
        fo_note(
            plan, FO_NOTE_FATAL,
            "%s %s: the dynamic linker ignores LD_PRELOAD then (AT_SECURE). Give the service what "
            "it needs with AmbientCapabilities= instead, or see docs/servers/ld-so-preload.md "
            "(installed: " RECIPES "/ld-so-preload.md).",
            path, why);
}

/* AppArmor attaches a profile by the program's path: usr.sbin.named for /usr/sbin/named. */
static void check_profile(struct fo_plan *plan, const char *program)
{
    char *name = strdup(program + 1);
    struct stat status;

    for (char *c = name; c != NULL && *c != '\0'; c++)
        if (*c == '/')
            *c = '.';
    const char *file = fo_print("/etc/apparmor.d/%s", name == NULL ? "" : name);
    if (name != NULL && stat(fo_print("%s%s", plan->root, file), &status) == 0 &&
        lstat(fo_print("%s/etc/apparmor.d/disable/%s", plan->root, name), &status) != 0)
        fo_note(
            plan, FO_NOTE_WARN,
            "Where AppArmor is on, %s confines %s. Write into /etc/apparmor.d/local/%s the lines "
            "`%s mr,` and `%s rwk,`, then: apparmor_parser -r %s",
            file, program, name, plan->library,
            plan->journal == NULL ? "the journal" : plan->journal, file);
    free(name);
}

static void check_kind(struct fo_plan *plan, const char *path, const struct fo_program *program)
{
    switch (program->kind) {
    case FO_PROGRAM_BITS:
        fo_note(plan, FO_NOTE_FATAL, "%s is a program of 32 bits, which cannot load %s.", path,
                plan->library);
        break;
    case FO_PROGRAM_MACHINE:
        fo_note(plan, FO_NOTE_FATAL, "%s is a program for another processor than %s.", path,
                plan->library);
        break;
    case FO_PROGRAM_STATIC:
        fo_note(plan, FO_NOTE_FATAL, "%s is statically linked: nothing can be put in front of it.",
                path);
        break;
    case FO_PROGRAM_LIBC:
        fo_note(plan, FO_NOTE_FATAL,
                "%s is a program of %s (%s): only programs of glibc can load the library.", path,
                program->libc, program->interpreter);
        break;
    default:
        break;
    }
}

static void check_file(struct fo_plan *plan, const char *name, bool as_root, bool has_recipe)
{
    const char *path = fo_print("%s%s", plan->root, name);
    struct fo_program program;

    if (!fo_program_read(&program, path)) {
        fo_note(plan, FO_NOTE_WARN,
                "%s could not be looked at (%s): is it statically linked, setuid?", path,
                errno != 0 ? strerror(errno) : "no regular file");
        return;
    }
    if (program.kind > FO_PROGRAM_SCRIPT) {
        check_kind(plan, path, &program);
        check_secure(plan, path, &program.status, as_root);
    } else if (program.kind == FO_PROGRAM_SCRIPT && !has_recipe &&
               memmem(program.head, strcspn(program.head, "\n"), "sh", 2) != NULL) {
        note_wrapper(plan, fo_wrapper_in_script(program.head), path);
    }
    fo_program_free(&program);
}

/* --- a line ------------------------------------------------------------------------------------
 */

static void check_line(struct fo_plan *plan, const char *line)
{
    size_t prefixes = strspn(line, "@-:+!");
    bool outside = memchr(line, '+', prefixes) != NULL;
    struct fo_list words = {0};

    fo_unit_split(plan->unit, line + prefixes, &words);
    if (words.count == 0)
        goto done;
    const char *program = words.items[0];
    if (outside)
        fo_note(
            plan, FO_NOTE_WARN,
            "ExecStart=+%s runs as root and outside the sandbox: the library works there, and a "
            "journal that it makes belongs to the owner of its directory.",
            program);
    bool has_recipe = note_recipe(plan, base_name(program));
    if (strcmp(base_name(program), "true") == 0)
        fo_note(plan, FO_NOTE_FATAL,
                "%s runs no server itself. Name the unit that does: systemctl list-units '%s@*'",
                plan->unit->name, plan->unit->prefix);
    note_wrapper(plan, fo_wrapper_in(line + prefixes), fo_print("ExecStart=%s", program));
    if (strchr(program, '%') != NULL || strchr(program, '$') != NULL)
        goto done;
    if (plan->sandbox.root != NULL && !outside) {
        fo_note(plan, FO_NOTE,
                "%s was not looked at: it lies below %s. It must not be statically linked, setuid "
                "or have file capabilities, and its libc must be as new as that of this system.",
                program, plan->sandbox.root);
    } else if (*program == '/') {
        bool as_root = plan->sandbox.is_root || outside || memchr(line, '!', prefixes) != NULL;
        check_file(plan, program, as_root, has_recipe);
        check_profile(plan, program);
    }
done:
    fo_list_free(&words);
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
