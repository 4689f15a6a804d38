/* freeonce status: is this process guarded, how, and what does the library hold there? */
#include <argp.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "cli/commands.h"
#include "cli/exit.h"
#include "cli/flags.h"
#include "cli/inspect/looks.h"
#include "cli/inspect/pid.h"
#include "cli/inspect/show.h"
#include "cli/inspect/state.h"
#include "cli/message.h"
#include "cli/output/json_parts.h"

enum { KEY_JSON = 1000 };
enum { FORMAT_VERSION = 1 };

struct arguments {
    bool json;
    pid_t pid;
    const char *word; /* NULL: it is a PID */
};

static const char before[] =
    "Shows whether processes are guarded, how the library got in, which options are in force, what "
    "OpenSSL's memory there amounts to, and how many findings there were.  UNIT is a service of "
    "systemd, NAME that of a program; all is every process that can be read.  The processes are "
    "read from outside: they are not stopped, and nothing is written in them.\v"
    "Examples:\n"
    "  freeonce status 4120          is process 4120 guarded?\n"
    "  freeonce status nginx         and each process of the service, or program, nginx?\n"
    "  freeonce status all           which processes are guarded here?\n"
    "  freeonce status --json 4120   for programs\n"
    "\n"
    "Exit status: 0 it is guarded, with UNIT or NAME each process that uses OpenSSL, with all one "
    "at least; 64 the command line is wrong; 65 there is a libfreeonce that this command does not "
    "understand; 66 there is no such process or unit; 73 the output cannot be written; 77 a "
    "process may not be read: this needs its user, or root; 78 one is not guarded.";

static const struct argp_option flags[] = {
    {"json", KEY_JSON, NULL, 0, "one JSON object", 0},
    {0},
};

static error_t take(int key, char *argument, struct argp_state *state)
{
    struct arguments *a = state->input;

    if (key != KEY_JSON)
        return fo_take_pid(key, argument, state, &a->pid, &a->word);
    a->json = true;
    return 0;
}

/* --- one process -------------------------------------------------------------------------------
 */

static int show(struct fo_state *s, bool json)
{
    fo_state_read(s);
    if (json)
        fo_json_print(fo_state_json(s));
    else
        fo_state_text(s);
    fo_state_free(s);
    int status = fo_shown_is_written();
    return status != FO_EXIT_OK || s->guard == FO_JOURNAL_GUARDED ? status : FO_EXIT_CONFIG;
}

static int show_without(const struct fo_target *t, bool json)
{
    if (json)
        fo_json_print(fo_state_json_without(t));
    else
        printf("process %d (%s): not guarded, it has no libfreeonce\n", (int)t->source->pid,
               t->source->name);
    int status = fo_shown_is_written();
    return status != FO_EXIT_OK ? status : FO_EXIT_CONFIG;
}

static int show_process(pid_t pid, bool json)
{
    static struct fo_state s;
    struct fo_source source;
    int status = fo_source_of_process(&source, pid);

    if (status == FO_EXIT_OK) {
        enum fo_target_found found = fo_target_find(&s.target, &source);
        status = found == FO_TARGET_FOUND        ? show(&s, json)
                 : found == FO_TARGET_NO_LIBRARY ? show_without(&s.target, json)
                                                 : fo_target_explain(&s.target, found);
    }
    fo_source_free(&source);
    return status;
}

/* --- several processes -------------------------------------------------------------------------
 */

static void print_json(const struct fo_looks *looks, const struct fo_chosen *chosen,
                       json_t *members)
{
    static const char *const kinds[] = {"pid", "unit", "name", "all"};
    json_t *document = fo_json_object();

    fo_json_set(document, "type", fo_json_text("status of several"));
    fo_json_set(document, "version", fo_json_number(FORMAT_VERSION));
    fo_json_set(document, "kind", fo_json_text(kinds[chosen->kind]));
    fo_json_set(document, "name", fo_json_text(chosen->name));
    fo_json_set(document, "guarded", json_boolean(fo_looks_status(looks, chosen) == FO_EXIT_OK));
    fo_json_set(document, "own_blocks", fo_json_number(looks->own));
    fo_json_set(document, "own_bytes", fo_json_number(looks->own_bytes));
    fo_json_set(document, "findings", fo_json_number(looks->findings));
    fo_json_set(document, "members", members);
    fo_json_print(document);
}

static int show_several(const char *word, bool json)
{
    struct fo_chosen chosen;
    struct fo_looks looks;
    json_t *members = json ? fo_json_array() : NULL;
    int status = fo_chosen_find(&chosen, 0, word);

    if (status == FO_EXIT_OK) {
        fo_looks_read(&looks, &chosen, members);
        if (looks.count == 0)
            fo_error("%s: its processes have ended", fo_chosen_words(&chosen));
        else if (json)
            print_json(&looks, &chosen, json_incref(members));
        else
            fo_looks_table(&looks, &chosen);
        int written = fo_shown_is_written();
        status = written != FO_EXIT_OK ? written : fo_looks_status(&looks, &chosen);
        fo_looks_free(&looks);
    }
    json_decref(members);
    fo_chosen_free(&chosen);
    return status;
}

int fo_status_main(int argc, char **argv)
{
    static const struct argp parser = {flags, take, "PID|UNIT|NAME|all", before, NULL, NULL, NULL};
    struct arguments a = {0};

    fo_flags_check(argc, argv, &parser, false);
    if (argp_parse(&parser, argc, argv, 0, NULL, &a) != 0)
        return FO_EXIT_SOFTWARE;
    prctl(PR_SET_DUMPABLE, 0); /* pages that are read hold keys: none of them in a core file */
    return a.word != NULL ? show_several(a.word, a.json) : show_process(a.pid, a.json);
}
