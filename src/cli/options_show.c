/* See options_show.h. */
#include "cli/options_show.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/message.h"
#include "cli/model/clean.h"

enum { WIDTH = 80, INDENT = 4 };

static const struct {
    const char *name, *choices, *fallback, *help;
} rows[] = {
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...)                                \
    {#NAME, choices, fallback, help},
#include "options/options.def"
#undef FO_OPTION
};

void fo_shown_fill(struct fo_shown *s)
{
    for (unsigned i = 0; i < FO_OPTION_COUNT; i++) {
        struct fo_row *row = &s->rows[i];
        struct fo_option_source source = fo_options_source(i);
        struct fo_text value = {row->value, sizeof row->value - 1, 0};
        *row = (struct fo_row){rows[i].name, rows[i].choices, rows[i].fallback, rows[i].help, true,
                               "",           "default"};
        fo_options_put_value(&value, i);
        row->value[value.used] = '\0';
        if (source.from == FO_FROM_ENVIRONMENT)
            strcpy(row->from, "environment");
        else if (source.from == FO_FROM_FILE)
            snprintf(row->from, sizeof row->from, "%s:%u", s->conf->path, source.line);
    }
}

static bool is_set(const struct fo_row *row)
{
    return strcmp(row->from, "default") != 0;
}

static const char *shown(const char *value)
{
    static char clean[sizeof((struct fo_row *)NULL)->value];

    fo_clean(clean, value);
    return *value != '\0' ? clean : "-";
}

static void put_file(const struct fo_shown *s)
{
    enum fo_conf_state state = s->conf->state;

    printf("\n%s %s", s->conf->path,
           state == FO_CONF_ABSENT ? "is not there"
           : state == FO_CONF_GOOD ? "is obeyed"
                                   : "would be ignored");
    if (state == FO_CONF_ABSENT)
        puts(".");
    else if (s->program != NULL)
        printf("; shown for programs named \"%s\".\n", s->program);
    else
        puts("; shown without its sections (--program NAME).");
}

void fo_show_table(const struct fo_shown *s)
{
    int name_width = 0, value_width = (int)strlen("VALUE");
    bool colours = fo_colours(stdout);
    unsigned count = 0;

    for (unsigned i = 0; i < FO_OPTION_COUNT; i++) {
        int name = (int)(strlen("FREEONCE_") + strlen(s->rows[i].name));
        int value = (int)strlen(s->rows[i].value);
        name_width = name > name_width ? name : name_width;
        if (s->rows[i].wanted && value > value_width && value <= WIDTH / 2)
            value_width = value;
    }
    printf("%-*s  %-*s  %s\n", name_width, "OPTION", value_width, "VALUE", "FROM");
    for (unsigned i = 0; i < FO_OPTION_COUNT; i++) {
        const struct fo_row *row = &s->rows[i];
        if (!row->wanted)
            continue;
        count++;
        bool bold = colours && is_set(row);
        printf("%sFREEONCE_%-*s  %-*s  %s%s\n", bold ? "\033[1m" : "",
               name_width - (int)strlen("FREEONCE_"), row->name, value_width, shown(row->value),
               row->from, bold ? "\033[0m" : "");
    }
    if (count == 0)
        puts("every option has its default");
    put_file(s);
}

/* Words in lines of WIDTH columns. */
static void put_wrapped(const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t n = strcspn(text, " ");
        if (column == 0 || column + 1 + n > WIDTH) {
            printf("%s%*s", column > 0 ? "\n" : "", INDENT, "");
            column = INDENT;
        } else {
            putchar(' ');
            column++;
        }
        printf("%.*s", (int)n, text);
        column += n;
        text += n;
        text += strspn(text, " ");
    }
    putchar('\n');
}

void fo_show_help(const struct fo_shown *s)
{
    bool colours = fo_colours(stdout);
    const char *between = "";

    for (unsigned i = 0; i < FO_OPTION_COUNT; i++) {
        const struct fo_row *row = &s->rows[i];
        if (!row->wanted)
            continue;
        printf("%s%sFREEONCE_%s%s=%s\n", between, colours ? "\033[1m" : "", row->name,
               colours ? "\033[0m" : "", row->choices);
        put_wrapped(row->help);
        printf("    default: %s\n", shown(row->fallback));
        if (is_set(row))
            printf("    now:     %s (%s)\n", shown(row->value), row->from);
        between = "\n";
    }
}

/* Text that is not UTF-8 is made ASCII, with '?' for other bytes: JSON allows only UTF-8. */
static json_t *text_of(const char *text)
{
    json_t *answer = json_string(text);
    char safe[4400];
    size_t n = 0;

    if (answer != NULL)
        return answer;
    for (; *text != '\0' && n < sizeof safe - 1; text++)
        safe[n++] = (unsigned char)*text < 0x80 ? *text : '?';
    safe[n] = '\0';
    return json_string(safe);
}

static json_t *row_of(const struct fo_shown *s, unsigned i)
{
    const struct fo_row *row = &s->rows[i];
    struct fo_option_source source = fo_options_source(i);
    static const char *const from[] = {"default", "environment", "file"};
    char name[64];

    snprintf(name, sizeof name, "FREEONCE_%s", row->name);
    return json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:s, s:s}", "name", name, "value",
                     text_of(row->value), "default", row->fallback, "source", from[source.from],
                     "file", source.from == FO_FROM_FILE ? text_of(s->conf->path) : json_null(),
                     "line", source.from == FO_FROM_FILE ? json_integer(source.line) : json_null(),
                     "values", row->choices, "help", row->help);
}

static json_t *file_of(const struct fo_conf *conf)
{
    const char *state = conf->state == FO_CONF_ABSENT ? "absent"
                        : conf->state == FO_CONF_GOOD ? "obeyed"
                                                      : "ignored";

    return json_pack("{s:o, s:s}", "path", text_of(conf->path), "state", state);
}

bool fo_show_json(const struct fo_shown *s)
{
    json_t *options = json_array(), *problems = json_array();
    bool done = true;

    for (unsigned i = 0; i < FO_OPTION_COUNT; i++)
        if (s->rows[i].wanted)
            done &= json_array_append_new(options, row_of(s, i)) == 0;
    for (unsigned i = 0; i < s->problem_count; i++)
        done &= json_array_append_new(problems, text_of(s->problems[i])) == 0;
    json_t *all = json_pack("{s:o, s:o, s:o, s:o}", "file", file_of(s->conf), "program",
                            s->program != NULL ? text_of(s->program) : json_null(), "options",
                            options, "problems", problems);
    done &= all != NULL;
    /* The caller checks stdout for write errors, as for a table. */
    if (done && json_dumpf(all, stdout, JSON_INDENT(2)) == 0)
        putchar('\n');
    json_decref(all);
    return done;
}
