/* freeonce report: shows the findings of journals. */
#include <argp.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/exit.h"
#include "cli/flags.h"
#include "cli/model/journal_read.h"
#include "cli/output/output.h"
#include "cli/run/unguarded.h"

struct arguments {
    struct fo_outputs outputs;
    char **journals;
    int count;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct arguments *a = state->input;

    (void)argument;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->outputs;
        return 0;
    case ARGP_KEY_ARGS:
        a->journals = state->argv + state->next;
        a->count = state->argc - state->next;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which journal? Name the file that FREEONCE_JOURNAL named");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int fo_report_main(int argc, char **argv)
{
    static const struct argp_child children[] = {{&fo_outputs_argp, 0, NULL, 0},
                                                 {NULL, 0, NULL, 0}};
    static const struct argp argp = {
        .parser = parse,
        .args_doc = "JOURNAL...",
        .doc = "Shows what the processes that wrote these journals have found.\v"
               "Exit status: 0 no findings, 99 findings (--exit-code changes it), 64 the command "
               "line is wrong, 65 a journal is damaged or none at all, 66 it cannot be opened, 73 "
               "an output cannot be written.  Findings go before what is wrong with a journal.\n\n"
               "Examples:\n"
               "  freeonce report /var/log/freeonce/kamailio/journal\n"
               "  freeonce report journal --format sarif -o freeonce.sarif --format text\n"
               "  freeonce report journal --gen-suppressions >known.txt",
        .children = children,
    };
    struct arguments a = {.count = 0};
    struct fo_model model;

    fo_outputs_init(&a.outputs, stdout);
    fo_flags_check(argc, argv, &argp, false);
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    int status = fo_outputs_open(&a.outputs);
    if (status == FO_EXIT_OK) {
        status = fo_model_read(&model, a.journals, a.count);
        if (model.guarded != 0 || model.process_count != 0 || status == FO_EXIT_OK) {
            fo_run_unguarded(&model, NULL);
            int written = fo_outputs_write(&a.outputs, &model, &(struct fo_run_shown){.status = 0});
            if (written != FO_EXIT_OK)
                status = written;
            else if (fo_model_has_findings(&model))
                status = a.outputs.exit_code;
        }
        fo_model_free(&model);
    }
    fo_outputs_close(&a.outputs);
    return status;
}
