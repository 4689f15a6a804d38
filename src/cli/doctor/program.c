/* Can the library be put in front of this program?  What its file, its libraries and its name tell.
 */
#include <stdio.h>
#include <string.h>

#include "cli/doctor/doctor.h"
#include "cli/doctor/elf_file.h"
#include "cli/servers.h"
#include "cli/systemd/unit.h"
#include "cli/wrapper.h"

#define LIMITS "less /usr/share/doc/freeonce/limits.md"

const char *fo_doctor_page(const char *page)
{
    return fo_string_format("less " FO_SERVER_PAGES "/%s.md", page);
}

/* --- the file ------------------------------------------------------------------------------------
 */

/* False: nothing more of it can be looked at. */
static bool check_kind(struct fo_doctor *d, const struct fo_subject *s,
                       const struct fo_program *program)
{
    const char *reason;
    char text[PATH_MAX];

    if (fo_program_obstacle(program, &reason, text, sizeof text)) {
        fo_row(d, FO_ROW_FAILURE, "program", LIMITS, "%s %s.", s->name, text);
        return false;
    }
    fo_row(d, FO_ROW_OK, "program", NULL, "%s is a dynamically linked program of glibc.", s->name);
    return true;
}

static void check_rights(struct fo_doctor *d, const struct fo_subject *s,
                         const struct fo_program *program)
{
    const char *page = fo_doctor_page("ld-so-preload");
    const char *why = fo_program_secure(s->path, &program->status, s->user, s->group, false);
    const char *others = fo_program_secure(s->path, &program->status, (uid_t)-1, (gid_t)-1, false);

    if (why != NULL)
        fo_row(d, FO_ROW_FAILURE, "rights", page,
               "%s %s: the dynamic linker ignores LD_PRELOAD then.", s->name, why);
    else if (others != NULL)
        fo_row(d, FO_ROW_WARNING, "rights", page,
               "%s %s: the dynamic linker ignores LD_PRELOAD when another user starts it.", s->name,
               others);
    else
        fo_row(d, FO_ROW_OK, "rights", NULL,
               "%s gives its process no rights that its caller lacks.", s->name);
}

/* --- OpenSSL -------------------------------------------------------------------------------------
 */

/* None is linked. */
static void check_later(struct fo_doctor *d, const struct fo_subject *s, const struct fo_linked *l)
{
    const char *pid = fo_string_format("freeonce doctor $(pgrep -o -x %.15s)", basename(s->name));

    if (l->holds)
        fo_row(d, FO_ROW_FAILURE, "openssl", LIMITS,
               "%s has an OpenSSL of its own, linked statically, and does not export it.", s->name);
    else if (l->opens)
        fo_row(
            d, FO_ROW_WARNING, "openssl", pid,
            "%s is not linked with OpenSSL%s%s; it can load libraries later (dlopen), which only "
            "a running process shows.",
            s->name, *l->other != '\0' ? ", but with " : "", l->other);
    else if (*l->other != '\0')
        fo_row(d, FO_ROW_FAILURE, "openssl", LIMITS,
               "%s uses %s and not OpenSSL: there is nothing to guard.", s->name, l->other);
    else if (l->a_library_opens)
        fo_row(d, FO_ROW_WARNING, "openssl", pid,
               "%s is not linked with OpenSSL; its libraries can load others later (dlopen), which "
               "only a running process shows.",
               s->name);
    else
        fo_row(d, FO_ROW_FAILURE, "openssl", LIMITS,
               "%s does not use OpenSSL and loads no library later: there is nothing to guard.",
               s->name);
}

static void check_openssl(struct fo_doctor *d, const struct fo_subject *s,
                          const struct fo_linked *l)
{
    if (l->exports)
        fo_row(d, FO_ROW_OK, "openssl", NULL,
               "%s exports an OpenSSL of its own, which the library finds.", s->name);
    else if (l->exports_older || (*l->older != '\0' && *l->crypto == '\0'))
        fo_row(d, FO_ROW_FAILURE, "openssl", LIMITS,
               "%s uses an OpenSSL older than 3 (%s), which the library leaves as it is.", s->name,
               l->exports_older ? "its own" : l->older);
    else if (*l->crypto == '\0')
        check_later(d, s, l);
    else if (*l->crypto_path == '\0')
        fo_row(d, FO_ROW_FAILURE, "openssl", fo_string_format("ldd %s", s->name),
               "%s needs %s, which was not found.", s->name, l->crypto);
    else if (*l->older != '\0')
        fo_row(d, FO_ROW_WARNING, "openssl", LIMITS,
               "%s is linked with %s, and with %s, which the library leaves as it is.", s->name,
               l->crypto, l->older);
    else
        fo_row(d, FO_ROW_OK, "openssl", NULL, "%s is linked with %s%s%s (%s).", s->name, l->crypto,
               *l->by != '\0' ? " by " : "", l->by, l->crypto_path);
}

static void check_libraries(struct fo_doctor *d, const struct fo_subject *s,
                            const struct fo_linked *l)
{
    if (l->old_libc)
        fo_row(d, FO_ROW_FAILURE, "libc", LIMITS,
               "The C library of %s is older than glibc 2.28, which the library needs.", s->name);
    if (*l->missing != '\0' && strcmp(l->missing, l->crypto) != 0)
        fo_row(d, FO_ROW_WARNING, "libraries", fo_string_format("ldd %s", s->name),
               "%s needs %s, which was not found where the dynamic linker looks.", s->name,
               l->missing);
    if (l->sanitized)
        fo_row(d, FO_ROW_WARNING, "sanitizer",
               fo_string_format("freeonce --set QUARANTINE=0 -- %s", s->name),
               "%s is built with AddressSanitizer, which sees each free at once only without a "
               "quarantine.",
               s->name);
}

/* --- the name ------------------------------------------------------------------------------------
 */

static void check_name(struct fo_doctor *d, const struct fo_subject *s)
{
    const char *name = basename(s->name);
    const struct fo_server *server = fo_server_find(name);
    char profile[PATH_MAX];

    if (server != NULL && !s->running)
        fo_row(d, server->kind != FO_SERVER_WORKS ? FO_ROW_WARNING : FO_ROW_OK, "environment",
               server->kind != FO_SERVER_WORKS ? fo_doctor_page(server->page) : NULL, "%s.",
               server->text);
    if (fo_server_binds_deep(name))
        fo_row(d, FO_ROW_WARNING, "deepbind", LIMITS,
               "%s opens its extensions with RTLD_DEEPBIND: calls in them do not reach the "
               "library.",
               name);
    if (!s->running && fo_apparmor_profile(s->root, s->name, profile, sizeof profile))
        fo_row(d, FO_ROW_WARNING, "apparmor",
               fo_string_format("less /etc/apparmor.d/local/%s", profile),
               "Where AppArmor is on, /etc/apparmor.d/%s confines %s and must allow %s and the "
               "journal.",
               profile, s->name, d->library);
}

/* --- scripts -------------------------------------------------------------------------------------
 */

/* The word of "#!" that is executed: of `#!/usr/bin/env python3`, python3. */
static bool interpreter_of(const char *head, char path[PATH_MAX])
{
    char line[PATH_MAX], *rest = line;

    snprintf(line, sizeof line, "%.*s", (int)strcspn(head + 2, "\n"), head + 2);
    char *word = strtok_r(line, " \t\r", &rest);
    if (word == NULL)
        return false;
    char *next = strtok_r(NULL, " \t\r", &rest);
    if (strcmp(basename(word), "env") == 0 && next != NULL && *next != '-')
        word = next;
    return fo_program_look_up(word, path);
}

static void check_script(struct fo_doctor *d, const struct fo_subject *s, char *head)
{
    const char *what;
    char path[PATH_MAX];
    struct fo_subject interpreter = *s;
    struct fo_below below;

    if (!interpreter_of(head, path) || !fo_below_open(&below, s->root, path)) {
        fo_row(d, FO_ROW_FAILURE, "program", fo_string_format("head -1 %s", s->name),
               "%s is a script, and its interpreter was not found.", s->name);
        return;
    }
    fo_row(d, FO_ROW_OK, "script", NULL, "%s is a script of %s.", s->name, path);
    what = fo_wrapper_in_script(head);
    if (what != NULL)
        fo_row(d, FO_ROW_WARNING, "environment", fo_doctor_page("ld-so-preload"), "%s: %s.",
               s->name, what);
    interpreter.name = path;
    interpreter.path = below.path;
    struct fo_program program;
    if (fo_program_read(&program, below.path) && program.kind == FO_PROGRAM_SCRIPT)
        fo_row(d, FO_ROW_WARNING, "program", fo_string_format("freeonce doctor %s", path),
               "%s is a script itself.", path);
    else
        fo_doctor_program(d, &interpreter);
    fo_program_free(&program);
    fo_below_close(&below);
}

void fo_doctor_program(struct fo_doctor *d, const struct fo_subject *s)
{
    struct fo_program program;
    struct fo_linked linked;

    if (!fo_program_read(&program, s->path) || program.kind == FO_PROGRAM_OTHER) {
        fo_row(d, FO_ROW_FAILURE, "program", fo_string_format("file %s", s->name),
               "%s cannot be read as a program.", s->name);
    } else if (program.kind == FO_PROGRAM_SCRIPT) {
        check_script(d, s, program.head);
        check_name(d, s);
    } else if (check_kind(d, s, &program)) {
        fo_linked_read(&linked, s->root, s->path, s->name);
        if (linked.damaged) {
            fo_row(d, FO_ROW_FAILURE, "elf", fo_string_format("readelf -dW %s", s->name),
                   "The ELF file %s is damaged.", s->name);
        } else if (!s->running) {
            check_rights(d, s, &program);
            check_openssl(d, s, &linked);
            check_libraries(d, s, &linked);
        }
        check_name(d, s);
    }
    fo_program_free(&program);
}
