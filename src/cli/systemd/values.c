/* The values of a unit's settings: resets, quoting, escapes and specifiers, by systemd.syntax(7),
 * systemd.service(5) "COMMAND LINES" and systemd.unit(5) "SPECIFIERS". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "cli/systemd/unit.h"

/* --- specifiers ------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* As systemd-escape --unescape: "-" is "/", "\x2d" is "-". */
static void put_unescaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        bool escape =
            text[0] == '\\' && text[1] == 'x' && hex_digit(text[2]) >= 0 && hex_digit(text[3]) >= 0;
        if (escape) {
            fputc(hex_digit(text[2]) * 16 + hex_digit(text[3]), out);
            text += 3;
        } else {
            fputc(*text == '-' ? '/' : *text, out);
        }
    }
}

/* Specifiers that are the same for all units of the system's manager; NULL: another one. */
static const char *constant(char specifier)
{
    switch (specifier) {
    case '%':
        return "%";
    case 't':
        return "/run";
    case 'S':
        return "/var/lib";
    case 'C':
        return "/var/cache";
    case 'L':
        return "/var/log";
    case 'E':
        return "/etc";
    case 'T':
        return "/tmp";
    case 'V':
        return "/var/tmp";
    case 'h':
        return "/root";
    case 's':
        return "/bin/sh";
    case 'u':
    case 'g':
        return "root";
    case 'U':
    case 'G':
        return "0";
    default:
        return NULL;
    }
}

static bool put_specifier(FILE *out, struct fo_unit *u, char specifier)
{
    const char *dash = strrchr(u->prefix, '-'), *last = dash == NULL ? u->prefix : dash + 1;
    const char *text = constant(specifier);

    if (text != NULL) {
        fputs(text, out);
        return true;
    }
    if (u->is_template && strchr("nNiIf", specifier) != NULL && specifier != '\0')
        return false;
    switch (specifier) {
    case 'n':
        fputs(u->name, out);
        return true;
    case 'N':
        fprintf(out, "%.*s", (int)(strlen(u->name) - strlen(".service")), u->name);
        return true;
    case 'p':
        fputs(u->prefix, out);
        return true;
    case 'P':
        put_unescaped(out, u->prefix);
        return true;
    case 'i':
        fputs(u->instance, out);
        return true;
    case 'I':
        put_unescaped(out, u->instance);
        return true;
    case 'j':
        fputs(last, out);
        return true;
    case 'J':
        put_unescaped(out, last);
        return true;
    case 'd':
        fprintf(out, "/run/credentials/%s", u->name);
        return true;
    case 'f':
        fputc('/', out);
        put_unescaped(out, *u->instance != '\0' ? u->instance : u->prefix);
        return true;
    default:
        return false;
    }
}

const char *fo_unit_expand(struct fo_unit *unit, const char *text)
{
    char *expanded = NULL;
    size_t size = 0;

    if (strchr(text, '%') == NULL)
        return text;
    FILE *out = open_memstream(&expanded, &size);
    if (out == NULL)
        exit(FO_EXIT_SOFTWARE);
    for (; *text != '\0'; text++) {
        if (*text != '%' || text[1] == '\0') {
            fputc(*text, out);
            continue;
        }
        if (!put_specifier(out, unit, *++text)) {
            const char *name = fo_string_copy(text - 1, 2);
            fputs(name, out);
            if (!fo_list_has(&unit->unexpanded, name))
                fo_list_add(&unit->unexpanded, name);
        }
    }
    fclose(out);
    const char *kept = fo_string_copy(expanded, size);
    free(expanded);
    return kept;
}

/* --- words ------------------------------------------------------------------------------------ */

/* The character of an escape like \x41, \101, \n; `*at` is moved to its last character. */
static int unescape(const char **at)
{
    static const char names[] = "abfnrtvs", values[] = "\a\b\f\n\r\t\v ";
    const char *c = *at, *name = *c == '\0' ? NULL : strchr(names, *c);

    if (name != NULL)
        return values[name - names];
    if (c[0] == 'x' && hex_digit(c[1]) >= 0 && hex_digit(c[2]) >= 0) {
        *at += 2;
        return hex_digit(c[1]) * 16 + hex_digit(c[2]);
    }
    if (c[0] >= '0' && c[0] <= '3' && c[1] >= '0' && c[1] <= '7' && c[2] >= '0' && c[2] <= '7') {
        *at += 2;
        return (c[0] - '0') * 64 + (c[1] - '0') * 8 + c[2] - '0';
    }
    return (unsigned char)*c; /* a quote, a backslash, or a character that is no escape */
}

/* One word into `word`, which has room for all of `line`.  Returns the word's end in `line`. */
static const char *next_word(const char *line, char *word, size_t *length)
{
    char quote = '\0';

    *length = 0;
    for (; *line != '\0'; line++) {
        if (quote == '\0' && strchr(" \t\r\n", *line) != NULL)
            break;
        if (*line == '\\' && line[1] != '\0') {
            line++;
            word[(*length)++] = (char)unescape(&line);
        } else if (quote == *line && quote != '\0') {
            quote = '\0';
        } else if (quote == '\0' && (*line == '"' || *line == '\'')) {
            quote = *line;
        } else {
            word[(*length)++] = *line;
        }
    }
    return line;
}

void fo_unit_split(struct fo_unit *unit, const char *line, struct fo_list *words)
{
    char *word = malloc(strlen(line) + 1);
    size_t length;

    if (word == NULL)
        exit(FO_EXIT_SOFTWARE);
    for (line += strspn(line, " \t\r\n"); *line != '\0'; line += strspn(line, " \t\r\n")) {
        line = next_word(line, word, &length);
        fo_list_add(words, fo_unit_expand(unit, fo_string_copy(word, length)));
    }
    free(word);
}

/* --- values ----------------------------------------------------------------------------------- */

const char *fo_unit_value(struct fo_unit *unit, const char *key)
{
    for (size_t i = unit->count; i-- > 0;)
        if (strcmp(unit->entries[i].key, key) == 0)
            return *unit->entries[i].value == '\0' ? NULL
                                                   : fo_unit_expand(unit, unit->entries[i].value);
    return NULL;
}

bool fo_is_yes(const char *value)
{
    static const char *const yes[] = {"1", "yes", "y", "true", "t", "on"};

    for (size_t i = 0; value != NULL && i < sizeof yes / sizeof yes[0]; i++)
        if (strcasecmp(value, yes[i]) == 0)
            return true;
    return false;
}

bool fo_unit_flag(struct fo_unit *unit, const char *key)
{
    return fo_is_yes(fo_unit_value(unit, key));
}

struct fo_list fo_unit_lines(const struct fo_unit *unit, const char *key)
{
    struct fo_list lines = {0};

    for (size_t i = 0; i < unit->count; i++) {
        if (strcmp(unit->entries[i].key, key) != 0)
            continue;
        if (*unit->entries[i].value == '\0')
            fo_list_free(&lines);
        else
            fo_list_add(&lines, unit->entries[i].value);
    }
    return lines;
}

struct fo_list fo_unit_words(struct fo_unit *unit, const char *key)
{
    struct fo_list lines = fo_unit_lines(unit, key), words = {0};

    for (size_t i = 0; i < lines.count; i++)
        fo_unit_split(unit, lines.items[i], &words);
    fo_list_free(&lines);
    return words;
}
