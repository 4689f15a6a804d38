/* See show.h. */
#include "cli/inspect/show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/inspect/heap.h"
#include "cli/message.h"
#include "cli/output/json_parts.h"

const char *const fo_heap_by_titles[FO_HEAP_BYS] = {"allocated at", "size in bytes", "allocated by",
                                                    "object"};

const char *fo_grouped(uint64_t number, char text[FO_GROUPED])
{
    char digits[FO_GROUPED];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, number), used = 0;

    for (int i = 0; i < length; i++) {
        if (i != 0 && (length - i) % 3 == 0)
            text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = '\0';
    return text;
}

const char *fo_signed(int64_t number, char text[FO_GROUPED])
{
    char digits[FO_GROUPED];

    fo_grouped(number > 0 ? (uint64_t)number : -(uint64_t)number, digits);
    snprintf(text, FO_GROUPED, "%s%.30s", number > 0 ? "+" : number < 0 ? "-" : "", digits);
    return text;
}

int fo_shown_is_written(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return FO_EXIT_OK;
    fo_error("the output cannot be written: %s", strerror(errno));
    return FO_EXIT_CANNOT_WRITE;
}

void fo_blocks_doubts(const struct fo_target *t, const struct fo_blocks *b)
{
    char text[FO_GROUPED];

    if (b->held != 0)
        printf("%s more are being moved or freed at this moment\n", fo_grouped(b->held, text));
    if (b->unclear != 0)
        printf("%s headers are damaged, or were changing while they were read\n",
               fo_grouped(b->unclear, text));
    if (b->unread != 0)
        printf("%s pages or headers could not be read\n", fo_grouped(b->unread, text));
    if (t->source->exhausted)
        puts("the process says that it has more than it can hold: reading was ended early");
}

/* --- text --------------------------------------------------------------------------------------
 */

static void print_row(uint64_t blocks, uint64_t bytes, const char *text)
{
    char counts[2][FO_GROUPED];

    printf("%12s %15s  %s", fo_grouped(blocks, counts[0]), fo_grouped(bytes, counts[1]), text);
}

static void print_unused(const struct fo_heap_shown *h, uint64_t key)
{
    const char *name = h->by == FO_HEAP_BY_OBJECT ? fo_object_name(key) : NULL;
    char text[FO_GROUPED];

    if (name != NULL && strcmp(name, "SSL_CTX") == 0 && h->contexts.known &&
        h->contexts.unused != 0)
        printf(" (%s in use by no SSL)", fo_grouped(h->contexts.unused, text));
}

static void print_rest(const struct fo_heap_shown *h, size_t from)
{
    struct fo_tally_row rest = h->tally.others;
    size_t count = h->tally.used - from;
    char text[64];

    for (size_t i = from; i < h->tally.used; i++) {
        rest.blocks += h->tally.rows[i].blocks;
        rest.bytes += h->tally.rows[i].bytes;
    }
    if (rest.blocks == 0)
        return;
    if (h->tally.others.blocks != 0)
        snprintf(text, sizeof text, "others");
    else
        snprintf(text, sizeof text, "%zu other%s (--rows 0 shows all)", count,
                 count == 1 ? "" : "s");
    print_row(rest.blocks, rest.bytes, text);
    putchar('\n');
}

void fo_heap_text(const struct fo_heap_shown *h, unsigned long rows)
{
    size_t shown = rows == 0 || rows > h->tally.used ? h->tally.used : rows;
    char counts[2][FO_GROUPED];

    printf("%s: %s live blocks of OpenSSL, %s bytes\n", fo_source_words(h->target->source),
           fo_grouped(h->blocks.live, counts[0]), fo_grouped(h->blocks.live_bytes, counts[1]));
    if (h->blocks.live != 0)
        printf("%12s %15s  %s\n", "blocks", "bytes", fo_heap_by_titles[h->by]);
    for (size_t i = 0; i < shown; i++) {
        print_row(h->tally.rows[i].blocks, h->tally.rows[i].bytes, h->tally.rows[i].text);
        print_unused(h, h->tally.rows[i].key);
        putchar('\n');
    }
    print_rest(h, shown);
    fo_blocks_doubts(h->target, &h->blocks);
    if (fo_objects_doubt(h->objects) != NULL)
        puts(fo_objects_doubt(h->objects));
}

/* --- JSON --------------------------------------------------------------------------------------
 */

void fo_json_print(json_t *document)
{
    json_dumpf(document, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(document);
}

json_t *fo_process_json(const struct fo_target *t)
{
    json_t *value = fo_json_object();

    fo_json_set(value, "pid", fo_json_number((uint64_t)t->source->pid));
    fo_json_set(value, "name", fo_json_text(t->source->name));
    return value;
}

static json_t *pair(uint64_t blocks, uint64_t bytes)
{
    json_t *value = fo_json_object();

    fo_json_set(value, "blocks", fo_json_number(blocks));
    fo_json_set(value, "bytes", fo_json_number(bytes));
    return value;
}

json_t *fo_blocks_json(const struct fo_target *t, const struct fo_blocks *b)
{
    json_t *value = fo_json_object();

    fo_json_set(value, "live", pair(b->live, b->live_bytes));
    fo_json_set(value, "waiting", pair(b->waiting, b->waiting_bytes));
    fo_json_set(value, "held", fo_json_number(b->held));
    fo_json_set(value, "unclear", fo_json_number(b->unclear));
    fo_json_set(value, "unread", fo_json_number(b->unread));
    fo_json_set(value, "complete", json_boolean(b->unread == 0 && !t->source->exhausted));
    return value;
}

void fo_heap_row_names(json_t *row, const struct fo_heap_shown *h, uint64_t key, const char *text)
{
    const char *colon = strrchr(text, ':');
    struct fo_target_process process;

    switch (h->by) {
    case FO_HEAP_BY_OBJECT:
        fo_json_set(row, "object", fo_json_text(fo_object_name(key)));
        if (fo_object_name(key) != NULL)
            break;
        text += strlen(FO_NO_OBJECT);
        /* fall through */
    case FO_HEAP_BY_LINE:
        fo_json_set(row, "file",
                    colon == NULL ? json_null() : json_stringn(text, (size_t)(colon - text)));
        fo_json_set(row, "line", fo_json_number(colon != NULL ? strtoull(colon + 1, NULL, 10) : 0));
        break;
    case FO_HEAP_BY_SIZE:
        fo_json_set(row, "size", fo_json_number(key));
        break;
    default:
        fo_target_process(h->target, (uint32_t)key, &process);
        fo_json_set(row, "pid", fo_json_known(process.pid));
        fo_json_set(row, "name", fo_json_text(process.name));
    }
}

json_t *fo_heap_document(const struct fo_heap_shown *h)
{
    json_t *document = fo_json_object(), *rows = fo_json_array();

    for (size_t i = 0; i < h->tally.used; i++) {
        json_t *row = pair(h->tally.rows[i].blocks, h->tally.rows[i].bytes);
        fo_heap_row_names(row, h, h->tally.rows[i].key, h->tally.rows[i].text);
        fo_json_add(rows, row);
    }
    fo_json_set(document, "type", fo_json_text("heap"));
    fo_json_set(document, "version", fo_json_number(FO_HEAP_FORMAT_VERSION));
    fo_json_set(document, "process", fo_process_json(h->target));
    fo_json_set(document, "library", fo_json_text(h->target->d.library));
    fo_json_set(document, "blocks", fo_blocks_json(h->target, &h->blocks));
    fo_json_set(document, "by", fo_json_text(fo_heap_by_names[h->by]));
    if (h->by == FO_HEAP_BY_OBJECT)
        fo_json_set(document, "objects_known", json_boolean(fo_objects_doubt(h->objects) == NULL));
    if (h->contexts.known)
        fo_json_set(document, "ssl_ctx_in_use_by_no_ssl", fo_json_number(h->contexts.unused));
    fo_json_set(document, "rows", rows);
    fo_json_set(document, "others", pair(h->tally.others.blocks, h->tally.others.bytes));
    return document;
}
