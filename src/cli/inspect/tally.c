/* See tally.h.  A hash table with linear probing, which becomes a list when it is named. */
#include "cli/inspect/tally.h"

#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/message.h"

static struct fo_tally_row *need_rows(size_t count)
{
    struct fo_tally_row *rows = calloc(count, sizeof *rows);

    if (rows == NULL) {
        fo_error("no memory to count the blocks");
        exit(FO_EXIT_SOFTWARE);
    }
    return rows;
}

static struct fo_tally_row *find(struct fo_tally_row *rows, size_t room, uint64_t key)
{
    size_t at = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (room - 1);

    while (rows[at].blocks != 0 && rows[at].key != key)
        at = (at + 1) & (room - 1);
    return &rows[at];
}

/* Half of the rows stay free. */
static void grow(struct fo_tally *t)
{
    size_t room = t->room != 0 ? t->room * 2 : 256;
    struct fo_tally_row *rows = need_rows(room);

    for (size_t i = 0; i < t->room; i++)
        if (t->rows[i].blocks != 0)
            *find(rows, room, t->rows[i].key) = t->rows[i];
    free(t->rows);
    t->rows = rows;
    t->room = room;
}

void fo_tally_add(struct fo_tally *t, uint64_t key, uint64_t bytes)
{
    if (t->used * 2 >= t->room && t->used < FO_TALLY_MOST)
        grow(t);
    struct fo_tally_row *row = find(t->rows, t->room, key);
    if (row->blocks == 0 && t->used == FO_TALLY_MOST) {
        row = &t->others;
    } else if (row->blocks == 0) {
        row->key = key;
        t->used++;
    }
    row->blocks++;
    row->bytes += bytes;
}

static int by_text(const void *left, const void *right)
{
    const struct fo_tally_row *a = left, *b = right;

    return strcmp(a->text, b->text);
}

static int most_bytes_first(const void *left, const void *right)
{
    const struct fo_tally_row *a = left, *b = right;

    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    return strcmp(a->text, b->text);
}

/* The rows that are used, side by side. */
static void pack(struct fo_tally *t)
{
    size_t used = 0;

    for (size_t i = 0; i < t->room; i++)
        if (t->rows[i].blocks != 0)
            t->rows[used++] = t->rows[i];
}

void fo_tally_name(struct fo_tally *t, char *(*name)(void *context, uint64_t key), void *context)
{
    size_t used = 0;

    pack(t);
    for (size_t i = 0; i < t->used; i++)
        t->rows[i].text = name(context, t->rows[i].key);
    if (t->used != 0)
        qsort(t->rows, t->used, sizeof *t->rows, by_text);
    for (size_t i = 0; i < t->used; i++) {
        struct fo_tally_row *row = &t->rows[i], *last = &t->rows[used - (used != 0)];
        if (used == 0 || strcmp(row->text, last->text) != 0) {
            t->rows[used++] = *row;
            continue;
        }
        last->blocks += row->blocks;
        last->bytes += row->bytes;
        free(row->text);
    }
    t->used = used;
    if (used != 0)
        qsort(t->rows, used, sizeof *t->rows, most_bytes_first);
}

void fo_tally_free(struct fo_tally *t)
{
    for (size_t i = 0; i < t->used; i++)
        free(t->rows[i].text);
    free(t->rows);
}
