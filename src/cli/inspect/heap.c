/* freeonce heap: which blocks live in a process? */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/nearest.h"
#include "cli/commands.h"
#include "cli/exit.h"
#include "cli/flags.h"
#include "cli/inspect/blocks.h"
#include "cli/inspect/pid.h"
#include "cli/inspect/show.h"
#include "cli/inspect/tally.h"
#include "cli/message.h"

enum { KEY_BY = 1000, KEY_JSON, KEY_ROWS };
enum { ROWS_DEFAULT = 20 };

struct arguments {
    enum fo_heap_by by;
    bool json;
    unsigned long rows; /* 0: all */
    pid_t pid;
    const char *core; /* a file; NULL: a process */
};

static const char before[] =
    "Shows the blocks of OpenSSL that live in a process, by the source line of OpenSSL that "
    "allocated them.  The process is read from outside: it is not stopped, and nothing is written "
    "in it.  A core file shows what lived when its process died.\v"
    "Examples:\n"
    "  freeonce heap 4120              which lines hold the memory of process 4120?\n"
    "  freeonce heap --by process 4120 which process allocated what it holds?\n"
    "  freeonce heap --json 4120       for programs\n"
    "  freeonce heap core              what lived when it died?\n"
    "\n"
    "Exit status: 0 all is well; 64 the command line is wrong; 65 the process has no libfreeonce, "
    "or one that this command does not understand; 66 there is no such process or file; 73 the "
    "output cannot be written; 77 this needs the process's user, or root.";

static const struct argp_option flags[] = {
    {"by", KEY_BY, "line|size|process", 0, "what blocks are counted by (line)", 0},
    {"json", KEY_JSON, NULL, 0, "one JSON object", 0},
    {"rows", KEY_ROWS, "NUMBER", 0, "so many rows of the table at most (20); 0: all", 0},
    {0},
};

static const char *const by_names[] = {"line", "size", "process"};

static void take_by(struct argp_state *state, struct arguments *a, const char *word)
{
    char nearest[16];

    for (unsigned i = 0; i < sizeof by_names / sizeof by_names[0]; i++)
        if (strcmp(word, by_names[i]) == 0) {
            a->by = (enum fo_heap_by)i;
            return;
        }
    bool near = fo_nearest_choice(word, "line|size|process", nearest, sizeof nearest);
    argp_error(state, "--by is line, size or process, not \"%s\"%s%s%s", word,
               near ? "; did you mean " : "", near ? nearest : "", near ? "?" : "");
}

static error_t take(int key, char *argument, struct argp_state *state)
{
    struct arguments *a = state->input;
    char *end;

    switch (key) {
    case KEY_BY:
        take_by(state, a, argument);
        return 0;
    case KEY_JSON:
        a->json = true;
        return 0;
    case KEY_ROWS:
        errno = 0;
        a->rows = strtoul(argument, &end, 10);
        if (*argument < '0' || *argument > '9' || *end != '\0' || errno != 0)
            argp_error(state, "--rows needs a number, as in --rows 50");
        return 0;
    default:
        return fo_take_pid(key, argument, state, &a->pid, &a->core);
    }
}

static void count(void *context, const struct fo_block_seen *block)
{
    struct fo_heap_shown *h = context;
    const uint64_t keys[] = {block->site, block->size, block->process};

    fo_tally_add(&h->tally, keys[h->by], block->size);
}

static char *need(char *text)
{
    if (text == NULL) {
        fo_error("no memory for the names of the rows");
        exit(FO_EXIT_SOFTWARE);
    }
    return text;
}

static char *name_row(void *context, uint64_t key)
{
    struct fo_heap_shown *h = context;
    char site[FO_SITE_TEXT], *text = NULL;
    struct fo_target_process process;

    switch (h->by) {
    case FO_HEAP_BY_LINE:
        fo_target_site(h->target, key, site);
        return need(strdup(site));
    case FO_HEAP_BY_SIZE:
        return need(asprintf(&text, "%" PRIu64, key) < 0 ? NULL : text);
    default:
        fo_target_process(h->target, (uint32_t)key, &process);
        return need(asprintf(&text, "pid %u (%s)", process.pid, process.name) < 0 ? NULL : text);
    }
}

static int show(struct fo_target *t, const struct arguments *a)
{
    struct fo_heap_shown h = {.target = t, .by = a->by, .by_name = by_names[a->by]};

    h.blocks.visit = count;
    h.blocks.context = &h;
    fo_blocks_read(t, &h.blocks);
    fo_tally_name(&h.tally, name_row, &h);
    if (a->json)
        fo_heap_json(&h);
    else
        fo_heap_text(&h, a->rows);
    fo_tally_free(&h.tally);
    return fo_shown_is_written();
}

static int inspect(struct fo_source *source, const struct arguments *a)
{
    struct fo_target target;
    enum fo_target_found found = fo_target_find(&target, source);

    return found == FO_TARGET_FOUND ? show(&target, a) : fo_target_explain(&target, found);
}

int fo_heap_main(int argc, char **argv)
{
    static const struct argp parser = {flags, take, "PID|CORE", before, NULL, NULL, NULL};
    struct arguments a = {.rows = ROWS_DEFAULT};
    struct fo_source source;

    fo_flags_check(argc, argv, &parser, false);
    if (argp_parse(&parser, argc, argv, 0, NULL, &a) != 0)
        return FO_EXIT_SOFTWARE;
    prctl(PR_SET_DUMPABLE, 0); /* pages that are read hold keys: none of them in a core file */
    int status =
        a.core != NULL ? fo_source_of_core(&source, a.core) : fo_source_of_process(&source, a.pid);
    if (status == FO_EXIT_OK)
        status = inspect(&source, &a);
    fo_source_free(&source);
    return status;
}
