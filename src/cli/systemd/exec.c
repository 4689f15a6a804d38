/* What does ExecStart= run, and does LD_PRELOAD reach it?  Static executables, setuid and file
 * capabilities (AT_SECURE), and programs that clean the environment of what they start. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli/systemd/notes.h"

enum { FO_ELF_CLASS = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32 };
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
    enum fo_note_kind kind; /* FO_NOTE_WARN: the drop-in alone guards nothing that matters */
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
    {"pg_ctlcluster", "postgresql", FO_NOTE_WARN,
     "pg_ctlcluster empties the environment: the drop-in alone guards nothing, the variables "
     "belong "
     "into the cluster's file `environment`"},
    {"squid", "squid", FO_NOTE_WARN,
     "squid executes its worker, which does all of the TLS, with mixed user ids: that takes the "
     "library away, unless squid is started as its user. The drop-in alone guards nothing that "
     "matters"},
    {"postgres", "postgresql", FO_NOTE, "The journal must be where the user postgres can make it"},
};

static bool hint(struct fo_plan *plan, const char *program)
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

static const struct wrapper {
    const char *program, *needs, *what;
} wrappers[] = {
    {"sudo", "", "sudo removes LD_PRELOAD and most else from the environment"},
    {"doas", "", "doas removes LD_PRELOAD and most else from the environment"},
    {"env", "-i", "env -i empties the environment"},
    {"env", "-", "env - empties the environment"},
    {"env", "--ignore-environment", "env --ignore-environment empties the environment"},
    {"su", "-", "su - empties the environment"},
    {"su", "-l", "su -l empties the environment"},
    {"su", "--login", "su --login empties the environment"},
    {"runuser", "-", "runuser - empties the environment"},
    {"runuser", "-l", "runuser -l empties the environment"},
    {"runuser", "--login", "runuser --login empties the environment"},
    {"setpriv", "--reset-env", "setpriv --reset-env empties the environment"},
    {"docker", "", "a container gets an environment of its own (docker run -e ...)"},
    {"podman", "", "a container gets an environment of its own (podman run -e ...)"},
    {"systemd-nspawn", "", "a container gets an environment of its own"},
    {"bwrap", "--clearenv", "bwrap --clearenv empties the environment"},
};

/* The words of a shell's command too: split at what separates commands. */
static void find_wrapper(struct fo_plan *plan, const char *text, const char *where)
{
    static const char separators[] = " \t\n;|&(){}\"'`=";
    char *copy = strdup(text), *state = NULL;
    struct fo_list words = {0};

    for (char *word = copy == NULL ? NULL : strtok_r(copy, separators, &state); word != NULL;
         word = strtok_r(NULL, separators, &state))
        fo_list_add(&words, base_name(word));
    for (size_t i = 0; i < words.count; i++)
        for (size_t w = 0; w < sizeof wrappers / sizeof wrappers[0]; w++) {
            const struct wrapper *p = &wrappers[w];
            bool found = strcmp(words.items[i], p->program) == 0 && *p->needs == '\0';
            for (size_t n = i + 1; n < words.count && n < i + 6 && words.items[n][0] == '-'; n++)
                found |= strcmp(words.items[i], p->program) == 0 &&
                         strcmp(words.items[n], p->needs) == 0;
            if (!found)
                continue;
            fo_note(plan, FO_NOTE_WARN,
                    "%s: %s. What it starts is not guarded by LD_PRELOAD: see "
                    "docs/servers/ld-so-preload.md (installed: " RECIPES "/ld-so-preload.md).",
                    where, p->what);
            goto told;
        }
told:
    fo_list_free(&words);
    free(copy);
}

static bool starts_with_wrapper(const char *line)
{
    const char *word = base_name(fo_keep(line, strcspn(line, " \t")));

    for (size_t w = 0; w < sizeof wrappers / sizeof wrappers[0]; w++)
        if (strcmp(word, wrappers[w].program) == 0)
            return true;
    return false;
}

/* --- the file ------------------------------------------------------------------------------------
 */

/* The dynamic linker that the program names: NULL if it has none, "" if it cannot be told. */
static const char *interpreter_of(const char *head, size_t size)
{
    const Elf64_Ehdr *h = (const Elf64_Ehdr *)head;

    if (size < sizeof *h || h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_phoff >= size ||
        h->e_phentsize != sizeof(Elf64_Phdr))
        return "";
    for (unsigned int i = 0; i < h->e_phnum; i++) {
        Elf64_Phdr p;
        if (h->e_phoff + (i + 1) * sizeof p > size)
            return "";
        memcpy(&p, head + h->e_phoff + i * sizeof p, sizeof p);
        if (p.p_type != PT_INTERP)
            continue;
        bool whole =
            p.p_offset < size && memchr(head + p.p_offset, '\0', size - p.p_offset) != NULL;
        return whole ? head + p.p_offset : "";
    }
    return NULL;
}

static void check_interpreter(struct fo_plan *plan, const char *path, const char *interpreter)
{
    if (interpreter == NULL)
        fo_note(plan, FO_NOTE_FATAL, "%s is statically linked: nothing can be put in front of it.",
                path);
    else if (strncmp(base_name(interpreter), "ld-musl", 7) == 0)
        fo_note(plan, FO_NOTE_FATAL,
                "%s is a program of musl (%s): only programs of glibc can load the library.", path,
                interpreter);
}

static bool same_user(const char *name, uid_t uid)
{
    const struct passwd *entry = getpwnam(name);

    return entry != NULL && entry->pw_uid == uid;
}

/* Measured, each with and without no_new_privs: that takes the effect of setuid away, not that of
 * file capabilities; AmbientCapabilities= and root do not matter. */
static void check_secure(struct fo_plan *plan, const char *path, const struct stat *status,
                         bool as_root)
{
    const char *user = plan->sandbox.user, *why = NULL;
    bool no_new = plan->sandbox.dynamic_user || fo_unit_flag(plan->unit, "NoNewPrivileges");

    if (getxattr(path, "security.capability", NULL, 0) > 0 && !as_root)
        why = "has file capabilities (getcap)";
    else if ((status->st_mode & S_ISUID) != 0 && !no_new &&
             !(as_root ? status->st_uid == 0 : same_user(user, status->st_uid)))
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

/* Of a shell script, the commands that start a line: text in messages is not meant. */
static void check_script(struct fo_plan *plan, const char *path, char *head, size_t size)
{
    static const char *const keywords[] = {"exec ", "then ", "else ", "do "};

    head[size] = '\0';
    size_t first = strcspn(head, "\n");
    if (memmem(head, first, "sh", 2) == NULL)
        return;
    for (char *line = head, *next; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        line += strspn(line, " \t");
        for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
            if (strncmp(line, keywords[i], strlen(keywords[i])) == 0)
                line += strlen(keywords[i]);
        line[strcspn(line, "#;|&")] = '\0';
        if (starts_with_wrapper(line))
            find_wrapper(plan, line, path);
    }
}

/* Profiles that are attached by the program's path: usr.sbin.named is /usr/sbin/named's. */
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

static void check_file(struct fo_plan *plan, const char *name, bool as_root, bool has_recipe)
{
    static _Alignas(Elf64_Ehdr) char head[1 << 16];
    const char *path = fo_print("%s%s", plan->root, name);
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        fo_note(plan, FO_NOTE_WARN,
                "%s could not be looked at (%s): is it statically linked, setuid?", path,
                fd < 0 ? strerror(errno) : "no regular file");
        if (fd >= 0)
            close(fd);
        return;
    }
    ssize_t size = read(fd, head, sizeof head - 1);
    close(fd);
    if (size > EI_CLASS && memcmp(head, ELFMAG, SELFMAG) == 0) {
        if (head[EI_CLASS] != FO_ELF_CLASS)
            fo_note(plan, FO_NOTE_FATAL, "%s is a program of %s bits, which cannot load %s.", path,
                    head[EI_CLASS] == ELFCLASS64 ? "64" : "32", plan->library);
        check_interpreter(plan, path, interpreter_of(head, (size_t)size));
        check_secure(plan, path, &status, as_root);
    } else if (size >= 2 && head[0] == '#' && head[1] == '!' && !has_recipe) {
        check_script(plan, path, head, (size_t)size);
    }
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
    bool has_recipe = hint(plan, base_name(program));
    if (strcmp(base_name(program), "true") == 0)
        fo_note(plan, FO_NOTE_WARN,
                "%s runs no server itself. Name the unit that does: systemctl list-units '%s@*'",
                plan->unit->name, plan->unit->prefix);
    find_wrapper(plan, line + prefixes, fo_print("ExecStart=%s", program));
    if (strchr(program, '%') != NULL || strchr(program, '$') != NULL)
        goto done;
    if (plan->sandbox.root != NULL && !outside) {
        fo_note(plan, FO_NOTE,
                "%s was not looked at: it lies below %s. It must not be statically linked, setuid "
                "or have file capabilities, and its libc must be as new as ours.",
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
