/* freeonce systemd: a drop-in that preloads the library into a service and fits its sandbox. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/exit.h"
#include "cli/flags.h"
#include "cli/library.h"
#include "cli/message.h"
#include "cli/set.h"
#include "cli/systemd/cluster.h"
#include "cli/systemd/install.h"
#include "cli/systemd/metrics.h"
#include "cli/systemd/notes.h"
#include "base/nearest.h"

enum {
    KEY_INSTALL = 256,
    KEY_REMOVE,
    KEY_JOURNAL,
    KEY_LOG,
    KEY_LIBRARY,
    KEY_FILE,
    KEY_ROOT,
    KEY_METRICS,
    KEY_TEXTFILE
};

struct request {
    const char *unit, *file, *library, *root, *folder;
    bool install, remove, metrics;
    struct fo_plan plan;
    struct fo_list set;
};

static const struct argp_option options[] = {
    {"install", KEY_INSTALL, NULL, 0, "write the drop-in below /etc/systemd/system", 0},
    {"remove", KEY_REMOVE, NULL, 0, "remove the drop-in; the journal is kept", 0},
    {"journal", KEY_JOURNAL, "PATH", 0,
     "where the findings go (default: a directory that systemd makes for the unit)", 0},
    {"log", KEY_LOG, "WHERE", 0,
     "FREEONCE_LOG: stderr, syslog, syslog5424, journald, journal or a file (default: what fits)",
     0},
    {"set", 's', "NAME=VALUE", 0, "set the option FREEONCE_NAME (see freeonce options)", 0},
    {"library", KEY_LIBRARY, "PATH", 0, "the libfreeonce.so to put in front", 0},
    {"unit-file", KEY_FILE, "FILE", 0, "read the unit from FILE and FILE.d, do not ask systemctl",
     0},
    {"metrics", KEY_METRICS, NULL, 0,
     "no drop-in, but a timer that writes metrics of all guarded processes for node_exporter", 0},
    {"textfile", KEY_TEXTFILE, "DIR", 0, "with --metrics: node_exporter's folder, if not the usual",
     0},
    {"root", KEY_ROOT, "DIR", OPTION_HIDDEN, "The system is below DIR, as for systemctl", 0},
    {0}};

static const char text[] =
    "Print a drop-in that puts libfreeonce.so in front of a service of systemd.\v"
    "UNIT is a service, with or without \".service\", or the path of a unit file.\n\n"
    "Examples:\n"
    "  freeonce systemd kamailio              print it, with notes on this unit\n"
    "  freeonce systemd --install kamailio    write it; then restart the service\n"
    "  freeonce report /var/log/freeonce/kamailio/journal\n"
    "  freeonce systemd --remove kamailio\n"
    "  freeonce systemd --metrics --install   metrics for Prometheus, each minute\n\n"
    "Exit status: 0, or 64 wrong usage, 65 not a service's unit, 66 no such unit or library, 71 "
    "systemctl failed, 73 cannot write, 77 needs root, 78 the unit's program cannot be guarded "
    "this way.";

static void add_set(struct request *r, const char *argument, struct argp_state *state)
{
    const char *name = fo_set_check(argument, state);

    if (strncmp(name, "JOURNAL=", 8) == 0)
        r->plan.journal = name + 8;
    else if (strncmp(name, "LOG=", 4) == 0)
        r->plan.log = name + 4;
    else
        fo_list_add(&r->set, fo_string_format("FREEONCE_%s", name));
}

static void check_log(const char *log, struct argp_state *state)
{
    static const char words[] = "stderr|syslog|syslog5424|journald|journal";
    char nearest[16];
    bool near = fo_nearest_choice(log, words, nearest, sizeof nearest);

    if (log[0] == '/' || (near && strcmp(log, nearest) == 0))
        return;
    argp_error(state,
               "--log %s: stderr, syslog, syslog5424, journald, journal or an absolute path is "
               "needed%s%s%s",
               log, near ? "; did you mean " : "", near ? nearest : "", near ? "?" : "");
}

static void check(const struct request *r, struct argp_state *state)
{
    const char *const paths[] = {r->plan.journal, r->plan.log};

    if (r->metrics && (r->unit != NULL || r->file != NULL))
        argp_error(state, "--metrics is for all processes: name no unit");
    if (!r->metrics && r->folder != NULL)
        argp_error(state, "--textfile belongs to --metrics");
    if (!r->metrics && r->unit == NULL && r->file == NULL)
        argp_error(state, "which unit?");
    if (r->install && r->remove)
        argp_error(state, "--install or --remove, not both");
    if (r->plan.journal != NULL && r->plan.journal[0] != '/')
        argp_error(state, "--journal %s: an absolute path is needed", r->plan.journal);
    if (r->plan.log != NULL)
        check_log(r->plan.log, state);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        for (const char *c = paths[i]; c != NULL && *c != '\0'; c++)
            if ((unsigned char)*c < ' ')
                argp_error(state, "a path holds a control character");
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct request *r = state->input;

    switch (key) {
    case KEY_INSTALL:
        r->install = true;
        break;
    case KEY_REMOVE:
        r->remove = true;
        break;
    case KEY_JOURNAL:
        r->plan.journal = argument;
        break;
    case KEY_LOG:
        r->plan.log = argument;
        break;
    case 's':
        add_set(r, argument, state);
        break;
    case KEY_LIBRARY:
        r->library = argument;
        break;
    case KEY_FILE:
        r->file = argument;
        break;
    case KEY_ROOT:
        r->root = argument;
        break;
    case KEY_METRICS:
        r->metrics = true;
        break;
    case KEY_TEXTFILE:
        r->folder = argument;
        break;
    case ARGP_KEY_ARG:
        if (r->unit != NULL)
            argp_error(state, "one unit at a time: \"%s\" is too many", argument);
        r->unit = argument;
        break;
    case ARGP_KEY_END:
        check(r, state);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* Do stdout and stderr go to one terminal or file?  Then the notes are printed once, in the
 * drop-in. */
static bool is_one_file(void)
{
    struct stat out, errors;

    return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &errors) == 0 &&
           out.st_dev == errors.st_dev && out.st_ino == errors.st_ino;
}

static enum fo_exit make(struct request *r, struct fo_unit *unit)
{
    enum fo_exit result =
        r->file != NULL ? fo_unit_load_file(unit, r->file) : fo_unit_load(unit, r->root);
    if (result != FO_EXIT_OK)
        return result;
    r->plan.library = r->library != NULL ? fo_library_check(r->library) : fo_library_find();
    if (r->plan.library == NULL)
        return FO_EXIT_NO_INPUT;
    if (fo_cluster_file(unit) != NULL)
        return r->install ? fo_cluster_install(&r->plan, &r->set)
                          : fo_cluster_print(&r->plan, &r->set);
    fo_plan_make(&r->plan, &r->set);
    char *dropin = fo_plan_text(&r->plan);
    if (dropin == NULL)
        return FO_EXIT_SOFTWARE;
    bool no_effect = r->plan.notes[FO_NOTE_FATAL].count > 0;
    fo_plan_print(&r->plan, r->install || !is_one_file());
    if (r->install && !no_effect)
        result = fo_dropin_install(unit, r->plan.root, dropin, r->plan.journal);
    else if (r->install)
        fo_error("nothing was written: the drop-in would have no effect");
    else if (fputs(dropin, stdout) < 0 || fflush(stdout) != 0)
        result = FO_EXIT_CANNOT_WRITE;
    free(dropin);
    return no_effect ? FO_EXIT_CONFIG : result;
}

static enum fo_exit take_out(const struct fo_unit *unit, const char *root)
{
    bool found;
    enum fo_exit result = fo_cluster_remove(unit, root, &found);

    return found || result != FO_EXIT_OK ? result : fo_dropin_remove(unit, root);
}

int fo_systemd_main(int argc, char **argv)
{
    static const struct argp argp = {options, parse, "UNIT\n--metrics", text, NULL, NULL, NULL};
    struct request r = {0};
    struct fo_unit unit = {0};

    argp_err_exit_status = FO_EXIT_USAGE;
    fo_flags_check(argc, argv, &argp, false);
    argp_parse(&argp, argc, argv, 0, NULL, &r);
    r.plan.root = r.root == NULL ? "" : r.root;
    if (r.metrics)
        return (int)fo_metrics_units(r.install  ? FO_METRICS_INSTALL
                                     : r.remove ? FO_METRICS_REMOVE
                                                : FO_METRICS_PRINT,
                                     r.folder, r.plan.root);
    if (r.file == NULL && strchr(r.unit, '/') != NULL)
        r.file = r.unit;
    enum fo_exit result = fo_unit_name(&unit, r.unit != NULL ? r.unit : r.file);
    r.plan.unit = &unit;
    if (result == FO_EXIT_OK)
        result = r.remove ? take_out(&unit, r.plan.root) : make(&r, &unit);
    fo_plan_free(&r.plan);
    fo_list_free(&r.set);
    fo_unit_free(&unit);
    return (int)result;
}
