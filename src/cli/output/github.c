/* Annotations for GitHub Actions: workflow commands, one line each.  A file is named only if it is
 * the program's and can be in the repository; GitHub does not show annotations of other files. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/model/clean.h"
#include "cli/output/describe.h"
#include "cli/output/format.h"
#include "cli/model/source_path.h"
#include "cli/output/suppress.h"
#include "report/journal_format.h"

enum { SHOWN = 10 }; /* annotations of one kind that GitHub shows of a step */

/* Properties end at a colon or comma, messages at the end of the line. */
static void put_escaped(FILE *out, const char *text, const char *special)
{
    for (; *text != '\0'; text++) {
        if (strchr(special, *text) != NULL)
            fprintf(out, "%%%02X", (unsigned char)*text);
        else
            fputc(*text, out);
    }
}

static void put_property(FILE *out, const char *text)
{
    char *clean = fo_clean_copy(text);

    put_escaped(out, clean, "%:,");
    free(clean);
}

static void put_message(FILE *out, const char *text)
{
    put_escaped(out, text, "%\r\n");
}

/* The file's path in the repository; NULL: it is not in there. */
static const char *repository_file(const struct fo_location *location)
{
    const char *workspace = getenv("GITHUB_WORKSPACE"), *file = location->file;
    static char here[4096];

    if (file == NULL || location->openssl)
        return NULL;
    if (*file != '/')
        return file;
    if (workspace == NULL || *workspace != '/')
        workspace = getcwd(here, sizeof here);
    return fo_path_beneath(file, workspace);
}

static void put_finding(FILE *out, const struct fo_finding_shown *finding)
{
    const struct fo_suppression *suppressed = finding->suppressed;
    struct fo_location location = fo_place_location(&finding->now);
    const char *file = repository_file(&location);
    struct fo_description_text title, message;
    char *text;

    fo_describe_start(&title);
    fputs(suppressed != NULL ? "suppressed: " : "", title.out);
    fo_describe_text(title.out, finding->kind);
    fputs(" of ", title.out);
    fo_describe_text(title.out, finding->object);
    fputs(" in ", title.out);
    fo_describe_text(title.out, fo_describe_program(finding));
    fo_describe_start(&message);
    fo_describe_finding(message.out, finding);
    if (suppressed != NULL) {
        fputs("\nsuppressed by ", message.out);
        fo_describe_text(message.out, suppressed->file);
        fprintf(message.out, ":%u [", suppressed->line);
        fo_describe_text(message.out, suppressed->name);
        fputs("]", message.out);
    }
    fputs(suppressed != NULL ? "::notice " : "::error ", out);
    if (file != NULL) {
        fputs("file=", out);
        put_property(out, file);
        fprintf(out, ",line=%u,", location.line > 0 ? location.line : 1);
    }
    fputs("title=", out);
    text = fo_describe_end(&title);
    put_property(out, text);
    free(text);
    fputs("::", out);
    text = fo_describe_end(&message);
    put_message(out, text);
    free(text);
    fputc('\n', out);
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* One warning for all unprotected processes with the same program and reason, at the first one. */
static void put_unprotected(FILE *out, const struct fo_model *model, size_t index)
{
    const struct fo_process_shown *process = &model->processes[index];
    struct fo_description_text message;
    size_t more = 0;
    char *text;

    for (size_t i = 0; i < model->process_count; i++) {
        const struct fo_process_shown *other = &model->processes[i];
        if (i == index || other->guard != FO_JOURNAL_UNPROTECTED ||
            !is_same(other->name, process->name) || !is_same(other->how, process->how))
            continue;
        if (i < index)
            return;
        more++;
    }
    fo_describe_start(&message);
    fo_describe_text(message.out, process->name);
    fprintf(message.out, " (pid %u", process->pid);
    if (more > 0)
        fprintf(message.out, " and %zu more", more);
    fputs(") used OpenSSL unprotected: ", message.out);
    fo_describe_text(message.out, process->how != NULL && *process->how != '\0'
                                      ? process->how
                                      : "why is not known");
    text = fo_describe_end(&message);
    fputs("::warning title=freeonce%3A not protected::", out);
    put_message(out, text);
    free(text);
    fputc('\n', out);
}

/* GitHub drops further annotations without a message. */
static void put_summary(FILE *out, size_t counting)
{
    if (counting > SHOWN)
        fprintf(out,
                "::notice title=freeonce::%zu findings. GitHub shows %d errors of a step, the log "
                "of this step has them all.\n",
                counting, SHOWN);
}

void fo_format_github(FILE *out, const struct fo_model *model, const struct fo_run_shown *run)
{
    size_t counting = 0;

    (void)run;
    for (size_t i = 0; i < model->finding_count; i++) {
        put_finding(out, &model->findings[i]);
        counting += model->findings[i].suppressed == NULL;
    }
    for (size_t i = 0; i < model->process_count; i++)
        if (model->processes[i].guard == FO_JOURNAL_UNPROTECTED)
            put_unprotected(out, model, i);
    if (model->unguarded.reason != NULL) {
        struct fo_description_text message;
        fo_describe_start(&message);
        fo_describe_unguarded(message.out, model);
        char *text = fo_describe_end(&message);
        fputs("::warning title=freeonce::", out);
        put_message(out, text);
        fputc('\n', out);
        free(text);
    }
    if (model->dropped > 0) {
        fputs("::error title=freeonce::", out);
        fo_describe_dropped(out, model->dropped);
        fputc('\n', out);
    }
    if (model->excluded > 0) {
        fputs("::error title=freeonce::", out);
        fo_describe_excluded(out, model->excluded);
        fputc('\n', out);
    }
    if (model->nameless > 0) {
        fputs("::warning title=freeonce::", out);
        fo_describe_nameless(out, model->nameless);
        fputc('\n', out);
    }
    put_summary(out, counting);
}
