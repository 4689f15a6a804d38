/* Reading files of suppressions:
 *
 *   # known, bug 123
 *   [a name]
 *   kind = double-free
 *   site = ssl/ssl_lib.c:*
 *
 * Every mistake is an error that names file and line: an entry with a mistake would hide a finding,
 * or fail a run, and the reason would not be seen. */
#include "cli/output/suppress.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/message.h"
#include "cli/output/suppress_rules.h"
#include "cli/read_all.h"
#include "base/nearest.h"

#define KEYS "kind|object|site|allocated|freed|now|program"

static const char *const kinds[] = {
#define FO_FINDING(KIND, id, free_text, realloc_text) id,
#include "report/findings.def"
#undef FO_FINDING
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

struct reader {
    const char *path;
    unsigned line;
    struct fo_suppression *first, **end; /* entries so far */
    struct fo_suppression *open;         /* the entry to which the next lines belong; NULL: none */
};

static void *need(void *memory)
{
    if (memory == NULL) {
        fo_error("no memory for the suppressions");
        exit(FO_EXIT_SOFTWARE);
    }
    return memory;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Without the blanks at both ends; in place. */
static char *trim(char *text)
{
    size_t length;

    while (is_blank(*text))
        text++;
    length = strlen(text);
    while (length > 0 && is_blank(text[length - 1]))
        length--;
    text[length] = '\0';
    return text;
}

static void put_suggestion(const char *word, const char *choices, char *out, size_t size)
{
    char nearest[32];

    *out = '\0';
    if (fo_nearest_choice(word, choices, nearest, sizeof nearest))
        snprintf(out, size, "; did you mean %s?", nearest);
}

/* False: the entry that ends here has no rule. */
static bool close_entry(struct reader *reader)
{
    const struct fo_suppression *entry = reader->open;

    if (entry == NULL || entry->rules != NULL)
        return true;
    fo_error("%s:%u: the suppression [%s] has no line that says what it matches, and would match "
             "everything; add one, such as kind = double-free",
             reader->path, entry->line, entry->name);
    return false;
}

static bool open_entry(struct reader *reader, char *text)
{
    size_t length = strlen(text);
    struct fo_suppression *entry;

    if (!close_entry(reader))
        return false;
    if (text[length - 1] != ']') {
        fo_error("%s:%u: the name of a suppression ends with ]: %s", reader->path, reader->line,
                 text);
        return false;
    }
    text[length - 1] = '\0';
    text = trim(text + 1);
    if (*text == '\0') {
        fo_error("%s:%u: a suppression needs a name between [ and ]", reader->path, reader->line);
        return false;
    }
    entry = need(calloc(1, sizeof *entry));
    entry->file = need(strdup(reader->path));
    entry->name = need(strdup(text));
    entry->line = reader->line;
    *reader->end = reader->open = entry;
    reader->end = &entry->next;
    return true;
}

bool fo_suppress_has_kind(const char *name)
{
    for (int i = 0; i < KINDS; i++)
        if (strcmp(name, kinds[i]) == 0)
            return true;
    return false;
}

static bool has_matching_kind(const char *glob)
{
    for (int i = 0; i < KINDS; i++)
        if (fnmatch(glob, kinds[i], 0) == 0)
            return true;
    return false;
}

static bool check_kind(const struct reader *reader, const char *glob)
{
    char choices[1024] = "", meant[64];

    if (has_matching_kind(glob))
        return true;
    for (int i = 0; i < KINDS; i++) {
        size_t used = strlen(choices);
        snprintf(choices + used, sizeof choices - used, "%s%s", used > 0 ? "|" : "", kinds[i]);
    }
    put_suggestion(glob, choices, meant, sizeof meant);
    fo_error("%s:%u: no kind of finding is called %s%s", reader->path, reader->line, glob, meant);
    return false;
}

static bool key_of(const struct reader *reader, const char *word, enum fo_suppress_key *key)
{
    static const char *const names[FO_SUPPRESS_KEYS] = {
        [FO_SUPPRESS_KIND] = "kind",       [FO_SUPPRESS_OBJECT] = "object",
        [FO_SUPPRESS_SITE] = "site",       [FO_SUPPRESS_ALLOCATED] = "allocated",
        [FO_SUPPRESS_FREED] = "freed",     [FO_SUPPRESS_NOW] = "now",
        [FO_SUPPRESS_PROGRAM] = "program",
    };
    char meant[64];

    for (int i = 0; i < FO_SUPPRESS_KEYS; i++)
        if (strcmp(word, names[i]) == 0) {
            *key = (enum fo_suppress_key)i;
            return true;
        }
    put_suggestion(word, KEYS, meant, sizeof meant);
    fo_error("%s:%u: there is no key \"%s\"%s", reader->path, reader->line, word,
             *meant != '\0' ? meant
                            : "; there are kind, object, site, allocated, freed, now and program");
    return false;
}

static bool add_rule(struct reader *reader, char *text)
{
    char *value = strchr(text, '='), *word;
    struct fo_suppress_rule *rule;
    enum fo_suppress_key key;

    if (value == NULL) {
        fo_error("%s:%u: neither a comment (#), nor [name], nor key = value: %s", reader->path,
                 reader->line, text);
        return false;
    }
    *value = '\0';
    word = trim(text);
    value = trim(value + 1);
    if (!key_of(reader, word, &key))
        return false;
    if (reader->open == NULL) {
        fo_error("%s:%u: %s stands before the first [name]", reader->path, reader->line, word);
        return false;
    }
    if (*value == '\0') {
        fo_error("%s:%u: %s has no value; leave the line out, or write * for anything",
                 reader->path, reader->line, word);
        return false;
    }
    if (key == FO_SUPPRESS_KIND && !check_kind(reader, value))
        return false;
    rule = need(malloc(sizeof *rule + strlen(value) + 1));
    rule->key = key;
    memcpy(rule->glob, value, strlen(value) + 1);
    rule->next = reader->open->rules;
    reader->open->rules = rule;
    return true;
}

static bool read_line(struct reader *reader, char *text)
{
    text = trim(text);
    if (*text == '\0' || *text == '#')
        return true;
    return *text == '[' ? open_entry(reader, text) : add_rule(reader, text);
}

static bool parse(struct reader *reader, char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < ' ' && text[i] != '\n' && text[i] != '\t' && text[i] != '\r') {
            fo_error("%s is not a text file: byte %zu is %#x", reader->path, i,
                     (unsigned char)text[i]);
            return false;
        }
    }
    for (char *at = text, *next; at != NULL; at = next) {
        next = strchr(at, '\n');
        if (next != NULL)
            *next++ = '\0';
        reader->line++;
        if (!read_line(reader, at))
            return false;
    }
    return close_entry(reader);
}

/* The whole file, with a NUL at its end; NULL: it cannot be read, after a message. */
static char *read_contents(const char *path, size_t *size, int *exit_status)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    enum fo_exit status =
        fd >= 0 ? fo_read_all(fd, FO_SUPPRESS_FILE_MAX, &text, size) : FO_EXIT_NO_INPUT;

    if (status == FO_EXIT_NO_INPUT)
        fo_error("the suppressions %s cannot be read: %s", path, strerror(errno));
    else if (status == FO_EXIT_DATA)
        fo_error("%s is larger than %d MiB: that is no file of suppressions", path,
                 FO_SUPPRESS_FILE_MAX >> 20);
    if (fd >= 0)
        close(fd);
    if (status == FO_EXIT_OK)
        return text;
    *exit_status = (int)status;
    free(text);
    return NULL;
}

bool fo_suppressions_read(struct fo_suppression **list, const char *path, int *exit_status)
{
    struct reader reader = {.path = path};
    size_t size = 0;
    char *text = read_contents(path, &size, exit_status);

    if (text == NULL)
        return false;
    reader.end = &reader.first;
    if (!parse(&reader, text, size)) {
        fo_suppressions_free(reader.first);
        free(text);
        *exit_status = FO_EXIT_DATA;
        return false;
    }
    free(text);
    while (*list != NULL)
        list = &(*list)->next;
    *list = reader.first;
    return true;
}

void fo_suppressions_free(struct fo_suppression *list)
{
    while (list != NULL) {
        struct fo_suppression *entry = list;
        struct fo_suppress_rule *rule = entry->rules;
        list = entry->next;
        while (rule != NULL) {
            struct fo_suppress_rule *next = rule->next;
            free(rule);
            rule = next;
        }
        free((char *)entry->file);
        free((char *)entry->name);
        free(entry);
    }
}
