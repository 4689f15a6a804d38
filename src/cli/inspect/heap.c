/* freeonce heap: which blocks live in a process? */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/nearest.h"
#include "cli/commands.h"
#include "cli/exit.h"
#include "cli/flags.h"
#include "cli/inspect/heap.h"
#include "cli/inspect/pid.h"
#include "cli/inspect/saved.h"
#include "cli/message.h"

enum {
    KEY_BY = 1000,
    KEY_COUNT,
    KEY_DIFF,
    KEY_FLAME,
    KEY_JSON,
    KEY_OLD,
    KEY_PPROF,
    KEY_ROWS,
    KEY_SAVE,
    KEY_STACKS,
    KEY_WATCH,
};
enum { ROWS_DEFAULT = 20, OLD_DEFAULT = 3, OLD_MOST = 1000000, SECONDS_MOST = 86400 };

static const char before[] =
    "Shows the blocks of OpenSSL that live in a process, by the source line of OpenSSL that "
    "allocated them.  The process is read from outside: it is not stopped, and nothing is written "
    "in it.  A core file shows what lived when its process died.\v"
    "Examples:\n"
    "  freeonce heap 4120              which lines hold the memory of process 4120?\n"
    "  freeonce heap --by object 4120  how many SSL, X509 and others are there?\n"
    "  freeonce heap --by process 4120 which process allocated what it holds?\n"
    "  freeonce heap --json 4120       for programs\n"
    "  freeonce heap core              what lived when it died?\n"
    "  freeonce heap --save a 4120     keep it; an hour later the same to b, then:\n"
    "  freeonce heap --diff a b        what grew?\n"
    "  freeonce heap --watch 5 4120    what grows now, and stays?\n"
    "  freeonce heap --stacks 4120     which callers? (FREEONCE_SAMPLE=1/1000)\n"
    "\n"
    "Exit status: 0 all is well; 64 the command line is wrong; 65 the process has no libfreeonce, "
    "or one that this command does not understand; 66 there is no such process or file; 73 the "
    "output cannot be written; 77 this needs the process's user, or root.";

static const struct argp_option flags[] = {
    {"by", KEY_BY, "line|object|size|process", 0, "what blocks are counted by (line)", 0},
    {"count", KEY_COUNT, "LOOKS", 0, "with --watch: end after so many looks", 0},
    {"diff", KEY_DIFF, NULL, 0, "what grew from one saved file to another, most bytes first", 0},
    {"flame", KEY_FLAME, "FILE", 0, "call stacks, folded: for flamegraph.pl and speedscope", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON object", 0},
    {"old", KEY_OLD, "LOOKS", 0, "with --watch: a block that so many looks saw is old (3)", 0},
    {"pprof", KEY_PPROF, "FILE", 0, "call stacks in the format of pprof", 0},
    {"rows", KEY_ROWS, "NUMBER", 0, "so many rows of the table at most (20); 0: all", 0},
    {"save", KEY_SAVE, "FILE", 0, "keep what is counted in this file, too", 0},
    {"stacks", KEY_STACKS, NULL, 0, "by caller, where FREEONCE_SAMPLE or _STACKS is set", 0},
    {"watch", KEY_WATCH, "SECONDS", 0, "look again and again: which lines get more old blocks?", 0},
    {0},
};

static void take_by(struct argp_state *state, struct fo_heap_arguments *a, const char *word)
{
    char nearest[16];

    for (unsigned i = 0; i < FO_HEAP_BYS; i++)
        if (strcmp(word, fo_heap_by_names[i]) == 0) {
            a->by = (enum fo_heap_by)i;
            return;
        }
    bool near = fo_nearest_choice(word, "line|object|size|process", nearest, sizeof nearest);
    argp_error(state, "--by is line, object, size or process, not \"%s\"%s%s%s", word,
               near ? "; did you mean " : "", near ? nearest : "", near ? "?" : "");
}

static unsigned long take_number(struct argp_state *state, const char *flag, const char *word,
                                 unsigned long least, unsigned long most)
{
    char *end;

    errno = 0;
    unsigned long number = strtoul(word, &end, 10);
    if (*word < '0' || *word > '9' || *end != '\0' || errno != 0 || number < least || number > most)
        argp_error(state, "%s needs a number from %lu on, as in %s 50", flag, least, flag);
    return number;
}

static double take_seconds(struct argp_state *state, const char *word)
{
    char *end;
    double seconds = strtod(word, &end);

    if (*word < '0' || *word > '9' || *end != '\0' || !(seconds >= 0.01 && seconds <= SECONDS_MOST))
        argp_error(state, "--watch needs seconds, as in --watch 5");
    return seconds;
}

static void check_together(struct argp_state *state, const struct fo_heap_arguments *a)
{
    if (a->diff && a->files[1] == NULL)
        argp_error(state,
                   "--diff compares two files of --save: name the older one, then the newer");
    if (a->diff && a->save != NULL)
        argp_error(state, "--diff reads files, and --save writes one: one of them at a time");
    if (a->watch != 0 && (a->diff || a->save != NULL || a->core != NULL))
        argp_error(state, "--watch follows a process: without --save, --diff and a core file");
    if ((a->stacks || a->flame != NULL || a->pprof != NULL) && (a->diff || a->watch != 0))
        argp_error(state, "--stacks, --flame and --pprof show one look at a process: without "
                          "--watch and --diff");
    if (a->watch == 0 && (a->looks != 0 || a->old != OLD_DEFAULT))
        argp_error(state, "--count and --old belong to --watch");
}

static error_t take(int key, char *argument, struct argp_state *state)
{
    struct fo_heap_arguments *a = state->input;

    switch (key) {
    case KEY_BY:
        take_by(state, a, argument);
        return 0;
    case KEY_DIFF:
        a->diff = true;
        return 0;
    case KEY_SAVE:
        a->save = argument;
        return 0;
    case KEY_STACKS:
        a->stacks = true;
        return 0;
    case KEY_FLAME:
        a->flame = argument;
        return 0;
    case KEY_PPROF:
        a->pprof = argument;
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_COUNT:
        a->looks = take_number(state, "--count", argument, 1, ULONG_MAX);
        return 0;
    case KEY_OLD:
        a->old = take_number(state, "--old", argument, 2, OLD_MOST);
        return 0;
    case KEY_ROWS:
        a->rows = take_number(state, "--rows", argument, 0, ULONG_MAX);
        return 0;
    case KEY_WATCH:
        a->watch = take_seconds(state, argument);
        return 0;
    case ARGP_KEY_END:
        check_together(state, a);
        return 0;
    case ARGP_KEY_ARG:
        if (!a->diff)
            return fo_take_pid(key, argument, state, &a->pid, &a->core);
        if (state->arg_num < 2)
            a->files[state->arg_num] = argument;
        else
            argp_error(state, "--diff compares two files");
        return 0;
    case ARGP_KEY_NO_ARGS:
        if (!a->diff)
            return fo_take_pid(key, argument, state, &a->pid, &a->core);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int count_and_show(struct fo_heap_shown *h, const struct fo_heap_arguments *a)
{
    fo_heap_count(h);
    if (a->json)
        fo_json_print(a->stacks ? fo_stacks_document(h) : fo_heap_document(h));
    else if (a->stacks)
        fo_stacks_text(h, a->rows);
    else
        fo_heap_text(h, a->rows);
    int status = fo_shown_is_written();
    if (status == FO_EXIT_OK && a->save != NULL)
        status = fo_saved_write(h, a->save);
    if (status == FO_EXIT_OK && a->flame != NULL)
        status = fo_stacks_write_folded(h, a->flame);
    if (status == FO_EXIT_OK && a->pprof != NULL)
        status = fo_stacks_write_pprof(h, a->pprof);
    return status;
}

static int show(struct fo_target *t, const struct fo_heap_arguments *a)
{
    struct fo_heap_shown h = {.target = t, .by = a->by};
    struct fo_stacks stacks = {.target = t};
    int status = FO_EXIT_OK;

    if (a->stacks || a->flame != NULL || a->pprof != NULL) {
        h.stacks = &stacks;
        status = fo_stacks_start(&stacks, t);
    }
    if (status == FO_EXIT_OK)
        status = count_and_show(&h, a);
    fo_heap_shown_free(&h);
    fo_stacks_free(&stacks);
    return status;
}

static int inspect(struct fo_source *source, const struct fo_heap_arguments *a)
{
    struct fo_target target;
    enum fo_target_found found = fo_target_find(&target, source);

    return found == FO_TARGET_FOUND ? show(&target, a) : fo_target_explain(&target, found);
}

int fo_heap_main(int argc, char **argv)
{
    static const struct argp parser = {flags, take, "PID|CORE\n--diff OLDER NEWER", before, NULL,
                                       NULL,  NULL};
    struct fo_heap_arguments a = {.rows = ROWS_DEFAULT, .old = OLD_DEFAULT};
    struct fo_source source;

    fo_flags_check(argc, argv, &parser, false);
    if (argp_parse(&parser, argc, argv, 0, NULL, &a) != 0)
        return FO_EXIT_SOFTWARE;
    if (a.diff)
        return fo_heap_diff(&a);
    prctl(PR_SET_DUMPABLE, 0); /* pages that are read hold keys: none of them in a core file */
    if (a.watch != 0)
        return fo_heap_watch(&a);
    int status =
        a.core != NULL ? fo_source_of_core(&source, a.core) : fo_source_of_process(&source, a.pid);
    if (status == FO_EXIT_OK)
        status = inspect(&source, &a);
    fo_source_free(&source);
    return status;
}
