/* freeonce options: which options are in force, and where does each come from?  It uses the
 * library's parser, so the two cannot differ. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/exit.h"
#include "cli/flags.h"
#include "cli/message.h"
#include "cli/options_show.h"
#include "base/nearest.h"

enum { KEY_CONF = 1000, KEY_PROGRAM, KEY_FORMAT };

struct arguments {
    const char *conf, *program;
    bool changed, json;
    char **names; /* of options */
};

static const char before[] =
    "Prints the options that are in force here and where each value comes from: the environment, "
    "/etc/freeonce.conf, or the default.  With NAME... it prints the manual of these options, "
    "whether or not FREEONCE_ stands before their names.\v"
    "Examples:\n"
    "  freeonce options                        what is in force?\n"
    "  freeonce options LOG ON_ERROR           what do these two mean?\n"
    "  freeonce options --program nginx        what does the file set for nginx?\n"
    "  freeonce options --conf freeonce.conf   check a file before installing it\n"
    "\n"
    "Exit status: 0 all is well; 64 the command line is wrong; 65 the contents of --conf FILE are; "
    "66 it cannot be read; 73 the output cannot be written; 78 an option of the environment or of "
    "/etc/freeonce.conf is wrong, or a file is not obeyed because of its owner, its mode or its "
    "kind.  Problems are printed on stderr.";

static const struct argp_option flags[] = {
    {"all", 'a', NULL, 0, "every option (the default)", 0},
    {"changed", 'c', NULL, 0, "only options that are set", 0},
    {"conf", KEY_CONF, "FILE", 0,
     "check this file, all its sections, its owner and mode; the environment is left out", 0},
    {"program", KEY_PROGRAM, "NAME", 0, "the sections [NAME] of the file count, too", 0},
    {"format", KEY_FORMAT, "FORMAT", 0, "table (the default) or json", 0},
    {0},
};

static void set_format(struct argp_state *state, struct arguments *a, const char *format)
{
    static const char formats[] = "table|json";
    char nearest[16];

    a->json = strcmp(format, "json") == 0;
    if (a->json || strcmp(format, "table") == 0)
        return;
    bool near = fo_nearest_choice(format, formats, nearest, sizeof nearest);
    argp_error(state, "there is no format \"%s\", only table and json%s%s%s", format,
               near ? "; did you mean " : "", near ? nearest : "", near ? "?" : "");
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case 'a':
    case 'c':
        a->changed = key == 'c';
        break;
    case KEY_CONF:
        a->conf = argument;
        break;
    case KEY_PROGRAM:
        if (*argument == '\0' || argument[strlen(argument) - 1] == '/')
            argp_error(state, "--program needs the name of a program, as in --program nginx");
        a->program = argument;
        break;
    case KEY_FORMAT:
        set_format(state, a, argument);
        break;
    case ARGP_KEY_ARGS:
        a->names = state->argv + state->next;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* The parser does not check this one: the library checks it when OpenSSL is loaded. */
static void check_backend(struct fo_shown *s)
{
    const struct fo_row *row = &s->rows[FO_INDEX_BACKEND];
    char nearest[32];

    if (strchr(row->value, '/') != NULL)
        return;
    bool known = fo_nearest_choice(row->value, row->choices, nearest, sizeof nearest);
    if (known && strcmp(row->value, nearest) == 0)
        return;
    struct fo_text t = {s->problems[s->problem_count++], FO_PROBLEM_MAX - 1, 0};
    fo_put(&t, row->from);
    fo_put(&t, ": there is no backend \"");
    fo_put(&t, row->value);
    fo_put(&t, known ? "\"; did you mean FREEONCE_BACKEND=" : "\", only ");
    fo_put(&t, known ? nearest : row->choices);
    fo_put(&t, known ? "?" : "");
}

static bool collect(struct fo_shown *s)
{
    unsigned n = fo_options_problems();

    s->problems = calloc(n + 1, sizeof s->problems[0]);
    if (s->problems == NULL)
        return false;
    for (unsigned i = 0; i < n; i++) {
        struct fo_text t = {s->problems[i], FO_PROBLEM_MAX - 1, 0};
        fo_options_put_problem(&t, i);
    }
    s->problem_count = n;
    fo_shown_fill(s);
    check_backend(s);
    return true;
}

/* FREEONCE_LOG, LOG and log are the same.  False: there is no such option. */
static bool select_row(struct fo_shown *s, const char *name)
{
    static const char names[] =
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...) #NAME "|"
#include "options/options.def"
#undef FO_OPTION
        ;
    const char *bare = strncasecmp(name, "FREEONCE_", 9) == 0 ? name + 9 : name;
    char nearest[32];

    for (unsigned i = 0; i < FO_OPTION_COUNT; i++)
        if (strcasecmp(bare, s->rows[i].name) == 0)
            return s->rows[i].wanted = true;
    bool near = fo_nearest_choice(bare, names, nearest, sizeof nearest);
    fo_error("there is no option %s%s%s%s `freeonce options` lists all", name,
             near ? ", did you mean FREEONCE_" : "", near ? nearest : "", near ? "?" : ";");
    return false;
}

static bool select_rows(struct fo_shown *s, const struct arguments *a)
{
    bool all_known = true;

    for (unsigned i = 0; i < FO_OPTION_COUNT; i++) {
        bool set = fo_options_source(i).from != FO_FROM_DEFAULT;
        s->rows[i].wanted = a->names == NULL && (set || !a->changed);
    }
    for (char **name = a->names; name != NULL && *name != NULL; name++)
        all_known &= select_row(s, *name);
    return all_known;
}

/* The exit status for the problems.  For a file that is being checked, problems of its contents go
 * before those of its owner and mode, which may change when it is installed. */
static int status_of(const struct fo_shown *s, bool checking)
{
    enum fo_conf_state state = s->conf->state;

    if (s->problem_count == 0)
        return FO_EXIT_OK;
    if (!checking)
        return FO_EXIT_CONFIG;
    if (state == FO_CONF_UNOPENED || state == FO_CONF_UNREAD)
        return FO_EXIT_NO_INPUT;
    bool only_its_state = s->problem_count == 1 && !fo_options_are_obeyed();
    return only_its_state && state != FO_CONF_LARGE ? FO_EXIT_CONFIG : FO_EXIT_DATA;
}

static int show(struct fo_shown *s, const struct arguments *a)
{
    if (a->json) {
        if (!fo_show_json(s)) {
            fo_error("there is no memory for the JSON");
            return FO_EXIT_SOFTWARE;
        }
    } else if (a->names != NULL) {
        fo_show_help(s);
    } else {
        fo_show_table(s);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fo_error("the output cannot be written: %s", strerror(errno));
        return FO_EXIT_CANNOT_WRITE;
    }
    for (unsigned i = 0; i < s->problem_count; i++)
        fo_warning("%s", s->problems[i]);
    return status_of(s, a->conf != NULL);
}

int fo_options_main(int argc, char **argv)
{
    static const struct argp parser = {flags, parse_option, "[NAME...]", before, NULL, NULL, NULL};
    static struct fo_conf conf;
    static struct fo_shown shown = {.conf = &conf};
    struct arguments a = {0};

    fo_flags_check(argc, argv, &parser, false);
    if (argp_parse(&parser, argc, argv, 0, NULL, &a) != 0)
        return FO_EXIT_SOFTWARE;
    shown.program = a.program;
    fo_options_read(a.conf != NULL ? NULL : environ);
    fo_conf_read(&conf, a.conf != NULL ? a.conf : FO_CONF_PATH, a.conf != NULL);
    if (a.conf != NULL && conf.state == FO_CONF_ABSENT) {
        fo_error("%s: there is no such file", a.conf);
        return FO_EXIT_NO_INPUT;
    }
    fo_options_read_conf(&conf, a.program, true);
    if (!collect(&shown)) {
        fo_error("there is no memory left");
        return FO_EXIT_SOFTWARE;
    }
    int status = select_rows(&shown, &a) ? show(&shown, &a) : FO_EXIT_USAGE;
    free(shown.problems);
    return status;
}
