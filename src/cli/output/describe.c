/* See describe.h.  The text written here is clean; the formats escape their special characters. */
#include "cli/output/describe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/model/clean.h"
#include "cli/exit.h"
#include "cli/message.h"

void fo_describe_text(FILE *out, const char *text)
{
    char *clean = fo_clean_copy(text != NULL ? text : "?");

    fputs(clean, out);
    free(clean);
}

const char *fo_describe_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

const char *fo_describe_program(const struct fo_finding_shown *finding)
{
    const struct fo_process_shown *process = finding->now.process;

    return process != NULL && process->name != NULL && *process->name != '\0' ? process->name : "?";
}

static bool is_known(const struct fo_code *code)
{
    return code->function != NULL || code->module != NULL || code->address != 0;
}

void fo_describe_code(FILE *out, const struct fo_code *code)
{
    if (code->function != NULL)
        fo_describe_text(out, code->function);
    if (code->function == NULL || code->file == NULL) {
        fputs(code->function != NULL ? " in " : "", out);
        fo_describe_text(out, code->module != NULL ? fo_describe_base(code->module) : "?");
        fprintf(out, "+%#" PRIx64, code->address);
    }
    if (code->file != NULL) {
        fputs(" at ", out);
        fo_describe_text(out, code->file);
        fprintf(out, ":%u", code->line);
    }
}

static void put_process(FILE *out, const struct fo_place_shown *place)
{
    const struct fo_process_shown *process = place->process;

    if (place->pid == 0)
        return;
    fprintf(out, ", pid %u", place->pid);
    if (process != NULL) {
        fputs(" (", out);
        fo_describe_text(out, process->name);
        fputs(")", out);
    }
    if (place->thread != 0)
        fprintf(out, " thread %u", place->thread);
    if (process != NULL && process->is_fork)
        fprintf(out, ", forked from %u", process->parent_pid);
}

void fo_describe_place(FILE *out, const struct fo_place_shown *place)
{
    if (!place->known) {
        fputs("not known", out);
        return;
    }
    if (place->file != NULL) {
        fo_describe_text(out, place->file);
        fprintf(out, ":%u", place->line);
    }
    if (is_known(&place->caller)) {
        fputs(place->file != NULL ? " by " : "by ", out);
        fo_describe_code(out, &place->caller);
    } else if (place->file == NULL) {
        fputs("?", out);
    }
    put_process(out, place);
}

static void put_line(FILE *out, const char *label, const struct fo_place_shown *place)
{
    if (!place->known)
        return;
    fputs("\n", out);
    fo_describe_text(out, label);
    fputs(": ", out);
    fo_describe_place(out, place);
    for (size_t i = 0; i < place->frames; i++) {
        fprintf(out, "\n  #%zu ", i);
        fo_describe_code(out, &place->stack[i]);
    }
}

void fo_describe_finding(FILE *out, const struct fo_finding_shown *finding)
{
    fo_describe_text(out, finding->headline);
    if (finding->answer != NULL && *finding->answer != '\0') {
        fputs(", ", out);
        fo_describe_text(out, finding->answer);
    }
    if (finding->racing)
        fputs(" (the first free was going on at that moment)", out);
    put_line(out, "allocated", &finding->allocated);
    put_line(out, "freed first", &finding->freed);
    put_line(out, finding->label, &finding->now);
    if (finding->neighbour_block != 0) {
        fprintf(out, "\noverwritten from block %#" PRIx64 " (%" PRIu64 " bytes) in front",
                finding->neighbour_block, finding->neighbour_size);
        if (finding->neighbour_file != NULL) {
            fputs(", allocated ", out);
            fo_describe_text(out, finding->neighbour_file);
            fprintf(out, ":%u", finding->neighbour_line);
        }
    }
    if (finding->count > 1)
        fprintf(out, "\nseen %" PRIu64 " times", finding->count);
    if (finding->advice != NULL)
        fprintf(out, "\nwhat to do: %s", finding->advice);
}

void fo_describe_start(struct fo_description_text *description)
{
    *description = (struct fo_description_text){NULL, NULL, 0};
    description->out = open_memstream(&description->text, &description->size);
    if (description->out == NULL) {
        fo_error("no memory for the output");
        exit(FO_EXIT_SOFTWARE);
    }
}

char *fo_describe_end(struct fo_description_text *description)
{
    bool bad = ferror(description->out) != 0;

    if (fclose(description->out) != 0 || bad || description->text == NULL) {
        fo_error("no memory for the output");
        exit(FO_EXIT_SOFTWARE);
    }
    return description->text;
}

void fo_describe_dropped(FILE *out, uint64_t dropped)
{
    fprintf(out, "%" PRIu64 " more finding%s not in the journal", dropped,
            dropped == 1 ? " is" : "s are");
}

void fo_describe_excluded(FILE *out, uint64_t processes)
{
    fprintf(
        out,
        "at least %" PRIu64
        " process%s could not write the journal (--any-user?), and what they found is not in it",
        processes, processes == 1 ? "" : "es");
}

void fo_describe_nameless(FILE *out, uint64_t times)
{
    fprintf(out,
            "a name, module or process had no room in the journal %" PRIu64
            " time%s, and is missing from the findings",
            times, times == 1 ? "" : "s");
}

void fo_describe_unguarded(FILE *out, const struct fo_model *model)
{
    fputs("nothing was checked: ", out);
    fo_describe_text(out, model->unguarded.text);
}
