/* freeonce heap --diff: what grew from one saved heap to another? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/inspect/heap.h"
#include "cli/inspect/saved.h"
#include "cli/message.h"
#include "cli/output/json_parts.h"

enum { FORMAT_VERSION = 1 };

struct change {
    const struct fo_saved_row *from, *to; /* NULL: there was none; never both */
    int64_t blocks, bytes;
};

struct diff {
    struct fo_saved from, to;
    struct change *changes;
    size_t count;
};

static const char *text_of(const struct change *c)
{
    return c->from != NULL ? c->from->text : c->to->text; /* the same in both */
}

static int most_growth_first(const void *left, const void *right)
{
    const struct change *a = left, *b = right;

    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    if (a->blocks != b->blocks)
        return a->blocks < b->blocks ? 1 : -1;
    return strcmp(text_of(a), text_of(b));
}

static void add(struct diff *d, const struct fo_saved_row *from, const struct fo_saved_row *to)
{
    static const struct fo_saved_row none;
    const struct fo_saved_row *a = from != NULL ? from : &none, *b = to != NULL ? to : &none;

    d->changes[d->count++] = (struct change){from, to, (int64_t)b->blocks - (int64_t)a->blocks,
                                             (int64_t)b->bytes - (int64_t)a->bytes};
}

/* Both have their rows in the order of texts. */
static void compare(struct diff *d)
{
    const struct fo_saved *a = &d->from, *b = &d->to;

    d->changes = calloc(a->count + b->count + 1, sizeof *d->changes);
    if (d->changes == NULL) {
        fo_error("no memory to compare %s and %s", a->path, b->path);
        exit(FO_EXIT_SOFTWARE);
    }
    for (size_t i = 0, j = 0; i < a->count || j < b->count;) {
        int order = i == a->count   ? 1
                    : j == b->count ? -1
                                    : strcmp(a->rows[i].text, b->rows[j].text);
        add(d, order <= 0 ? &a->rows[i] : NULL, order >= 0 ? &b->rows[j] : NULL);
        i += order <= 0;
        j += order >= 0;
    }
    qsort(d->changes, d->count, sizeof *d->changes, most_growth_first);
}

/* --- text --------------------------------------------------------------------------------------
 */

static const char *per_cent(uint64_t from, int64_t change, char text[FO_GROUPED])
{
    if (from == 0)
        snprintf(text, FO_GROUPED, "%s", change == 0 ? "0.0 %" : "new");
    else
        snprintf(text, FO_GROUPED, "%+.1f %%", 100.0 * (double)change / (double)from);
    return text;
}

static void print_change(const struct change *c)
{
    char text[4][FO_GROUPED];

    printf("%12s %10s %15s %10s  %s\n", fo_signed(c->blocks, text[0]),
           per_cent(c->from != NULL ? c->from->blocks : 0, c->blocks, text[1]),
           fo_signed(c->bytes, text[2]),
           per_cent(c->from != NULL ? c->from->bytes : 0, c->bytes, text[3]), text_of(c));
}

static void print_saved(const char *which, const struct fo_saved *s)
{
    char text[2][FO_GROUPED];

    printf("%s %s: process %llu (%s), %s: %s live blocks, %s bytes%s\n", which, s->path,
           (unsigned long long)s->pid, s->name, s->time, fo_grouped(s->blocks, text[0]),
           fo_grouped(s->bytes, text[1]), s->complete ? "" : "; it was not read whole");
}

static void print_text(const struct diff *d, unsigned long rows)
{
    size_t grown = 0, less = 0, same = 0;

    for (size_t i = 0; i < d->count; i++) {
        bool is_more = d->changes[i].bytes > 0 || d->changes[i].blocks > 0,
             is_less = d->changes[i].bytes < 0 || d->changes[i].blocks < 0;
        grown += is_more;
        less += is_less && !is_more;
        same += !is_more && !is_less;
    }
    print_saved("from", &d->from);
    print_saved("to  ", &d->to);
    if (grown != 0)
        printf("%12s %10s %15s %10s  %s\n", "blocks", "", "bytes", "", fo_heap_by_titles[d->to.by]);
    else
        puts("nothing grew");
    for (size_t i = 0, shown = 0; i < d->count && (rows == 0 || shown < rows); i++)
        if (d->changes[i].bytes > 0 || d->changes[i].blocks > 0) {
            print_change(&d->changes[i]);
            shown++;
        }
    if (rows != 0 && grown > rows)
        printf("%zu other%s grew (--rows 0 shows all)\n", grown - rows,
               grown - rows == 1 ? "" : "s");
    printf("%zu shrank, %zu stayed the same\n", less, same);
}

/* --- JSON --------------------------------------------------------------------------------------
 */

static json_t *both(uint64_t from, uint64_t to)
{
    json_t *value = fo_json_object();

    fo_json_set(value, "from", fo_json_number(from));
    fo_json_set(value, "to", fo_json_number(to));
    return value;
}

static json_t *saved(const struct fo_saved *s)
{
    json_t *value = fo_json_object();

    fo_json_set(value, "process", json_incref(json_object_get(s->document, "process")));
    fo_json_set(value, "time", fo_json_text(s->time));
    fo_json_set(value, "complete", json_boolean(s->complete));
    return value;
}

static void print_json(const struct diff *d)
{
    json_t *document = fo_json_object(), *rows = fo_json_array(), *live = fo_json_object();

    for (size_t i = 0; i < d->count; i++) {
        const struct change *c = &d->changes[i];
        json_t *row = json_incref((c->to != NULL ? c->to : c->from)->names);
        fo_json_set(row, "blocks",
                    both(c->from != NULL ? c->from->blocks : 0, c->to != NULL ? c->to->blocks : 0));
        fo_json_set(row, "bytes",
                    both(c->from != NULL ? c->from->bytes : 0, c->to != NULL ? c->to->bytes : 0));
        fo_json_add(rows, row);
    }
    fo_json_set(live, "blocks", both(d->from.blocks, d->to.blocks));
    fo_json_set(live, "bytes", both(d->from.bytes, d->to.bytes));
    fo_json_set(document, "type", fo_json_text("heap-diff"));
    fo_json_set(document, "version", fo_json_number(FORMAT_VERSION));
    fo_json_set(document, "from", saved(&d->from));
    fo_json_set(document, "to", saved(&d->to));
    fo_json_set(document, "live", live);
    fo_json_set(document, "by", fo_json_text(fo_heap_by_names[d->to.by]));
    fo_json_set(document, "rows", rows);
    fo_json_print(document);
}

static int show(struct diff *d, const struct fo_heap_arguments *a)
{
    if (d->from.by != d->to.by) {
        fo_error("%s counts blocks by %s, and %s by %s: save both with the same --by", d->from.path,
                 fo_heap_by_names[d->from.by], d->to.path, fo_heap_by_names[d->to.by]);
        return FO_EXIT_DATA;
    }
    compare(d);
    if (a->json)
        print_json(d);
    else
        print_text(d, a->rows);
    free(d->changes);
    return fo_shown_is_written();
}

int fo_heap_diff(const struct fo_heap_arguments *a)
{
    struct diff d = {0};
    int status = fo_saved_read(&d.from, a->files[0]);

    if (status == FO_EXIT_OK)
        status = fo_saved_read(&d.to, a->files[1]);
    if (status == FO_EXIT_OK)
        status = show(&d, a);
    fo_saved_free(&d.from);
    fo_saved_free(&d.to);
    return status;
}
