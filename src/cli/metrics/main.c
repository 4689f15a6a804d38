/* freeonce metrics: what the guarded processes hold and have found, for Prometheus. */
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/exit.h"
#include "cli/flags.h"
#include "cli/message.h"
#include "cli/metrics/metrics.h"
#include "cli/write_all.h"

enum { KEY_JOURNAL = 1000, KEY_TEXTFILE };
enum { JOURNALS_MOST = 32, PROCESSES_MOST = 256 };

struct arguments {
    pid_t pids[PROCESSES_MOST];
    size_t pid_count; /* 0: all */
    bool all;
    const char *folder;
    struct fo_metrics_journal journals[JOURNALS_MOST];
    size_t journal_count;
};

static const char before[] =
    "Prints metrics of guarded processes in Prometheus's text format: live blocks and bytes of "
    "OpenSSL, quarantine, heap, findings.  Without PIDs, of all processes that this user can read; "
    "root reads each.  The processes are not stopped, and nothing is written in them.\v"
    "Examples:\n"
    "  freeonce metrics                     of all processes\n"
    "  freeonce metrics 4120                of one process\n"
    "  freeonce metrics --textfile /var/lib/prometheus/node-exporter\n"
    "  freeonce systemd --metrics --install   does that each minute\n"
    "\n"
    "Exit status: 0 all is well; 64 the command line is wrong; 65 the process has no libfreeonce, "
    "or one that this command does not understand, or a journal is damaged; 66 there is no such "
    "process or journal; 73 the output cannot be written; 77 this needs another user, or root.";

static const struct argp_option flags[] = {
    {"journal", KEY_JOURNAL, "FILE", 0, "count the findings of this journal, too", 0},
    {"textfile", KEY_TEXTFILE, "DIR", 0,
     "write DIR/" FO_METRICS_FILE ", whole or not at all, for node_exporter", 0},
    {0},
};

static void take_process(struct arguments *a, const char *word, struct argp_state *state)
{
    char *end;

    a->all |= strcmp(word, "all") == 0;
    if (a->all && (state->arg_num != 0 || a->pid_count != 0))
        argp_error(state, "processes, or all of them");
    if (a->all)
        return;
    if (a->pid_count == PROCESSES_MOST)
        argp_error(state, "at most %d processes, or all", PROCESSES_MOST);
    errno = 0;
    long number = strtol(word, &end, 10);
    if (*word < '1' || *word > '9' || *end != '\0' || errno != 0 || number > INT_MAX)
        argp_error(state, "\"%s\" is no number of a process; without one, all are read", word);
    a->pids[a->pid_count++] = (pid_t)number;
}

static error_t take(int key, char *argument, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case KEY_JOURNAL:
        if (a->journal_count == JOURNALS_MOST)
            argp_error(state, "at most %d journals", JOURNALS_MOST);
        for (size_t i = 0; i < a->journal_count; i++)
            if (strcmp(a->journals[i].path, argument) == 0)
                argp_error(state, "the journal %s was named twice", argument);
        a->journals[a->journal_count++].path = argument;
        return 0;
    case KEY_TEXTFILE:
        a->folder = argument;
        return 0;
    case ARGP_KEY_ARG:
        take_process(a, argument, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- processes ---------------------------------------------------------------------------------
 */

/* Why is there nothing to count?  A process that has ended, or has no library, is none. */
static void count_unread(struct fo_metrics *m, const struct fo_target *t,
                         enum fo_target_found found)
{
    if (found == FO_TARGET_UNREADABLE)
        m->unread[FO_METRICS_PERMISSION] += t->source->why == EPERM;
    else if (found == FO_TARGET_OLDER || found == FO_TARGET_OTHER)
        m->unread[FO_METRICS_VERSION]++;
    else if (found == FO_TARGET_DAMAGED)
        m->unread[FO_METRICS_DAMAGED]++;
}

/* Before anything is printed: is it there, and may it be read? */
static bool is_readable(struct fo_metrics *m, pid_t pid)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *file = fopen(path, "re");
    if (file != NULL)
        fclose(file);
    else
        m->unread[FO_METRICS_PERMISSION] += errno == EACCES || errno == EPERM;
    return file != NULL;
}

static int read_one(struct fo_metrics *m, pid_t pid, bool explain)
{
    struct fo_source source;
    struct fo_target target;
    int status = fo_source_of_process(&source, pid);

    if (status == FO_EXIT_OK) {
        enum fo_target_found found = fo_target_find(&target, &source);
        if (found == FO_TARGET_FOUND)
            fo_metrics_add(m, &target);
        else if (explain)
            status = fo_target_explain(&target, found);
        else
            count_unread(m, &target, found);
    }
    fo_source_free(&source);
    return status;
}

static int read_all(struct fo_metrics *m)
{
    DIR *folder = opendir("/proc");

    if (folder == NULL) {
        fo_error("cannot read /proc: %s", strerror(errno));
        return FO_EXIT_OS;
    }
    for (struct dirent *e; (e = readdir(folder)) != NULL;) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        if (pid > 0 && pid != getpid() && is_readable(m, pid))
            read_one(m, pid, false);
    }
    closedir(folder);
    return FO_EXIT_OK;
}

/* --- output ------------------------------------------------------------------------------------
 */

static int write_out(const char *text)
{
    if (fo_write_all(STDOUT_FILENO, text))
        return FO_EXIT_OK;
    fo_error("the output cannot be written: %s", strerror(errno));
    return FO_EXIT_CANNOT_WRITE;
}

static int write_text(const struct fo_metrics *m, const char *folder)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    int status = FO_EXIT_SOFTWARE;

    if (out != NULL) {
        fo_metrics_print(out, m);
        if (fclose(out) == 0)
            status = folder != NULL ? fo_metrics_textfile(folder, text) : write_out(text);
    }
    if (status == FO_EXIT_SOFTWARE)
        fo_error("no memory for the metrics");
    free(text);
    return status;
}

int fo_metrics_main(int argc, char **argv)
{
    static const struct argp parser = {flags, take, "[PID...|all]", before, NULL, NULL, NULL};
    static struct arguments a;
    struct fo_metrics m = {0};

    fo_flags_check(argc, argv, &parser, false);
    if (argp_parse(&parser, argc, argv, 0, NULL, &a) != 0)
        return FO_EXIT_SOFTWARE;
    prctl(PR_SET_DUMPABLE, 0); /* pages that are read hold keys: none of them in a core file */
    int status = a.pid_count == 0 ? read_all(&m) : FO_EXIT_OK;
    for (size_t i = 0; i < a.pid_count && status == FO_EXIT_OK; i++)
        status = read_one(&m, a.pids[i], true);
    if (status != FO_EXIT_OK)
        return status; /* part of them would look like all */
    m.journals = a.journals;
    m.journal_count = a.journal_count;
    for (size_t i = 0; i < a.journal_count; i++) {
        int read = fo_metrics_read_journal(&a.journals[i]);
        status = status == FO_EXIT_OK ? read : status;
    }
    fo_metrics_bound(&m);
    int written = write_text(&m, a.folder);
    fo_metrics_free(&m);
    return written != FO_EXIT_OK ? written : status;
}
