/* See saved.h.  The file is the document of --json, and the time.  Every number is bounded, so that
 * sums and differences of them fit. */
#include "cli/inspect/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/inspect/heap.h"
#include "cli/message.h"
#include "cli/model/clean.h"
#include "cli/output/json_parts.h"
#include "cli/read_all.h"
#include "cli/replace_file.h"

enum { FILE_MOST = 64 << 20 };
#define NUMBER_MOST (INT64_C(1) << 46) /* addresses have 47 bits */

/* --- writing -----------------------------------------------------------------------------------
 */

int fo_saved_write(const struct fo_heap_shown *h, const char *path)
{
    json_t *document = fo_heap_document(h);
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    fo_json_set(document, "time",
                fo_json_time((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec));
    char *text = json_dumps(document, JSON_INDENT(1));
    json_decref(document);
    if (text == NULL) {
        fo_error("no memory for the output as JSON");
        return FO_EXIT_SOFTWARE;
    }
    int status = (int)fo_replace_file(path, text);
    free(text);
    return status;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static int refuse(const struct fo_saved *s, const char *why)
{
    fo_error("%s is no heap that freeonce heap --save wrote: %s", s->path, why);
    return FO_EXIT_DATA;
}

static bool take_number(const json_t *object, const char *key, uint64_t *out)
{
    const json_t *value = json_object_get(object, key);

    *out = json_is_integer(value) ? (uint64_t)json_integer_value(value) : 0;
    return json_is_integer(value) && json_integer_value(value) >= 0 &&
           json_integer_value(value) <= NUMBER_MOST;
}

static char *need(char *text)
{
    if (text == NULL) {
        fo_error("no memory for a saved heap");
        exit(FO_EXIT_SOFTWARE);
    }
    return text;
}

/* A text that can be printed; "?" stands for what is no text. */
static char *clean_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return fo_clean_copy(text != NULL ? text : "?");
}

/* As fo_heap_row_text() made it.  NULL: the row does not say what it counts. */
static char *text_of(enum fo_heap_by by, const json_t *row)
{
    static const char *const numbers[] = {"line", "size", "pid", "line"};
    const char *before = by == FO_HEAP_BY_OBJECT ? FO_NO_OBJECT : "";
    bool has_pid = !json_is_null(json_object_get(row, "pid"));
    uint64_t number = 0;
    char *text = NULL, *name;

    if (by == FO_HEAP_BY_OBJECT && json_is_string(json_object_get(row, "object")))
        return clean_text(row, "object");
    if (!take_number(row, numbers[by], &number) && (by != FO_HEAP_BY_PROCESS || has_pid))
        return NULL;
    switch (by) {
    case FO_HEAP_BY_LINE:
    case FO_HEAP_BY_OBJECT:
        if (!json_is_string(json_object_get(row, "file"))) {
            need(asprintf(&text, "%s?", before) < 0 ? NULL : text);
            return text;
        }
        name = clean_text(row, "file");
        need(asprintf(&text, "%s%s:%llu", before, name, (unsigned long long)number) < 0 ? NULL
                                                                                        : text);
        free(name);
        return text;
    case FO_HEAP_BY_SIZE:
        return need(asprintf(&text, "%llu", (unsigned long long)number) < 0 ? NULL : text);
    default:
        name = clean_text(row, "name");
        need(asprintf(&text, "pid %llu (%s)", (unsigned long long)number, name) < 0 ? NULL : text);
        free(name);
        return text;
    }
}

static bool take_row(struct fo_saved *s, const json_t *row)
{
    struct fo_saved_row *r = &s->rows[s->count];

    if (!take_number(row, "blocks", &r->blocks) || !take_number(row, "bytes", &r->bytes))
        return false;
    r->text = text_of(s->by, row);
    if (r->text == NULL)
        return false;
    r->names = json_copy((json_t *)row);
    json_object_del(r->names, "blocks");
    json_object_del(r->names, "bytes");
    s->count++;
    return true;
}

static int by_text(const void *left, const void *right)
{
    const struct fo_saved_row *a = left, *b = right;

    return strcmp(a->text, b->text);
}

static int take_rows(struct fo_saved *s)
{
    const json_t *rows = json_object_get(s->document, "rows");

    if (!json_is_array(rows) || json_array_size(rows) > FO_TALLY_MOST)
        return refuse(s, "it has no rows, or too many");
    s->rows = calloc(json_array_size(rows) + 1, sizeof *s->rows);
    need((char *)s->rows);
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (!take_row(s, json_array_get(rows, i)))
            return refuse(s, "a row is damaged");
    qsort(s->rows, s->count, sizeof *s->rows, by_text);
    for (size_t i = 1; i < s->count; i++)
        if (strcmp(s->rows[i - 1].text, s->rows[i].text) == 0)
            return refuse(s, "a row is there twice");
    return FO_EXIT_OK;
}

static bool take_by(struct fo_saved *s)
{
    const char *by = json_string_value(json_object_get(s->document, "by"));

    for (unsigned i = 0; by != NULL && i < FO_HEAP_BYS; i++)
        if (strcmp(by, fo_heap_by_names[i]) == 0) {
            s->by = (enum fo_heap_by)i;
            return true;
        }
    return false;
}

static int take_document(struct fo_saved *s)
{
    const char *type = json_string_value(json_object_get(s->document, "type"));
    const json_t *blocks = json_object_get(s->document, "blocks"),
                 *process = json_object_get(s->document, "process"),
                 *live = json_object_get(blocks, "live");
    uint64_t version;

    if (type == NULL || strcmp(type, "heap") != 0)
        return refuse(s, "it is another document");
    if (!take_number(s->document, "version", &version) || version != FO_HEAP_FORMAT_VERSION) {
        fo_error("%s has another version of the format than this command reads (%d); use the "
                 "command that wrote it",
                 s->path, FO_HEAP_FORMAT_VERSION);
        return FO_EXIT_DATA;
    }
    if (!take_by(s))
        return refuse(s, "it does not say what its blocks are counted by");
    if (!take_number(live, "blocks", &s->blocks) || !take_number(live, "bytes", &s->bytes))
        return refuse(s, "it has no numbers of live blocks");
    s->complete = json_is_true(json_object_get(blocks, "complete"));
    take_number(process, "pid", &s->pid);
    s->name = clean_text(process, "name");
    s->time = clean_text(s->document, "time");
    return take_rows(s);
}

int fo_saved_read(struct fo_saved *s, const char *path)
{
    json_error_t error;
    size_t length;
    char *text;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    *s = (struct fo_saved){.path = path};
    int status = (int)(fd < 0 ? FO_EXIT_NO_INPUT : fo_read_all(fd, FILE_MOST, &text, &length));
    if (status == FO_EXIT_NO_INPUT)
        fo_error("cannot read %s: %s", path, strerror(errno));
    if (fd < 0)
        return status;
    close(fd);
    if (status == FO_EXIT_DATA)
        refuse(s, "it has more than 64 MiB");
    if (status == FO_EXIT_OK) {
        s->document = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
        status =
            s->document != NULL ? take_document(s) : refuse(s, "it is no JSON, or was cut off");
    }
    free(text);
    return status;
}

void fo_saved_free(struct fo_saved *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->rows[i].text);
        json_decref(s->rows[i].names);
    }
    free(s->rows);
    free(s->time);
    free(s->name);
    json_decref(s->document);
}
