/* freeonce report: shows the findings of journals. */
#include <argp.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/exit.h"
#include "cli/flags.h"
#include "cli/inspect/snapshots.h"
#include "cli/message.h"
#include "cli/model/journal_read.h"
#include "cli/output/output.h"
#include "cli/run/unguarded.h"

enum { KEY_HEAP = 0x300 };

static const struct argp_option options[] = {
    {"heap", KEY_HEAP, "FILE", 0,
     "the page has a chart of live bytes over time, from what freeonce heap --save wrote; may be "
     "given several times",
     4},
    {NULL, 0, NULL, 0, NULL, 0},
};

struct arguments {
    struct fo_outputs outputs;
    char **journals;
    int count;
    char *heaps[FO_SNAPSHOTS_MOST];
    size_t heap_count;
};

static void add_heap(struct arguments *a, char *path, struct argp_state *state)
{
    if (a->heap_count == FO_SNAPSHOTS_MOST)
        argp_error(state, "more than %d saved heaps; name every second one", FO_SNAPSHOTS_MOST);
    else
        a->heaps[a->heap_count++] = path;
}

/* --heap heap-*.json: the shell has made arguments of all but the first. */
static void split_arguments(struct arguments *a, struct argp_state *state)
{
    bool has_heaps = a->heap_count > 0;

    a->journals = state->argv + state->next;
    for (int i = state->next; i < state->argc; i++)
        if (has_heaps && fo_snapshots_is_one(state->argv[i]))
            add_heap(a, state->argv[i], state);
        else
            a->journals[a->count++] = state->argv[i];
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct arguments *a = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->outputs;
        return 0;
    case ARGP_KEY_ARGS:
        split_arguments(a, state);
        return 0;
    case KEY_HEAP:
        add_heap(a, argument, state);
        return 0;
    case ARGP_KEY_NO_ARGS:
        if (a->heap_count == 0)
            argp_error(state, "which journal? Name the file that FREEONCE_JOURNAL named");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The chart is in the page only, and other formats have nothing without a journal. */
static int check_formats(const struct arguments *a)
{
    int pages = 0;

    for (int i = 0; i < a->outputs.count; i++)
        pages += a->outputs.list[i].format->write == fo_format_html;
    if (a->heap_count > 0 && pages == 0) {
        fo_error("--heap adds a chart to the page: add --format html");
        return FO_EXIT_USAGE;
    }
    if (a->count == 0 && (pages < a->outputs.count || a->outputs.generate)) {
        fo_error("saved heaps have no findings: name a journal, too, or --format html alone");
        return FO_EXIT_USAGE;
    }
    return FO_EXIT_OK;
}

/* What is intact of the journals and heaps is written; the first fault is the status. */
static int write_outputs(struct arguments *a, const struct fo_snapshots *heaps, int heap_status)
{
    struct fo_model model = {.processes = NULL};
    int status = a->count > 0 ? fo_model_read(&model, a->journals, a->count) : FO_EXIT_OK;
    bool has_heaps = a->heap_count > 0;

    if (model.guarded != 0 || model.process_count != 0 || status == FO_EXIT_OK) {
        model.heaps = has_heaps ? heaps : NULL;
        model.without_journal = a->count == 0;
        if (a->count > 0)
            fo_run_unguarded(&model, NULL);
        status = status != FO_EXIT_OK ? status : heap_status;
        int written = fo_outputs_write(&a->outputs, &model, &(struct fo_run_shown){.status = 0});
        if (written != FO_EXIT_OK)
            status = written;
        else if (fo_model_has_findings(&model))
            status = a->outputs.exit_code;
    }
    fo_model_free(&model);
    return status;
}

int fo_report_main(int argc, char **argv)
{
    static const struct argp_child children[] = {{&fo_outputs_argp, 0, NULL, 0},
                                                 {NULL, 0, NULL, 0}};
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "JOURNAL...\n--format html --heap FILE...",
        .doc = "Shows what the processes that wrote these journals have found, and how saved heaps "
               "grew.\v"
               "Exit status: 0 no findings, 99 findings (--exit-code changes it), 64 the command "
               "line is wrong, 65 a journal or saved heap is damaged or none at all, 66 it cannot "
               "be opened, 73 an output cannot be written.  Findings go before what is wrong with "
               "a file.\n\n"
               "Examples:\n"
               "  freeonce report /var/log/freeonce/kamailio/journal\n"
               "  freeonce report journal --format sarif -o freeonce.sarif --format text\n"
               "  freeonce report journal --gen-suppressions >known.txt\n"
               "  freeonce report --format html -o heap.html --heap heap-*.json",
        .children = children,
    };
    struct arguments a = {.count = 0};
    struct fo_snapshots heaps;

    fo_outputs_init(&a.outputs, stdout);
    fo_flags_check(argc, argv, &argp, false);
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    int status = check_formats(&a);
    if (status != FO_EXIT_OK)
        return status;
    int heap_status = fo_snapshots_read(&heaps, a.heaps, a.heap_count);
    if (a.count == 0 && heaps.count == 0)
        status = heap_status; /* before an older page is emptied */
    if (status == FO_EXIT_OK)
        status = fo_outputs_open(&a.outputs);
    if (status == FO_EXIT_OK)
        status = write_outputs(&a, &heaps, heap_status);
    fo_outputs_close(&a.outputs);
    fo_snapshots_free(&heaps);
    return status;
}
