/* freeonce run: a command with the library preloaded into it and all processes that it starts. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "cli/commands.h"
#include "cli/exit.h"
#include "cli/flags.h"
#include "cli/model/journal_read.h"
#include "cli/library.h"
#include "cli/message.h"
#include "cli/output/output.h"
#include "cli/set.h"
#include "cli/run/process_tree.h"
#include "cli/run/environment.h"
#include "cli/run/excluded.h"
#include "cli/run/files.h"
#include "cli/run/unguarded.h"

enum {
    KEY_CI = 0x100,
    KEY_ALLOW_NONE,
    KEY_LEAKS,
    KEY_REQUIRE,
    KEY_JOURNAL,
    KEY_LIBRARY,
    KEY_WAIT,
    KEY_ANY_USER
};

enum { WAIT_DEFAULT = 10 };

struct arguments {
    struct fo_outputs outputs;
    struct fo_run_settings settings;
    const char *journal;
    bool any_user, allow_none;
    double patience;
    char **command;
};

static const struct argp_option options[] = {
    {"ci", KEY_CI, NULL, 0,
     "watch for writes past the end and after the free, and look at faults that end a process "
     "(FREEONCE_QUARANTINE=4M FREEONCE_FILL=1 FREEONCE_CANARY=1 FREEONCE_FAULTS=1); exit status 78 "
     "if no process was guarded",
     0},
    {"allow-none", KEY_ALLOW_NONE, NULL, 0, "with --ci, accept that no process was guarded", 0},
    {"leaks", KEY_LEAKS, NULL, 0,
     "report what OpenSSL still has when a process ends and the program cannot reach any more "
     "(FREEONCE_LEAKS=1)",
     0},
    {"set", 's', "NAME=VALUE", 0, "set the option FREEONCE_NAME (see freeonce options)", 0},
    {"require", KEY_REQUIRE, NULL, 0,
     "exit status 78 if no process was guarded, or one ran unprotected", 0},
    {"journal", KEY_JOURNAL, "FILE", 0, "keep the journal there, for freeonce report", 0},
    {"any-user", KEY_ANY_USER, NULL, 0,
     "let processes of all users write the journal (mode 0666), for a command that starts a "
     "program "
     "as another user",
     0},
    {"wait", KEY_WAIT, "SECONDS", 0,
     "after the command's end wait so long for processes that it left running (10); \"forever\"",
     0},
    {"library", KEY_LIBRARY, "FILE", 0, "the libfreeonce.so to put in front", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static error_t set_patience(struct arguments *a, const char *text, struct argp_state *state)
{
    char *end;

    a->patience = strtod(text, &end);
    if (strcmp(text, "forever") == 0)
        a->patience = -1;
    else if (end == text || *end != '\0' || !(a->patience >= 0 && a->patience <= 1e6))
        argp_error(state, "--wait %s: a number of seconds, or \"forever\", is needed", text);
    return 0;
}

static error_t set_option(struct arguments *a, const char *text, struct argp_state *state)
{
    const char *name = fo_set_check(text, state);

    if (strncmp(name, "JOURNAL=", 8) == 0) /* the command `run` reads it, too */
        a->journal = name + 8;
    else if (!fo_run_set(&a->settings, name))
        argp_error(state, "--set %s: at most %d are possible", text, FO_RUN_SETTINGS_MAX);
    return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->outputs;
        return 0;
    case KEY_CI:
        a->settings.ci = true;
        return 0;
    case KEY_LEAKS:
        a->settings.leaks = true;
        return 0;
    case KEY_ALLOW_NONE:
        a->allow_none = true;
        return 0;
    case 's':
        return set_option(a, argument, state);
    case KEY_REQUIRE:
        a->settings.require = true;
        return 0;
    case KEY_JOURNAL:
        a->journal = argument;
        return 0;
    case KEY_ANY_USER:
        a->any_user = true;
        return 0;
    case KEY_WAIT:
        return set_patience(a, argument, state);
    case KEY_LIBRARY:
        a->settings.library = argument;
        return 0;
    case ARGP_KEY_ARG: /* the command: further words are its arguments */
        a->command = state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which command? For example: freeonce --ci -- make test");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The exit status: that of the first of these cases. */
static int choose_status(const struct arguments *a, const struct fo_model *model,
                         const struct fo_tree_end *end, int output)
{
    if (fo_model_has_findings(model))
        return a->outputs.exit_code;
    if (a->settings.require && (model->guarded == 0 || model->unprotected != 0)) {
        fo_error("--require: %s",
                 model->guarded == 0 ? "no process was guarded" : "a process ran unprotected");
        return FO_EXIT_CONFIG;
    }
    if (end->status != 0)
        return end->status;
    if (output != FO_EXIT_OK)
        return output;
    if (a->settings.ci && !a->allow_none && model->unguarded.reason != NULL) {
        fo_error("--ci: no process was guarded, so this run proves nothing (--allow-none)");
        return FO_EXIT_CONFIG;
    }
    return model->excluded != 0 ? FO_EXIT_CONFIG : FO_EXIT_OK;
}

static int report(struct arguments *a, char *journal, const struct fo_tree_end *end)
{
    struct fo_run_shown shown = {a->command, end->started, end->status, end->signal, end->seconds};
    struct fo_model model;
    int read = fo_model_read(&model, &journal, 1);

    for (size_t i = 0; i < end->killed_count; i++)
        fo_model_killed(&model, end->killed[i].pid, end->killed[i].signal);
    fo_run_unguarded(&model, a->command);
    int written = fo_outputs_write(&a->outputs, &model, &shown);

    if (end->left)
        fo_warning("processes of the command are still running; what they find from now on is not "
                   "in this report (--wait)");
    int status = choose_status(a, &model, end, written != FO_EXIT_OK ? written : read);
    fo_model_free(&model);
    return status;
}

/* For a misspelt subcommand, which is taken for a command: "freeonce reprot journal". */
static void suggest_subcommand(const char *word)
{
    static const char names[] =
#define FO_COMMAND(name, function, text) name "|"
#include "cli/commands.def"
#undef FO_COMMAND
        ;
    char nearest[16];

    if (strchr(word, '/') == NULL && fo_nearest_choice(word, names, nearest, sizeof nearest))
        fo_error("did you mean `freeonce %s`?", nearest);
}

static int run(struct arguments *a, const struct fo_run_files *files)
{
    char **environment;
    char journal[sizeof files->journal], name[FO_RUN_NAME_SIZE] = "";
    int socket = fo_run_listen(name);

    memcpy(journal, files->journal, sizeof journal);
    int status = fo_run_environment(&environment, &a->settings, journal, name);
    if (status != FO_EXIT_OK) {
        fo_run_environment_free(environment);
        return status;
    }
    struct fo_tree_end end = fo_tree_run(a->command, environment, a->patience);
    fo_run_environment_free(environment);
    fo_run_count_excluded(socket, journal);
    status = end.started ? report(a, journal, &end) : end.status;
    if (!end.started && status == FO_EXIT_NOT_FOUND)
        suggest_subcommand(a->command[0]);
    free(end.killed);
    return status;
}

int fo_run_main(int argc, char **argv)
{
    static const struct argp_child children[] = {{&fo_outputs_argp, 0, NULL, 0},
                                                 {NULL, 0, NULL, 0}};
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "[--] COMMAND [ARGUMENT...]",
        .doc =
            "Runs COMMAND with the library in front of it and of every process that it starts, "
            "and reports what they found.\v"
            "Exit status: that of COMMAND, 128+n if signal n ended it; 99 if any process had a "
            "finding (--exit-code changes it), whatever COMMAND's was; 78 see --require, or "
            "COMMAND ended with 0 and a guarded process could not write the journal, or with --ci "
            "none was guarded; 125 "
            "freeonce failed before COMMAND ran, 126 COMMAND cannot be executed, 127 there is no "
            "COMMAND.\n\n"
            "Examples:\n"
            "  freeonce --ci -- make test\n"
            "  freeonce --ci --leaks -- make test\n"
            "  freeonce --ci --format junit -o freeonce.xml --format text -- ctest\n"
            "  freeonce --set STACKS=16 -- ./server --foreground",
        .children = children,
    };
    struct arguments a = {.patience = WAIT_DEFAULT};
    struct fo_run_files files;

    argp_err_exit_status = FO_EXIT_RUN_FAILED;
    fo_outputs_init(&a.outputs, stderr);
    fo_flags_check(argc, argv, &argp, true);
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &a);
    int status = fo_outputs_open(&a.outputs);
    if (status == FO_EXIT_OK)
        status = fo_run_files_make(&files, a.journal, a.any_user);
    if (status == FO_EXIT_OK) {
        status = run(&a, &files);
        fo_run_files_remove(&files);
    } else {
        status = FO_EXIT_RUN_FAILED;
    }
    fo_outputs_close(&a.outputs);
    return status;
}
