/* The plan for a unit as a drop-in: comment head, notes, settings. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string.h>

#include "cli/message.h"
#include "cli/model/clean.h"
#include "cli/systemd/notes.h"

enum { COMMENT_WIDTH = 96 };

void fo_note(struct fo_plan *plan, enum fo_note_kind kind, const char *format, ...)
{
    char *text;
    va_list arguments;

    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        exit(FO_EXIT_SOFTWARE);
    fo_clean(text, text); /* it has words of the unit, and may go to a terminal */
    if (!fo_list_has(&plan->notes[kind], text))
        fo_list_add(&plan->notes[kind], fo_string_copy(text, strlen(text)));
    free(text);
}

void fo_setting(struct fo_plan *plan, const char *format, ...)
{
    char *text;
    va_list arguments;

    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        exit(FO_EXIT_SOFTWARE);
    if (fo_is_clean(text))
        fo_list_add(&plan->settings, fo_string_copy(text, (size_t)length));
    else
        fo_note(plan, FO_NOTE_FATAL, "A setting would hold a control character: %s", text);
    free(text);
}

void fo_plan_make(struct fo_plan *plan, const struct fo_list *set)
{
    fo_sandbox_read(&plan->sandbox, plan->unit);
    fo_plan_places(plan);
    fo_plan_environment(plan, set);
    fo_plan_exec(plan);
    fo_plan_syscalls(plan);
    fo_plan_limits(plan);
}

void fo_plan_free(struct fo_plan *plan)
{
    fo_list_free(&plan->environment);
    fo_list_free(&plan->settings);
    for (int i = 0; i < 3; i++)
        fo_list_free(&plan->notes[i]);
    fo_sandbox_free(&plan->sandbox);
}

/* One paragraph, wrapped.  Cleaned, because a line end in a word of the unit would end the
 * comment. */
static void comment(FILE *out, const char *words)
{
    int column = fprintf(out, "#");
    char *clean = fo_clean_copy(words);
    const char *text = clean;

    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (column > 1 && column + 1 + length > COMMENT_WIDTH) {
            fputs("\n#", out);
            column = 1;
        }
        column += fprintf(out, " %.*s", length, text);
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', out);
    free(clean);
}

static bool has_token(const struct fo_plan *plan)
{
    for (size_t i = 0; i < plan->environment.count; i++)
        if (strstr(plan->environment.items[i], "/$LIB/") != NULL)
            return true;
    return false;
}

static void head(FILE *out, const struct fo_plan *plan)
{
    const char *name = plan->unit->name;

    fprintf(out, FO_DROPIN_MARKER " %s (freeonce " FREEONCE_VERSION ").\n", name);
    comment(out, fo_string_format(
                     "It puts libfreeonce.so in front of %s, which finds, reports and skips double "
                     "frees of OpenSSL's memory.",
                     name));
    if (plan->journal != NULL)
        comment(out, fo_string_format("What was found: freeonce report %s", plan->journal));
    if (has_token(plan))
        comment(out,
                "$LIB in LD_PRELOAD is right as it stands: the dynamic linker of glibc replaces "
                "it. Programs of another libc (musl) do not find the library, and run as they "
                "did.");
    comment(out, fo_string_format("To remove it: freeonce systemd --remove %s", name));
    comment(out, "(or delete this file, `systemctl daemon-reload`), and restart the service.");
}

char *fo_plan_text(const struct fo_plan *plan)
{
    static const char *const words[] = {"Note: ", "Warning: ", "NO EFFECT: "};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL)
        return NULL;
    head(out, plan);
    for (int kind = FO_NOTE_FATAL; kind >= FO_NOTE; kind--)
        for (size_t i = 0; i < plan->notes[kind].count; i++) {
            fputs("#\n", out);
            comment(out, fo_string_format("%s%s", words[kind], plan->notes[kind].items[i]));
        }
    fputs("\n[Service]\n", out);
    for (size_t i = 0; i < plan->environment.count; i++)
        fprintf(out, "%s\n", plan->environment.items[i]);
    for (size_t i = 0; i < plan->settings.count; i++)
        fprintf(out, "%s\n", plan->settings.items[i]);
    return fclose(out) == 0 ? text : NULL;
}

void fo_plan_print(const struct fo_plan *plan, bool all)
{
    for (size_t i = 0; i < plan->notes[FO_NOTE_FATAL].count; i++)
        fo_error("%s", plan->notes[FO_NOTE_FATAL].items[i]);
    if (!all)
        return;
    for (size_t i = 0; i < plan->notes[FO_NOTE_WARN].count; i++)
        fo_warning("warning: %s", plan->notes[FO_NOTE_WARN].items[i]);
    for (size_t i = 0; i < plan->notes[FO_NOTE].count; i++)
        fo_warning("note: %s", plan->notes[FO_NOTE].items[i]);
}
