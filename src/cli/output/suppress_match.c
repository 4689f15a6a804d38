/* Which findings does a suppression match, and which entry matches a finding?  Both use the same
 * words for a place, so that a generated entry matches its finding. */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output/describe.h"
#include "cli/exit.h"
#include "cli/message.h"
#include "cli/output/suppress.h"
#include "cli/output/suppress_rules.h"

enum { WORD_MAX = 4096 };

/* The words for a place, in the order in which generated entries prefer them. */
enum word { WORD_SITE, WORD_CALL, WORD_FUNCTION, WORD_LINE, WORD_ADDRESS, WORD_UNKNOWN, WORDS };

static bool put_word(enum word word, const struct fo_place_shown *place, char *out)
{
    const struct fo_code *caller = &place->caller;
    bool module = place->known && caller->module != NULL;
    int length = -1;

    if (word == WORD_SITE && place->known && place->file != NULL)
        length = snprintf(out, WORD_MAX, "%s:%u", place->file, place->line);
    else if (word == WORD_CALL && module && caller->function != NULL)
        length =
            snprintf(out, WORD_MAX, "%s!%s", fo_describe_base(caller->module), caller->function);
    else if (word == WORD_FUNCTION && place->known && caller->function != NULL)
        length = snprintf(out, WORD_MAX, "%s", caller->function);
    else if (word == WORD_LINE && place->known && caller->file != NULL)
        length = snprintf(out, WORD_MAX, "%s:%u", caller->file, caller->line);
    else if (word == WORD_ADDRESS && module && caller->address != 0)
        length = snprintf(out, WORD_MAX, "%s+%#" PRIx64, fo_describe_base(caller->module),
                          caller->address);
    else if (word == WORD_UNKNOWN &&
             (!place->known || (place->file == NULL && !module && caller->function == NULL)))
        length = snprintf(out, WORD_MAX, "?");
    return length >= 0;
}

static bool is_place_match(const char *glob, const struct fo_place_shown *place)
{
    char text[WORD_MAX];

    for (int word = 0; word < WORDS; word++)
        if (put_word((enum word)word, place, text) && fnmatch(glob, text, 0) == 0)
            return true;
    return false;
}

static bool is_rule_match(const struct fo_suppress_rule *rule,
                          const struct fo_finding_shown *finding)
{
    switch (rule->key) {
    case FO_SUPPRESS_KIND:
        return finding->kind != NULL && fnmatch(rule->glob, finding->kind, 0) == 0;
    case FO_SUPPRESS_OBJECT:
        return finding->object != NULL && fnmatch(rule->glob, finding->object, 0) == 0;
    case FO_SUPPRESS_SITE:
        return is_place_match(rule->glob, &finding->allocated) ||
               is_place_match(rule->glob, &finding->freed) ||
               is_place_match(rule->glob, &finding->now);
    case FO_SUPPRESS_ALLOCATED:
        return is_place_match(rule->glob, &finding->allocated);
    case FO_SUPPRESS_FREED:
        return is_place_match(rule->glob, &finding->freed);
    case FO_SUPPRESS_NOW:
        return is_place_match(rule->glob, &finding->now);
    case FO_SUPPRESS_PROGRAM:
        return fnmatch(rule->glob, fo_describe_program(finding), 0) == 0;
    default:
        return false;
    }
}

/* Each key of the entry must match, by one of its lines at least. */
static bool is_match(const struct fo_suppression *entry, const struct fo_finding_shown *finding)
{
    unsigned given = 0, matched = 0;

    for (const struct fo_suppress_rule *rule = entry->rules; rule != NULL; rule = rule->next) {
        given |= 1U << rule->key;
        if (is_rule_match(rule, finding))
            matched |= 1U << rule->key;
    }
    return given != 0 && given == matched;
}

void fo_suppressions_apply(struct fo_suppression *list, struct fo_model *model)
{
    for (size_t i = 0; i < model->finding_count; i++) {
        struct fo_finding_shown *finding = &model->findings[i];
        for (struct fo_suppression *entry = list; entry != NULL; entry = entry->next) {
            if (!is_match(entry, finding))
                continue;
            entry->used++;
            if (finding->suppressed == NULL)
                finding->suppressed = entry;
        }
    }
}

/* A line that matches exactly this text: special characters are escaped, and so are blanks at its
 * ends, which would be cut. */
static void put_rule(FILE *out, const char *key, const char *text)
{
    if (text == NULL || *text == '\0')
        return;
    fprintf(out, "%s = ", key);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == ' ' && (at == text || at[1] == '\0'))
            fputs("[ ]", out);
        else if ((unsigned char)*at < ' ')
            fputc('?', out); /* matches any character: a file of suppressions has none of these */
        else
            fprintf(out, "%s%c", strchr("\\*?[", *at) != NULL ? "\\" : "", *at);
    }
    fputc('\n', out);
}

static void put_place(FILE *out, const char *key, const struct fo_place_shown *place)
{
    char text[WORD_MAX];

    for (int word = 0; word < WORDS; word++)
        if (put_word((enum word)word, place, text)) {
            put_rule(out, key, text);
            return;
        }
}

static FILE *open_text(char **text, size_t *size)
{
    FILE *out = open_memstream(text, size);

    if (out == NULL) {
        fo_error("no memory for suppressions");
        exit(FO_EXIT_SOFTWARE);
    }
    return out;
}

static void close_text(FILE *out, char *const *text)
{
    if (fclose(out) != 0 || *text == NULL) {
        fo_error("no memory for suppressions");
        exit(FO_EXIT_SOFTWARE);
    }
}

/* The lines of the entry for a finding; the caller frees them. */
static char *rules(const struct fo_finding_shown *finding)
{
    char *text = NULL, call[WORD_MAX];
    size_t size = 0;
    FILE *out = open_text(&text, &size);

    if (finding->kind != NULL && fo_suppress_has_kind(finding->kind)) /* not of a newer library */
        put_rule(out, "kind", finding->kind);
    put_rule(out, "object", finding->object);
    put_place(out, "allocated", &finding->allocated);
    put_place(out, "freed", &finding->freed);
    put_place(out, "now", &finding->now);
    if (finding->now.file != NULL && put_word(WORD_CALL, &finding->now, call))
        put_rule(out, "site", call);
    put_rule(out, "program", fo_describe_program(finding));
    close_text(out, &text);
    return text;
}

/* Text for one line: control characters and ], which would end a name, become blanks. */
static void put_words(FILE *out, const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        fputc((unsigned char)*text < ' ' || *text == ']' ? ' ' : *text, out);
}

static bool is_among(char *const *texts, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(texts[i], text) == 0)
            return true;
    return false;
}

/* Comment, name and lines; the caller frees them. */
static char *entry(const struct fo_finding_shown *finding, size_t number, const char *lines)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_text(&text, &size);

    fputs(number > 1 ? "\n# " : "# ", out);
    put_words(out, finding->headline);
    fprintf(out, "\n[%zu: ", number);
    put_words(out, finding->kind);
    fputs(" of ", out);
    put_words(out, finding->object);
    fputs(" in ", out);
    put_words(out, fo_describe_program(finding));
    fprintf(out, "]\n%s", lines);
    close_text(out, &text);
    return text;
}

/* False: the file would be too large to be read. */
static bool put_entry(FILE *out, const char *text, size_t *written)
{
    size_t length = strlen(text);

    if (length > FO_SUPPRESS_FILE_MAX - *written) {
        fo_warning("not all findings have an entry: a file of suppressions has at most %d MiB",
                   FO_SUPPRESS_FILE_MAX >> 20);
        return false;
    }
    fputs(text, out);
    *written += length;
    return true;
}

void fo_suppressions_generate(FILE *out, const struct fo_model *model)
{
    char **seen = calloc(model->finding_count + 1, sizeof *seen);
    size_t count = 0, written = 0;
    bool room = true;

    if (seen == NULL) {
        fo_error("no memory for suppressions");
        exit(FO_EXIT_SOFTWARE);
    }
    for (size_t i = 0; i < model->finding_count && room; i++) {
        const struct fo_finding_shown *finding = &model->findings[i];
        char *lines = finding->suppressed == NULL ? rules(finding) : NULL;
        if (lines == NULL || is_among(seen, count, lines)) { /* one entry matches both */
            free(lines);
            continue;
        }
        seen[count++] = lines;
        char *text = entry(finding, count, lines);
        room = put_entry(out, text, &written);
        free(text);
    }
    for (size_t i = 0; i < count; i++)
        free(seen[i]);
    free(seen);
}
