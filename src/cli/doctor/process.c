/* Is this process guarded, and if not, why?  /proc and the process's journal tell. */
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/doctor/doctor.h"
#include "cli/doctor/elf_file.h"
#include "cli/doctor/process_file.h"
#include "cli/exit.h"
#include "cli/model/journal_read.h"
#include "cli/servers.h"
#include "cli/systemd/unit.h"
#include "report/journal_format.h"

struct loaded {
    char library[PATH_MAX], crypto[PATH_MAX], older[PATH_MAX];
    bool has_library, has_crypto, has_older, exports, is_old_library;
};

static const char *install_drop_in(const struct fo_process_file *p)
{
    return fo_string_format("freeonce systemd --install %s && systemctl restart %s", p->unit,
                            p->unit);
}

/* How the process gets the library at its next start. */
static const char *guard_it(const struct fo_process_file *p)
{
    const struct fo_server *server = fo_server_find(basename(p->exe));

    if (server != NULL && server->kind != FO_SERVER_WORKS)
        return fo_doctor_page(server->page);
    if (*p->unit != '\0')
        return install_drop_in(p);
    return server != NULL ? fo_doctor_page(server->page)
                          : fo_string_format("freeonce -- %s", p->exe);
}

static const char *restart(const struct fo_process_file *p)
{
    return *p->unit != '\0' ? fo_string_format("systemctl restart %s", p->unit)
                            : fo_string_format("freeonce -- %s", p->exe);
}

/* --- the library ---------------------------------------------------------------------------------
 */

/* Of LD_PRELOAD: the word that means our library. */
static const char *our_word(const char *preload)
{
    static const char separators[] = " :";

    for (const char *at = preload; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, separators);
        const char *word = fo_string_copy(at, length);
        if (strstr(word, "libfreeonce") != NULL)
            return word;
        at += length;
        at += strspn(at, separators);
    }
    return NULL;
}

static bool parent_has_it(const struct fo_process_file *p)
{
    char path[64];
    static char text[1 << 16];

    snprintf(path, sizeof path, "/proc/%d/environ", p->parent);
    FILE *in = fopen(path, "re");
    size_t n = in != NULL ? fread(text, 1, sizeof text - 1, in) : 0;
    if (in != NULL)
        fclose(in);
    text[n] = '\0';
    for (const char *at = text; *at != '\0'; at += strlen(at) + 1)
        if (strncmp(at, "LD_PRELOAD=", 11) == 0)
            return our_word(at + 11) != NULL;
    return false;
}

/* LD_PRELOAD names it, and the dynamic linker did not load it. */
static void why_not_loaded(struct fo_doctor *d, const struct fo_process_file *p, const char *word)
{
    struct fo_below file;

    if (!fo_preloaded_open(p->root, word, &file)) {
        fo_row(d, FO_ROW_FAILURE, "loaded", fo_string_format("ls -lL %s", word),
               "LD_PRELOAD names %s, which the process does not find in its root directory or may "
               "not read.",
               word);
        return;
    }
    fo_below_close(&file);
    fo_row(
        d, FO_ROW_FAILURE, "loaded", fo_string_format("LD_PRELOAD='%s' /bin/true", word),
        "LD_PRELOAD names %s, and the dynamic linker did not load it: it may not be readable, or "
        "be in another place than when the process started.",
        word);
}

static void check_loaded(struct fo_doctor *d, const struct fo_process_file *p,
                         const struct loaded *l)
{
    const char *word = our_word(fo_process_file_variable(p, "LD_PRELOAD"));

    if (l->has_library && l->is_old_library)
        fo_row(d, FO_ROW_WARNING, "loaded", restart(p),
               "%s is loaded, and another file has its place since: the process has the old one.",
               l->library);
    else if (l->has_library)
        fo_row(d, FO_ROW_OK, "loaded", NULL, "%s is loaded.", l->library);
    else if (p->secure)
        fo_row(d, FO_ROW_FAILURE, "loaded", fo_doctor_page("ld-so-preload"),
               "The library is not loaded: the process began with other rights than its caller's "
               "(AT_SECURE), and the dynamic linker ignores LD_PRELOAD then.");
    else if (word != NULL)
        why_not_loaded(d, p, word);
    else if (parent_has_it(p))
        fo_row(d, FO_ROW_FAILURE, "loaded", guard_it(p),
               "The library is not loaded: process %d, which started this one, has LD_PRELOAD and "
               "did not hand it on.",
               p->parent);
    else
        fo_row(d, FO_ROW_FAILURE, "loaded", guard_it(p),
               "The library is not loaded: the process was started without LD_PRELOAD.");
}

/* --- OpenSSL -------------------------------------------------------------------------------------
 */

static void find_loaded(const struct fo_process_file *p, struct loaded *l)
{
    struct fo_elf_file f;
    char exe[32];
    bool ignored;

    *l = (struct loaded){0};
    l->has_library = fo_process_file_maps(p, "libfreeonce.", l->library, &l->is_old_library);
    l->has_crypto = fo_process_file_maps(p, "libcrypto.so.3", l->crypto, &ignored) ||
                    fo_process_file_maps(p, "libcrypto.so.4", l->crypto, &ignored);
    l->has_older = fo_process_file_maps(p, "libcrypto.so.1", l->older, &ignored);
    snprintf(exe, sizeof exe, "/proc/%d/exe", p->pid);
    l->exports = fo_elf_file_read(&f, exe) && fo_elf_file_defines(&f, "CRYPTO_set_mem_functions");
    fo_elf_file_free(&f);
}

static void check_openssl(struct fo_doctor *d, const struct fo_process_file *p,
                          const struct loaded *l)
{
    if (l->has_crypto)
        fo_row(d, FO_ROW_OK, "openssl", NULL, "%s is loaded.", l->crypto);
    else if (l->exports)
        fo_row(d, FO_ROW_OK, "openssl", NULL, "%s exports an OpenSSL of its own.", p->exe);
    else if (l->has_older)
        fo_row(d, FO_ROW_FAILURE, "openssl", "less /usr/share/doc/freeonce/limits.md",
               "%s is older than OpenSSL 3, and the library leaves it as it is.", l->older);
    else
        fo_row(d, l->has_library ? FO_ROW_WARNING : FO_ROW_FAILURE, "openssl",
               fo_string_format("freeonce doctor %d", p->pid),
               "The process has loaded no OpenSSL yet: ask again when it has served a client.");
}

/* --- the journal ---------------------------------------------------------------------------------
 */

static bool is_journal(const struct fo_process_file *p, const char *path)
{
    char magic[sizeof FO_JOURNAL_MAGIC - 1];
    struct fo_below file;
    struct stat status;
    bool is = false;

    if (!fo_below_open(&file, p->root, path))
        return false;
    /* Opening a device may have effects. */
    if (fstat(file.fd, &status) == 0 && S_ISREG(status.st_mode)) {
        int fd = open(file.path, O_RDONLY | O_CLOEXEC);
        is = fd >= 0 && read(fd, magic, sizeof magic) == sizeof magic &&
             memcmp(magic, FO_JOURNAL_MAGIC, sizeof magic) == 0;
        if (fd >= 0)
            close(fd);
    }
    fo_below_close(&file);
    return is;
}

/* Many servers write a title over the environment that they were started with, nginx and sshd among
 * them.  The journal is then found among the files that the process has mapped shared. */
static const char *find_journal(const struct fo_process_file *p)
{
    const char *named = fo_process_file_variable(p, "FREEONCE_JOURNAL");

    if (named != NULL && *named != '\0')
        return named;
    for (const char *line = p->maps; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        size_t length = strcspn(line, "\n");
        const char *rights = memchr(line, ' ', length), *path = memchr(line, '/', length);
        if (rights == NULL || path == NULL || rights[strlen(" rw-")] != 's')
            continue;
        const char *name = fo_string_copy(path, length - (size_t)(path - line));
        if (is_journal(p, name))
            return name;
    }
    return NULL;
}

static const char *with_journal(const struct fo_process_file *p)
{
    return *p->unit != '\0' ? install_drop_in(p)
                            : fo_string_format("freeonce --journal /tmp/journal -- %s", p->exe);
}

static const struct fo_process_shown *find_row(const struct fo_model *model, unsigned pid)
{
    const struct fo_process_shown *last = NULL;

    for (size_t i = 0; i < model->process_count; i++)
        if (model->processes[i].pid == pid &&
            (last == NULL || model->processes[i].started >= last->started))
            last = &model->processes[i];
    return last;
}

/* A forked process has it from its parent. */
static const char *how_of(const struct fo_process_shown *row)
{
    while (*row->how == '\0' && row->parent != NULL && row->is_fork)
        row = row->parent;
    return row->how;
}

static bool report_row(struct fo_doctor *d, const struct fo_process_file *p, const char *journal,
                       const struct fo_process_shown *row)
{
    const char *report = fo_string_format("freeonce report --processes %s", journal);

    if (row == NULL)
        fo_row(d, FO_ROW_WARNING, "guarded", report,
               "The journal %s has no row of process %d: it has not used OpenSSL yet.", journal,
               p->own_pid);
    else if (row->guard == FO_JOURNAL_GUARDED)
        fo_row(d, FO_ROW_OK, "guarded", NULL, "It is guarded: %s.", how_of(row));
    else if (row->guard == FO_JOURNAL_UNPROTECTED)
        fo_row(d, FO_ROW_FAILURE, "guarded", report, "It runs unprotected: %s.", how_of(row));
    else
        fo_row(
            d, FO_ROW_OK, "guarded", NULL,
            "OpenSSL was seen, and has not allocated yet: its first allocation will be guarded.");
    return row != NULL;
}

/* False: the journal does not know the process, though the library is loaded. */
static bool check_guarded(struct fo_doctor *d, const struct fo_process_file *p,
                          const struct loaded *l)
{
    const char *journal = find_journal(p);
    struct fo_below file;
    struct fo_model model;

    if (journal == NULL) {
        fo_row(
            d, FO_ROW_WARNING, "guarded", with_journal(p),
            "The process has no journal (FREEONCE_JOURNAL), which would tell how it is guarded.");
        return true;
    }
    if (!fo_below_open(&file, p->root, journal) || access(file.path, R_OK) != 0) {
        fo_row(d, FO_ROW_WARNING, "guarded", fo_string_format("namei -l %s", journal),
               "The journal %s is not there, or user %u cannot write it.", journal, p->user);
        return true;
    }
    char *path = file.path;
    fo_model_read(&model, &path, 1);
    bool known =
        report_row(d, p, journal, l->has_library ? find_row(&model, (unsigned)p->own_pid) : NULL);
    fo_model_free(&model);
    fo_below_close(&file);
    return known;
}

/* --- what confines it ----------------------------------------------------------------------------
 */

static void check_confinement(struct fo_doctor *d, const struct fo_process_file *p,
                              const struct loaded *l)
{
    bool journal = find_journal(p) != NULL;
    bool confined = *p->profile != '\0' && strncmp(p->profile, "unconfined", 10) != 0;

    if (p->seccomp == 0)
        fo_row(d, FO_ROW_OK, "seccomp", NULL, "No filter of system calls is in force.");
    else if (l->has_library && journal)
        fo_row(d, FO_ROW_OK, "seccomp", NULL,
               "A filter of system calls is in force. It must allow madvise; the journal needs "
               "no other call.");
    else
        fo_row(d, FO_ROW_WARNING, "seccomp", "man 7 freeonce",
               "A filter of system calls is in force. It must allow madvise, and without a journal "
               "write, fstat and poll.");
    if (!confined)
        fo_row(d, FO_ROW_OK, "profile", NULL, "No profile of AppArmor or SELinux confines it.");
    else if (l->has_library)
        fo_row(d, FO_ROW_OK, "profile", NULL, "\"%s\" confines it, and the library is loaded.",
               p->profile);
    else
        fo_row(d, FO_ROW_WARNING, "profile",
               fo_string_format("journalctl -k -g 'DENIED.*%.15s'", basename(p->exe)),
               "\"%s\" confines it, and must allow the library and the journal.", p->profile);
}

static bool uses_guard(const struct fo_process_file *p)
{
    const char *backend = fo_process_file_variable(p, "FREEONCE_BACKEND");
    const char *guard = fo_process_file_variable(p, "FREEONCE_GUARD");

    return (backend != NULL && strcmp(backend, "guard") == 0) ||
           (guard != NULL && strcmp(guard, "0") != 0);
}

static void check_process(struct fo_doctor *d, const struct fo_process_file *p)
{
    char exe[32], php[PATH_MAX];
    const struct passwd *user = getpwuid(p->user);
    struct fo_subject subject = {.name = p->exe,
                                 .path = exe,
                                 .root = p->root,
                                 .user = p->user,
                                 .group = p->group,
                                 .running = true};
    struct loaded l;
    bool ignored;

    snprintf(exe, sizeof exe, "/proc/%d/exe", p->pid);
    fo_row(d, FO_ROW_OK, "process", NULL, "Process %d runs %s as user %s.", p->pid, p->exe,
           user != NULL ? user->pw_name : fo_string_format("%u", p->user));
    fo_doctor_program(d, &subject);
    if (fo_doctor_worst(d) == FO_ROW_FAILURE)
        return;
    find_loaded(p, &l);
    check_loaded(d, p, &l);
    check_openssl(d, p, &l);
    bool known = l.has_library;
    if (l.has_library && (l.has_crypto || l.exports))
        known = check_guarded(d, p, &l);
    if (fo_process_file_maps(p, "libphp", php, &ignored))
        fo_row(d, FO_ROW_WARNING, "deepbind", "less /usr/share/doc/freeonce/limits.md",
               "%s opens its extensions with RTLD_DEEPBIND: calls in them do not reach the "
               "library.",
               php);
    check_confinement(d, p, &l);
    fo_doctor_limits(d, &p->limits, uses_guard(p), known);
    fo_doctor_preloads(d, p->root, fo_process_file_variable(p, "LD_PRELOAD"));
}

int fo_doctor_process(struct fo_doctor *d, pid_t pid)
{
    struct fo_process_file process;
    int status = fo_process_file_read(&process, pid);

    if (status == FO_EXIT_OK)
        check_process(d, &process);
    fo_process_file_free(&process);
    return status;
}
