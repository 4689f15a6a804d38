/* See output.h. */
#include "cli/output/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/exit.h"
#include "cli/message.h"

enum {
    KEY_SUPPRESSIONS = 0x200,
    KEY_GENERATE,
    KEY_EXIT_CODE,
    KEY_SYMBOLS,
    KEY_NO_SYMBOLS,
    KEY_PROCESSES
};

static const struct argp_option options[] = {
    {"format", 'f', "FORMAT", 0,
     "text, json, junit, sarif, html or github; may be given several times", 1},
    {"output", 'o', "FILE", 0, "the format named before goes to FILE", 1},
    {"suppressions", KEY_SUPPRESSIONS, "FILE", 0, "findings that are known, see freeonce(1)", 2},
    {"gen-suppressions", KEY_GENERATE, NULL, 0, "print entries that would suppress the findings",
     2},
    {"exit-code", KEY_EXIT_CODE, "N", 0, "exit status when there are findings (99)", 3},
    {"processes", KEY_PROCESSES, NULL, 0,
     "the text also lists the processes, and how the library got in", 3},
    {"symbols", KEY_SYMBOLS, "no|own|all", 0,
     "whose files are read for functions and lines: none, root's and your own (the default), any",
     3},
    {"no-symbols", KEY_NO_SYMBOLS, NULL, 0, "the same as --symbols=no", 3},
    {NULL, 0, NULL, 0, NULL, 0},
};

void fo_outputs_init(struct fo_outputs *outputs, FILE *text)
{
    *outputs = (struct fo_outputs){
        .fallback = stdout, .text = text, .symbols = FO_SYMBOLS_OWN, .exit_code = FO_EXIT_FINDINGS};
}

static error_t add_format(struct fo_outputs *o, const char *name, struct argp_state *state)
{
    const struct fo_format *format = fo_format_find(name);

    if (format == NULL)
        argp_error(state,
                   "there is no format %s; text, json, junit, sarif, html and github are known",
                   name);
    else if (o->count == FO_OUTPUTS_MAX)
        argp_error(state, "more than %d formats", FO_OUTPUTS_MAX);
    else
        o->list[o->count++].format = format;
    return 0;
}

static error_t add_file(struct fo_outputs *o, const char *path, struct argp_state *state)
{
    if (o->count == 0)
        add_format(o, "text", state);
    if (o->list[o->count - 1].path != NULL)
        argp_error(state, "a second -o for one --format: %s", path);
    o->list[o->count - 1].path = path;
    return 0;
}

static error_t set_exit_code(struct fo_outputs *o, const char *text, struct argp_state *state)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (*text == '\0' || *end != '\0' || n < 0 || n > 255)
        argp_error(state, "--exit-code %s: a number from 0 to 255 is needed", text);
    o->exit_code = (int)n;
    return 0;
}

static error_t set_symbols(struct fo_outputs *o, const char *text, struct argp_state *state)
{
    static const char *const words[] = {
        [FO_SYMBOLS_NO] = "no", [FO_SYMBOLS_OWN] = "own", [FO_SYMBOLS_ALL] = "all"};

    for (int i = FO_SYMBOLS_NO; i <= FO_SYMBOLS_ALL; i++)
        if (strcmp(text, words[i]) == 0) {
            o->symbols = (enum fo_symbols)i;
            return 0;
        }
    argp_error(state, "--symbols %s: no, own and all are known", text);
    return 0;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    struct fo_outputs *o = state->input;

    switch (key) {
    case 'f':
        return add_format(o, argument, state);
    case 'o':
        return add_file(o, argument, state);
    case KEY_SUPPRESSIONS:
        if (o->suppression_file_count == FO_SUPPRESSION_FILES_MAX)
            argp_error(state, "more than %d files of suppressions", FO_SUPPRESSION_FILES_MAX);
        o->suppression_files[o->suppression_file_count++] = argument;
        return 0;
    case KEY_GENERATE:
        o->generate = true;
        return 0;
    case KEY_EXIT_CODE:
        return set_exit_code(o, argument, state);
    case KEY_PROCESSES:
        o->processes = true;
        return 0;
    case KEY_SYMBOLS:
        return set_symbols(o, argument, state);
    case KEY_NO_SYMBOLS:
        o->symbols = FO_SYMBOLS_NO;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp fo_outputs_argp = {options, parse, NULL, NULL, NULL, NULL, NULL};

/* Two formats in one regular file would be no valid document; other kinds are not checked. */
static bool is_used_twice(const struct fo_outputs *o, int index)
{
    struct stat own, other;

    if (fstat(fileno(o->list[index].file), &own) != 0 || !S_ISREG(own.st_mode))
        return false;
    for (int i = 0; i < index; i++)
        if (o->list[i].file != o->fallback && fstat(fileno(o->list[i].file), &other) == 0 &&
            other.st_dev == own.st_dev && other.st_ino == own.st_ino)
            return true;
    return false;
}

static int open_output(struct fo_outputs *o, int index)
{
    const char *path = o->list[index].path;

    if (path == NULL || strcmp(path, "-") == 0) {
        o->list[index].file = o->fallback;
        return FO_EXIT_OK;
    }
    o->list[index].file = fopen(path, "we");
    if (o->list[index].file == NULL) {
        fo_error("%s cannot be written: %s", path, strerror(errno));
        return FO_EXIT_CANNOT_WRITE;
    }
    if (is_used_twice(o, index)) {
        fo_error("-o %s: two formats cannot go to one file", path);
        return FO_EXIT_USAGE;
    }
    return FO_EXIT_OK;
}

int fo_outputs_open(struct fo_outputs *o)
{
    int status = FO_EXIT_OK;

    for (int i = 0; i < o->suppression_file_count; i++)
        if (!fo_suppressions_read(&o->suppressions, o->suppression_files[i], &status))
            return status; /* before an older report is emptied */
    if (o->count == 0 && !o->generate) {
        o->list[0].format = fo_format_find("text");
        o->list[0].file = o->text;
        o->count = 1;
        return FO_EXIT_OK;
    }
    for (int i = 0; i < o->count && status == FO_EXIT_OK; i++)
        status = open_output(o, i);
    return status;
}

static int check_written(FILE *file, const char *path)
{
    errno = 0;
    if (fflush(file) == 0 && !ferror(file))
        return FO_EXIT_OK;
    fo_error("%s could not be written to its end: %s", path != NULL ? path : "the output",
             strerror(errno));
    return FO_EXIT_CANNOT_WRITE;
}

static void warn_unused(const struct fo_suppression *list)
{
    for (; list != NULL; list = list->next)
        if (list->used == 0)
            fo_warning("the suppression [%s], %s:%u, matched no finding", list->name, list->file,
                       list->line);
}

/* Is the text among the output that the run prints? */
static bool has_text(const struct fo_outputs *o)
{
    for (int i = 0; i < o->count; i++)
        if (o->list[i].format->write == fo_format_text &&
            (o->list[i].file == o->fallback || o->list[i].file == o->text))
            return true;
    return false;
}

int fo_outputs_write(struct fo_outputs *o, struct fo_model *model, const struct fo_run_shown *run)
{
    int status = FO_EXIT_OK;

    model->show_processes = o->processes;
    fo_symbols_resolve(model, o->symbols);
    fo_suppressions_apply(o->suppressions, model);
    for (int i = 0; i < o->count; i++) {
        o->list[i].format->write(o->list[i].file, model, run);
        int written = check_written(o->list[i].file, o->list[i].path);
        status = status != FO_EXIT_OK ? status : written;
    }
    if (o->generate) {
        fo_suppressions_generate(stdout, model);
        int written = check_written(stdout, NULL);
        status = status != FO_EXIT_OK ? status : written;
    }
    warn_unused(o->suppressions);
    if (run->ended && !has_text(o)) /* so that a run never fails without a message */
        fo_text_summary(o->text, model, run);
    return status;
}

void fo_outputs_close(struct fo_outputs *o)
{
    for (int i = 0; i < o->count; i++)
        if (o->list[i].file != NULL && o->list[i].file != o->fallback && o->list[i].file != o->text)
            fclose(o->list[i].file);
    fo_suppressions_free(o->suppressions);
}
