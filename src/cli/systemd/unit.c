/* See unit.h: lines, sections and assignments of a unit file. */
#include "cli/systemd/unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"

#define BLANK " \t\r"

/* --- memory ----------------------------------------------------------------------------------- */

static struct kept {
    struct kept *next;
    char text[];
} * all_kept; /* so that leak checkers find them */

static void *need(void *memory)
{
    if (memory == NULL) {
        fo_error("out of memory");
        exit(FO_EXIT_SOFTWARE);
    }
    return memory;
}

const char *fo_string_copy(const char *text, size_t length)
{
    struct kept *kept = need(malloc(sizeof *kept + length + 1));

    memcpy(kept->text, text, length);
    kept->text[length] = '\0';
    kept->next = all_kept;
    all_kept = kept;
    return kept->text;
}

const char *fo_string_format(const char *format, ...)
{
    char *text;
    va_list arguments;

    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    need(length < 0 ? NULL : text);
    const char *kept = fo_string_copy(text, (size_t)length);
    free(text);
    return kept;
}

/* Make room for one more item; the room is doubled at each power of two. */
static void *grown(void *items, size_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return items;
    return need(reallocarray(items, count == 0 ? 1 : 2 * count, size));
}

void fo_list_add(struct fo_list *list, const char *item)
{
    list->items = grown(list->items, list->count, sizeof *list->items);
    list->items[list->count++] = item;
}

void fo_list_free(struct fo_list *list)
{
    free((void *)list->items);
    *list = (struct fo_list){0};
}

bool fo_list_has(const struct fo_list *list, const char *item)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], item) == 0)
            return true;
    return false;
}

/* --- names ------------------------------------------------------------------------------------ */

static bool is_unit_name(const char *name, size_t length)
{
    return length > 0 && length < 200 && name[0] != '@' && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@") >=
               length;
}

enum fo_exit fo_unit_name(struct fo_unit *unit, const char *name)
{
    static const char *const others[] = {".socket", ".timer", ".mount", ".target", ".path",
                                         ".slice",  ".scope", ".swap",  ".device", ".automount"};
    const char *slash = strrchr(name, '/'), *base = slash == NULL ? name : slash + 1;
    size_t length = strlen(base), suffix = strlen(".service");

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        size_t n = strlen(others[i]);
        if (length > n && strcmp(base + length - n, others[i]) == 0) {
            fo_error("%s runs no program of its own: name the .service that does", base);
            return FO_EXIT_USAGE;
        }
    }
    if (length > suffix && strcmp(base + length - suffix, ".service") == 0)
        length -= suffix;
    if (!is_unit_name(base, length)) {
        fo_error("\"%.80s\" cannot be the name of a service%s", base,
                 slash != NULL ? "; give the name too: freeonce systemd NAME --unit-file FILE"
                               : "");
        return FO_EXIT_USAGE;
    }
    const char *stem = fo_string_copy(base, length), *at = strchr(stem, '@');
    unit->name = fo_string_format("%s.service", stem);
    unit->prefix = at == NULL ? stem : fo_string_copy(stem, (size_t)(at - stem));
    unit->instance = at == NULL ? "" : at + 1;
    unit->is_template = at != NULL && at[1] == '\0';
    return FO_EXIT_OK;
}

void fo_unit_free(struct fo_unit *unit)
{
    free(unit->entries);
    fo_list_free(&unit->unexpanded);
    unit->entries = NULL;
    unit->count = 0;
}

/* --- lines ------------------------------------------------------------------------------------ */

struct reader {
    struct fo_unit *unit;
    const char *file;
    char *line; /* a logical line, of several lines of the file */
    size_t used;
    bool in_service, is_own, continued;
};

static void assign(struct reader *r)
{
    char *at = r->line + strspn(r->line, BLANK), *end = r->line + r->used;

    while (end > at && strchr(BLANK, end[-1]) != NULL)
        *--end = '\0';
    if (*at == '[') {
        r->in_service = strcmp(at, "[Service]") == 0;
        r->unit->has_service |= r->in_service;
        return;
    }
    char *equals = strchr(at, '=');
    if (!r->in_service || equals == NULL || equals == at)
        return;
    char *key_end = equals;
    while (key_end > at && strchr(BLANK, key_end[-1]) != NULL)
        key_end--;
    const char *value = equals + 1 + strspn(equals + 1, BLANK);
    struct fo_unit *u = r->unit;
    u->entries = grown(u->entries, u->count, sizeof *u->entries);
    u->entries[u->count++] =
        (struct fo_entry){fo_string_copy(at, (size_t)(key_end - at)),
                          fo_string_copy(value, (size_t)(end - value)), r->file};
}

/* `systemctl cat` prints "# /path/of/the/file" before each file. */
static const char *file_header(const char *line, size_t length)
{
    if (length < 10 || strncmp(line, "# /", 3) != 0)
        return NULL;
    if (strncmp(line + length - 5, ".conf", 5) != 0 &&
        strncmp(line + length - 8, ".service", 8) != 0)
        return NULL;
    return fo_string_copy(line + 2, length - 2);
}

static bool has_backslash_at_end(const char *line, size_t length)
{
    size_t n = 0;

    while (n < length && line[length - 1 - n] == '\\')
        n++;
    return n % 2 == 1;
}

static void add_line(struct reader *r, const char *line, size_t length)
{
    const char *header = r->continued ? NULL : file_header(line, length);

    if (header != NULL) {
        r->file = header;
        r->is_own = false;
        if (r->unit->file == NULL)
            r->unit->file = header;
    }
    while (length > 0 && strchr(BLANK, *line) != NULL && *line != '\0')
        line++, length--;
    if (strncmp(line, FO_DROPIN_MARKER, strlen(FO_DROPIN_MARKER)) == 0)
        r->is_own = !r->unit->with_own;
    if (r->is_own || (length > 0 && (*line == '#' || *line == ';')))
        return; /* also between continued lines */
    memcpy(r->line + r->used, line, length);
    r->used += length;
    r->line[r->used] = '\0';
    r->continued = has_backslash_at_end(line, length);
    if (r->continued) {
        r->line[r->used - 1] = ' ';
        return;
    }
    assign(r);
    r->used = 0;
}

enum fo_exit fo_unit_parse(struct fo_unit *unit, const char *file, const char *text, size_t length)
{
    struct reader r = {.unit = unit, .file = file};

    if (memchr(text, '\0', length) != NULL) {
        fo_error("%s is no unit file: it holds binary data", file);
        return FO_EXIT_DATA;
    }
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3, length -= 3;
    r.line = need(malloc(length + 1));
    r.line[0] = '\0';
    for (const char *at = text, *end = text + length; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((newline == NULL ? end : newline) - at);
        add_line(&r, at, n);
        at += n + 1;
    }
    if (r.continued)
        assign(&r);
    free(r.line);
    return FO_EXIT_OK;
}
