/* The places that reports go to, and in which order they are tried: see output.h. */
#include "report/output.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "base/errors.h"
#include "base/raw.h"
#include "base/say.h"
#include "options/options.h"
#include "process/process.h"
#include "report/journal.h"
#include "report/journald.h"
#include "report/log_daemon.h"
#include "report/open.h"
#include "report/syslog5424.h"
#include "report/target.h"

/* Servers close the low descriptors when they become daemons, and use their numbers again. */
enum { HIGH_FD = 200 };

enum { LINES_A_SECOND = 100 }; /* of findings beyond the table in report.c */

static bool begun;
static struct fo_target standard_error;

/* What FREEONCE_LOG names; fd -1: stderr. */
static struct {
    int fd;
    enum log_kind { TO_FILE, TO_SYSLOG, TO_SYSLOG5424, TO_JOURNALD } kind;
    bool per_process;
    bool inherited; /* a number that the program may have given to another file since */
    struct fo_target is;
} target = {.fd = -1};

static struct fo_unprinted own_counts, *used_counts = &own_counts;

/* --- opening ------------------------------------------------------------------------------------
 */

/* A server that inetd(8) started has its client's socket in 0, 1 and 2: no report is written there.
 */
static bool is_clients_socket(const struct fo_target *t)
{
    return t->type == S_IFSOCK && fo_target_check(t, STDIN_FILENO) == FO_STILL_SAME;
}

void fo_output_begin(void)
{
    int saved_errno = errno;

    begun = true;
    if (fo_target_record(&standard_error, STDERR_FILENO) && is_clients_socket(&standard_error))
        standard_error.known = false;
    errno = saved_errno;
}

static int move_up(int fd)
{
    int high = fo_raw_duplicate(fd, HIGH_FD);
    if (high < 0)
        return fd;
    fo_raw_close(fd);
    return high;
}

static void remember(int fd)
{
    fo_target_record(&target.is, fd);
    target.is.is_own = true;
    target.fd = fd;
}

/* -1: *why has the reason. */
static int open_path(const char **why)
{
    char path[FO_TEXT_MAX + 32];

    fo_target_path(fo_options.log, path, sizeof path);
    int inherited = fo_open_names_descriptor(path);
    target.inherited = inherited >= 0;
    return inherited >= 0 ? fo_open_inherited(inherited, why)
                          : fo_open_to_write(path, O_WRONLY | O_APPEND, 0640, why);
}

static bool open_file(const char **why)
{
    int fd = open_path(why);

    if (fd >= 0)
        remember(move_up(fd));
    return fd >= 0;
}

/* What is printed: whole lines; a daemon with fields gets the parts of a finding, too. */
struct piece {
    const char *text;
    size_t length;
    const struct fo_record *record; /* NULL: no finding, or not one alone */
    uint64_t count;
};

static const struct {
    const char *name, *socket;
} daemons[] = {[TO_SYSLOG] = {"syslog", "/dev/log"},
               [TO_SYSLOG5424] = {"syslog5424", "/dev/log"},
               [TO_JOURNALD] = {"journald", "/run/systemd/journal/socket"}};

static bool open_daemon(enum log_kind kind)
{
    int fd = fo_target_connect(daemons[kind].socket);

    if (fd < 0)
        return false;
    remember(move_up(fd));
    target.kind = kind;
    return true;
}

static void open_daemon_or_say(enum log_kind kind)
{
    if (kind == TO_SYSLOG5424)
        fo_syslog5424_begin();
    if (fo_is_log_daemon(fo_program))
        fo_say_words("FREEONCE_LOG=", fo_options.log, ": ", fo_program,
                     " is the log daemon itself, reports go to stderr", NULL);
    else if (!open_daemon(kind))
        fo_say_words("FREEONCE_LOG=", fo_options.log, ": no daemon listens at ",
                     daemons[kind].socket, " (", fo_error_words(errno), "), reports go to stderr",
                     NULL);
}

static void open_target(const char *log)
{
    for (unsigned kind = TO_SYSLOG; kind <= TO_JOURNALD; kind++)
        if (strcmp(log, daemons[kind].name) == 0)
            open_daemon_or_say((enum log_kind)kind);
    if (strchr(log, '/') != NULL) {
        target.per_process = strstr(log, "%p") != NULL;
        const char *why;
        if (!open_file(&why) && fo_open_names_descriptor(log) != STDERR_FILENO)
            fo_say_words("FREEONCE_LOG=", log, " cannot be opened (", why,
                         "), reports go to stderr", NULL);
    }
}

void fo_output_open(void)
{
    int saved_errno = errno;

    if (!begun)
        fo_output_begin();
    target.fd = -1;
    target.kind = TO_FILE;
    target.per_process = target.inherited = false;
    open_target(fo_options.log);
    errno = saved_errno;
}

void fo_output_forked(void)
{
    if (!target.per_process)
        return;
    int saved_errno = errno, before = target.fd;
    const char *why;
    if (open_file(&why) && before >= 0)
        fo_raw_close(before);
    errno = saved_errno;
}

/* The descriptor, if it still is what was opened; -1: it is not, and cannot be opened again.  A
 * daemon that closed it gets the file again by name, if it has not changed its root folder. */
static int current_fd(bool *sandbox)
{
    if (target.fd < 0)
        return -1;
    enum fo_still still = fo_target_check(&target.is, target.fd);
    *sandbox = still == FO_STILL_UNKNOWN;
    if (still == FO_STILL_NOT) {
        target.fd = -1;
        if (target.kind != TO_FILE)
            open_daemon(target.kind);
        else if (!target.inherited)
            open_file(&(const char *){NULL});
    }
    return target.fd;
}

void fo_output_before_fork(void)
{
    int saved_errno = errno;
    bool sandbox;

    current_fd(&sandbox);
    errno = saved_errno;
}

/* --- writing ------------------------------------------------------------------------------------
 */

static enum fo_written write_to_target(const struct piece *p, bool *sandbox)
{
    int fd = current_fd(sandbox);

    if (fd < 0)
        return FO_WRITTEN_NOT;
    switch (target.kind) {
    case TO_JOURNALD:
        return fo_journald_send(fd, *sandbox, p->text, p->length, p->record, p->count);
    case TO_SYSLOG5424:
        return fo_syslog5424_send(fd, *sandbox, p->text, p->length, p->record, p->count);
    case TO_SYSLOG:
        return fo_target_syslog(fd, *sandbox, p->text, p->length);
    default:
        return fo_target_write(fd, &target.is, *sandbox, p->text, p->length);
    }
}

static enum fo_written write_to_stderr(const char *text, size_t length, bool *sandbox)
{
    enum fo_still still = fo_target_check(&standard_error, STDERR_FILENO);

    *sandbox |= still == FO_STILL_UNKNOWN;
    if (still == FO_STILL_NOT)
        return FO_WRITTEN_NOT;
    return fo_target_write(STDERR_FILENO, &standard_error, *sandbox, text, length);
}

/* For this report alone: the program may need the number of a descriptor that stayed open. */
static enum fo_written write_to_syslog(const char *text, size_t length)
{
    int fd = fo_is_log_daemon(fo_program) ? -1 : fo_target_connect(daemons[TO_SYSLOG].socket);

    if (fd < 0)
        return FO_WRITTEN_NOT;
    enum fo_written written = fo_target_syslog(fd, false, text, length);
    fo_raw_close(fd);
    return written;
}

static bool print(const struct piece *p, bool is_finding)
{
    bool sandbox = false;
    enum fo_written written = write_to_target(p, &sandbox);

    if (written == FO_WRITTEN_NOT)
        written = write_to_stderr(p->text, p->length, &sandbox);
    if (written != FO_WRITTEN_NOT || sandbox || target.kind != TO_FILE)
        return written == FO_WRITTEN;
    if (is_finding && fo_journal_is_kept())
        return true; /* the journal has it */
    return write_to_syslog(p->text, p->length) == FO_WRITTEN;
}

/* --- what could not be printed ------------------------------------------------------------------
 */

void fo_output_share(struct fo_unprinted *counts)
{
    fo_shared_set(&counts->findings, fo_shared_number(&own_counts.findings));
    fo_shared_set(&counts->messages, fo_shared_number(&own_counts.messages));
    fo_shared_set(&counts->left_out, fo_shared_number(&own_counts.left_out));
    fo_shared_set(&counts->second, fo_shared_number(&own_counts.second));
    __atomic_store_n(&used_counts, counts, __ATOMIC_RELEASE);
}

static struct fo_unprinted *unprinted(void)
{
    return __atomic_load_n(&used_counts, __ATOMIC_ACQUIRE);
}

static void put_count(struct fo_text *t, uint64_t count, const char *what)
{
    fo_put_dec(t, count);
    fo_put(t, what);
    fo_put(t, count == 1 ? "" : "s");
}

/* False: they could not be written anywhere. */
static bool print_counts(uint64_t findings, uint64_t messages)
{
    char line[120];
    struct fo_text t = FO_TEXT(line);

    fo_put(&t, "freeonce: ");
    if (findings != 0)
        put_count(&t, findings, " finding");
    if (findings != 0 && messages != 0)
        fo_put(&t, " and ");
    if (messages != 0)
        put_count(&t, messages, " message");
    fo_put(&t, " could not be printed\n");
    return print(&(struct piece){.text = line, .length = t.used}, false);
}

static bool print_left_out(uint64_t findings)
{
    char line[160];
    struct fo_text t = FO_TEXT(line);

    fo_put(&t, "freeonce: ");
    put_count(&t, findings, " finding");
    fo_put(&t, findings == 1 ? " was" : " were");
    fo_put(&t, " left out: of those beyond the first 1,024 different ones, ");
    fo_put_dec(&t, LINES_A_SECOND);
    fo_put(&t, " lines a second are printed\n");
    return print(&(struct piece){.text = line, .length = t.used}, false);
}

static uint64_t taken(struct fo_shared_u64 *count)
{
    return fo_shared_number(count) != 0 ? fo_shared_swap(count, 0) : 0;
}

void fo_output_unprinted(void)
{
    struct fo_unprinted *counts = unprinted();

    if (fo_likely((fo_shared_number(&counts->findings) | fo_shared_number(&counts->messages) |
                   fo_shared_number(&counts->left_out)) == 0))
        return;
    int saved_errno = errno;
    uint64_t findings = taken(&counts->findings), messages = taken(&counts->messages);
    uint64_t left_out = taken(&counts->left_out);
    if ((findings | messages) != 0 && !print_counts(findings, messages)) {
        fo_shared_add(&counts->findings, findings);
        fo_shared_add(&counts->messages, messages);
    }
    if (left_out != 0 && !print_left_out(left_out))
        fo_shared_add(&counts->left_out, left_out);
    errno = saved_errno;
}

static void print_or_count(const struct piece *p, bool is_finding)
{
    struct fo_unprinted *counts = unprinted();
    int saved_errno = errno;

    fo_output_unprinted();
    if (!print(p, is_finding))
        fo_shared_add(is_finding ? &counts->findings : &counts->messages, 1);
    errno = saved_errno;
}

bool fo_output_has_findings(void)
{
    return !fo_journal_is_kept() || strcmp(fo_options.log, "journal") != 0;
}

void fo_output_finding(const char *text, size_t length, const struct fo_record *record,
                       uint64_t count)
{
    print_or_count(&(struct piece){text, length, record, count}, true);
}

static uint32_t lines_of(const char *text, size_t length)
{
    uint32_t lines = 0;

    for (size_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    return lines;
}

/* Do so few lines still fit into this second of the clock?  The clock may differ in another time
 * namespace. */
static bool is_within_limit(uint32_t lines)
{
    struct fo_unprinted *counts = unprinted();
    struct timespec now = {0, 0};

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    uint64_t second = (uint32_t)now.tv_sec, before = fo_shared_number(&counts->second);
    for (int tries = 0; tries < 8; tries++) {
        uint64_t so_far = before >> 32 == second ? (uint32_t)before : 0;
        if (so_far != 0 && so_far + lines > LINES_A_SECOND)
            return false;
        if (fo_shared_replace(&counts->second, &before, second << 32 | (so_far + lines)))
            return true;
    }
    return false;
}

void fo_output_finding_bounded(const char *text, size_t length, const struct fo_record *record,
                               uint64_t count)
{
    if (is_within_limit(lines_of(text, length)))
        fo_output_finding(text, length, record, count);
    else
        fo_shared_add(&unprinted()->left_out, 1);
}

void fo_say(const struct fo_text *text)
{
    char line[1024];
    struct fo_text t = {line, sizeof line - 1, 0};

    fo_put(&t, "freeonce: ");
    fo_put_clean(&t, text->data, text->used);
    line[t.used] = '\n';
    print_or_count(&(struct piece){.text = line, .length = t.used + 1}, false);
}

void fo_say_words(const char *first, ...)
{
    char words[900];
    struct fo_text t = FO_TEXT(words);
    va_list more;

    va_start(more, first);
    for (const char *word = first; word != NULL; word = va_arg(more, const char *))
        fo_put(&t, word);
    va_end(more);
    fo_say(&t);
}
