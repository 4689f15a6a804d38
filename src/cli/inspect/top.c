/* freeonce top: the memory of OpenSSL in processes, looked at again and again. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/nearest.h"
#include "cli/commands.h"
#include "cli/exit.h"
#include "cli/flags.h"
#include "cli/inspect/looks.h"
#include "cli/inspect/pid.h"
#include "cli/inspect/show.h"
#include "cli/inspect/terminal.h"
#include "cli/message.h"

enum { KEY_INTERVAL = 1000, KEY_ONCE, KEY_SORT };
enum by { BY_BYTES, BY_GROWTH, BY_BLOCKS };

#define INTERVAL_DEFAULT 2.0
#define INTERVAL_LEAST   0.1
#define INTERVAL_MOST    86400.0

static const char *const by_names[] = {"bytes", "growth", "blocks"};

struct top {
    pid_t pid;
    const char *word; /* NULL: the process `pid` */
    bool once;
    double interval;
    enum by by;
    struct fo_chosen chosen;
    struct fo_looks now, before;
    bool has_before;
};

static const char before_options[] =
    "Shows what OpenSSL's memory amounts to in guarded processes, and how it grows, again and "
    "again.  UNIT is a service of systemd, NAME that of a program; all, the default, is every "
    "process that can be read.  The processes are read from outside: they are not stopped, and "
    "nothing is written in them.\v"
    "Keys: b, g and n sort by bytes, growth and number of blocks; q leaves; each other key looks "
    "at once.\n\n"
    "Examples:\n"
    "  freeonce top                        all guarded processes\n"
    "  freeonce top --sort growth nginx    where does the memory of nginx grow?\n"
    "  freeonce top --once kamailio        one table, for scripts\n"
    "\n"
    "Exit status: 0 q was pressed; with --once as that of freeonce status; 64 the command line is "
    "wrong, or without --once the output is no terminal; 66 there is no such process or unit, or "
    "it has ended; 73 the output cannot be written.";

static const struct argp_option flags[] = {
    {"interval", KEY_INTERVAL, "NUMBER", 0, "seconds from one look to the next (2)", 0},
    {"once", KEY_ONCE, NULL, 0, "one table on stdout; with --sort growth after two looks", 0},
    {"sort", KEY_SORT, "bytes|growth|blocks", 0, "what comes first (bytes)", 0},
    {0},
};

/* --- the command line --------------------------------------------------------------------------
 */

static void take_sort(struct argp_state *state, struct top *t, const char *word)
{
    char nearest[16];

    for (unsigned i = 0; i < sizeof by_names / sizeof by_names[0]; i++)
        if (strcmp(word, by_names[i]) == 0) {
            t->by = (enum by)i;
            return;
        }
    bool near = fo_nearest_choice(word, "bytes|growth|blocks", nearest, sizeof nearest);
    argp_error(state, "--sort %s: bytes, growth or blocks is needed%s%s%s", word,
               near ? "; did you mean " : "", near ? nearest : "", near ? "?" : "");
}

static void take_interval(struct argp_state *state, struct top *t, const char *word)
{
    char *end;

    errno = 0;
    t->interval = strtod(word, &end);
    if (end == word || *end != '\0' || errno != 0 ||
        !(t->interval >= INTERVAL_LEAST && t->interval <= INTERVAL_MOST))
        argp_error(state, "--interval %s: a number of seconds is needed, from 0.1 to 86400", word);
}

static error_t take(int key, char *argument, struct argp_state *state)
{
    struct top *t = state->input;

    switch (key) {
    case KEY_INTERVAL:
        take_interval(state, t, argument);
        return 0;
    case KEY_ONCE:
        t->once = true;
        return 0;
    case KEY_SORT:
        take_sort(state, t, argument);
        return 0;
    case ARGP_KEY_NO_ARGS:
        t->word = "all";
        return 0;
    case ARGP_KEY_END:
        if (!t->once && !fo_terminal_is_there())
            argp_error(state, "the output is no terminal that can be redrawn: use --once");
        return 0;
    default:
        return fo_take_pid(key, argument, state, &t->pid, &t->word);
    }
}

/* --- a look ------------------------------------------------------------------------------------
 */

static bool is_shown(const struct fo_look *r)
{
    return r->state <= FO_LOOK_UNPROTECTED;
}

static void take_growth(struct top *t)
{
    for (size_t i = 0; i < t->now.count && t->has_before; i++) {
        struct fo_look *r = &t->now.rows[i];
        for (size_t j = 0; is_shown(r) && j < t->before.count; j++) {
            const struct fo_look *old = &t->before.rows[j];
            if (old->pid != r->pid || old->started != r->started || !is_shown(old))
                continue;
            r->growth = (int64_t)(r->live_bytes - old->live_bytes);
            r->growth_all = old->growth_all + r->growth;
        }
    }
}

static enum by sort_key; /* qsort(3) hands nothing on */

static int larger_first(const void *left, const void *right)
{
    const struct fo_look *a = left, *b = right;

    if (sort_key == BY_GROWTH && a->growth != b->growth)
        return a->growth < b->growth ? 1 : -1;
    if (sort_key == BY_GROWTH && a->growth_all != b->growth_all)
        return a->growth_all < b->growth_all ? 1 : -1;
    if (sort_key == BY_BLOCKS && a->live != b->live)
        return a->live < b->live ? 1 : -1;
    if (a->live_bytes != b->live_bytes)
        return a->live_bytes < b->live_bytes ? 1 : -1;
    return (a->pid > b->pid) - (a->pid < b->pid);
}

/* False: none of the processes is left. */
static bool look(struct top *t)
{
    if (t->has_before)
        fo_looks_free(&t->before);
    t->before = t->now;
    t->has_before = t->before.rows != NULL;
    fo_chosen_scan(&t->chosen);
    fo_looks_read(&t->now, &t->chosen, NULL);
    take_growth(t);
    return t->now.count != 0;
}

/* --- the table ---------------------------------------------------------------------------------
 */

static const char *signed_text(int64_t number, char text[FO_GROUPED + 1])
{
    char digits[FO_GROUPED];

    if (number == 0)
        return "0";
    fo_grouped(number < 0 ? -(uint64_t)number : (uint64_t)number, digits);
    snprintf(text, FO_GROUPED + 1, "%c%s", number < 0 ? '-' : '+', digits);
    return text;
}

static void print_row(const struct fo_look *r, FILE *out)
{
    char counts[4][FO_GROUPED], growth[2][FO_GROUPED + 1];

    fprintf(out, "%8d %-12s %11s %14s %13s %13s %9s  %s", (int)r->pid, fo_look_words(r->state),
            fo_grouped(r->live, counts[0]), fo_grouped(r->live_bytes, counts[1]),
            signed_text(r->growth, growth[0]), signed_text(r->growth_all, growth[1]),
            fo_grouped(r->findings, counts[2]), r->name);
    if (r->is_shared)
        fprintf(out, " (shared memory: %u %% used)", r->shared_used);
    fputs(r->complete ? "\n" : " (not all of it was read)\n", out);
}

static void print_table(struct top *t, FILE *out)
{
    struct fo_looks *l = &t->now;
    char text[2][FO_GROUPED], at[16] = "";
    time_t seconds = time(NULL);
    struct tm parts;

    if (localtime_r(&seconds, &parts) != NULL)
        strftime(at, sizeof at, "%H:%M:%S", &parts);
    fprintf(out, "%s: %zu process%s, %zu guarded, at %s, sorted by %s\n",
            fo_chosen_words(&t->chosen), l->count, l->count == 1 ? "" : "es",
            l->by_state[FO_LOOK_GUARDED], at, by_names[t->by]);
    fprintf(out,
            "in all: %s live blocks, %s bytes, each counted once; findings seen %" PRIu64
            " times\n",
            fo_grouped(l->own, text[0]), fo_grouped(l->own_bytes, text[1]), l->findings);
    if (l->by_state[FO_LOOK_UNREADABLE] != 0)
        fo_looks_unreadable(l, out);
    fprintf(out, "%8s %-12s %11s %14s %13s %13s %9s  %s\n", "PID", "STATE", "LIVE BLOCKS",
            "LIVE BYTES", "GROWTH", "SINCE START", "FINDINGS", "PROCESS");
    sort_key = t->by;
    if (l->count != 0)
        qsort(l->rows, l->count, sizeof *l->rows, larger_first);
    for (size_t i = 0; i < l->count; i++)
        if (is_shown(&l->rows[i]))
            print_row(&l->rows[i], out);
}

static void draw(struct top *t)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL) {
        fo_error("there is no memory");
        exit(FO_EXIT_SOFTWARE);
    }
    print_table(t, out);
    fclose(out);
    fo_terminal_draw(text);
    free(text);
}

/* --- start -------------------------------------------------------------------------------------
 */

static void wait_for_next(const struct top *t)
{
    struct timespec left = {(time_t)t->interval,
                            (long)((t->interval - (double)(time_t)t->interval) * 1e9)};

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static int show_once(struct top *t)
{
    bool has_some = look(t);

    if (t->by == BY_GROWTH) {
        wait_for_next(t);
        has_some = look(t);
    }
    if (has_some)
        print_table(t, stdout);
    else
        fo_error("%s has ended", fo_chosen_words(&t->chosen));
    int written = fo_shown_is_written();
    return written != FO_EXIT_OK ? written : fo_looks_status(&t->now, &t->chosen);
}

static int show_until_key(struct top *t)
{
    bool has_some = true, goes_on = true;

    fo_terminal_begin();
    while (goes_on) {
        has_some = look(t);
        if (!has_some && t->chosen.kind == FO_CHOSEN_PID)
            break;
        draw(t);
        int key = fo_terminal_key(t->interval);
        goes_on = key != 'q' && key != 'Q' && key != FO_KEY_NONE_MORE;
        t->by = key == 'b' ? BY_BYTES : key == 'g' ? BY_GROWTH : key == 'n' ? BY_BLOCKS : t->by;
    }
    fo_terminal_end();
    if (goes_on)
        fo_error("%s has ended, or there is none", fo_chosen_words(&t->chosen));
    return goes_on ? FO_EXIT_NO_INPUT : FO_EXIT_OK;
}

int fo_top_main(int argc, char **argv)
{
    static const struct argp parser = {flags, take, "[PID|UNIT|NAME|all]", before_options, NULL,
                                       NULL,  NULL};
    static struct top t = {.interval = INTERVAL_DEFAULT};

    fo_flags_check(argc, argv, &parser, false);
    if (argp_parse(&parser, argc, argv, 0, NULL, &t) != 0)
        return FO_EXIT_SOFTWARE;
    prctl(PR_SET_DUMPABLE, 0); /* pages that are read hold keys: none of them in a core file */
    int status = fo_chosen_find(&t.chosen, t.pid, t.word);
    if (status == FO_EXIT_OK)
        status = t.once ? show_once(&t) : show_until_key(&t);
    fo_looks_free(&t.now);
    fo_looks_free(&t.before);
    fo_chosen_free(&t.chosen);
    return status;
}
