/* See growth.h.  Both the rows and the tally are sorted by text and merged. */
#include "cli/inspect/growth.h"

#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/inspect/objects.h"
#include "cli/message.h"

static void *need(void *memory)
{
    if (memory == NULL) {
        fo_error("no memory to compare the looks");
        exit(FO_EXIT_SOFTWARE);
    }
    return memory;
}

static int by_text(const void *left, const void *right)
{
    const struct fo_tally_row *a = left, *b = right;

    return strcmp(a->text, b->text);
}

/* What a row has become; NULL: it has no old blocks any more. */
static void update(struct fo_grown *r, const struct fo_tally_row *now)
{
    uint64_t blocks = now != NULL ? now->blocks : 0, bytes = now != NULL ? now->bytes : 0;

    r->times += blocks > r->blocks || bytes > r->bytes;
    r->blocks = blocks;
    r->bytes = bytes;
    r->key = now != NULL ? now->key : r->key;
}

static struct fo_grown begin(const struct fo_growth *g, const struct fo_tally_row *now)
{
    struct fo_grown r = {.text = need(strdup(now->text)), .key = now->key};

    if (g->has_begun) {
        update(&r, now);
        return r;
    }
    r.first_blocks = r.blocks = now->blocks;
    r.first_bytes = r.bytes = now->bytes;
    return r;
}

void fo_growth_take(struct fo_growth *g, struct fo_tally *old)
{
    struct fo_grown *rows = need(calloc(g->count + old->used + 1, sizeof *rows));
    size_t used = 0;

    if (old->used != 0)
        qsort(old->rows, old->used, sizeof *old->rows, by_text);
    for (size_t i = 0, j = 0; i < g->count || j < old->used;) {
        int order = i == g->count    ? 1
                    : j == old->used ? -1
                                     : strcmp(g->rows[i].text, old->rows[j].text);
        rows[used] = order <= 0 ? g->rows[i] : begin(g, &old->rows[j]);
        if (order <= 0)
            update(&rows[used], order == 0 ? &old->rows[j] : NULL);
        used++;
        i += order <= 0;
        j += order >= 0;
    }
    free(g->rows);
    g->rows = rows;
    g->count = used;
    g->has_begun = true;
}

static int most_growth_first(const void *left, const void *right)
{
    const struct fo_grown *a = *(const struct fo_grown *const *)left,
                          *b = *(const struct fo_grown *const *)right;
    bool a_is_other = strncmp(a->text, FO_NO_OBJECT, strlen(FO_NO_OBJECT)) == 0,
         b_is_other = strncmp(b->text, FO_NO_OBJECT, strlen(FO_NO_OBJECT)) == 0;
    int64_t in_a = (int64_t)(a->bytes - a->first_bytes),
            in_b = (int64_t)(b->bytes - b->first_bytes);

    if (a_is_other != b_is_other)
        return a_is_other ? 1 : -1;
    return in_a != in_b ? (in_a < in_b ? 1 : -1) : strcmp(a->text, b->text);
}

size_t fo_growth_list(const struct fo_growth *g, const struct fo_grown ***list)
{
    size_t used = 0;

    *list = need(calloc(g->count + 1, sizeof(const struct fo_grown *)));
    for (size_t i = 0; i < g->count; i++)
        if (g->rows[i].bytes > g->rows[i].first_bytes ||
            g->rows[i].blocks > g->rows[i].first_blocks)
            (*list)[used++] = &g->rows[i];
    if (used != 0)
        qsort(*list, used, sizeof(const struct fo_grown *), most_growth_first);
    return used;
}

void fo_growth_free(struct fo_growth *g)
{
    for (size_t i = 0; i < g->count; i++)
        free(g->rows[i].text);
    free(g->rows);
}
