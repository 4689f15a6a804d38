/* See heap.h: the blocks of a process, counted by what the command line says. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/inspect/heap.h"
#include "cli/message.h"

const char *const fo_heap_by_names[] = {"line", "size", "process", "object"};

uint64_t fo_heap_key(struct fo_heap_shown *h, const struct fo_block_seen *block)
{
    switch (h->by) {
    case FO_HEAP_BY_LINE:
        return block->site;
    case FO_HEAP_BY_SIZE:
        return block->size;
    case FO_HEAP_BY_OBJECT:
        return fo_object_key(h->objects, block->site, block->size);
    default:
        return block->process;
    }
}

static void note_context(struct fo_heap_shown *h, const struct fo_block_seen *block, uint64_t key)
{
    const char *name = fo_object_name(key);
    bool is_context = name != NULL && strcmp(name, "SSL_CTX") == 0,
         is_user =
             name != NULL ? strcmp(name, "SSL") == 0 : fo_object_is_quic(h->objects, block->site);

    if (is_context || is_user)
        fo_contexts_add(&h->contexts, block, is_context);
}

static void count(void *context, const struct fo_block_seen *block)
{
    struct fo_heap_shown *h = context;

    uint64_t key = fo_heap_key(h, block);

    fo_tally_add(&h->tally, key, block->size);
    if (h->by == FO_HEAP_BY_OBJECT)
        note_context(h, block, key);
    if (h->stacks != NULL)
        fo_stacks_add(h->stacks, block, key);
}

static char *need(char *text)
{
    if (text == NULL) {
        fo_error("no memory for the names of the rows");
        exit(FO_EXIT_SOFTWARE);
    }
    return text;
}

char *fo_heap_row_text(void *context, uint64_t key)
{
    struct fo_heap_shown *h = context;
    char site[FO_SITE_TEXT], *text = NULL;
    struct fo_target_process process;

    switch (h->by) {
    case FO_HEAP_BY_LINE:
        fo_target_site(h->target, key, site);
        return need(strdup(site));
    case FO_HEAP_BY_SIZE:
        return need(asprintf(&text, "%" PRIu64, key) < 0 ? NULL : text);
    case FO_HEAP_BY_OBJECT:
        if (fo_object_name(key) != NULL)
            return need(strdup(fo_object_name(key)));
        fo_target_site(h->target, key, site);
        return need(asprintf(&text, FO_NO_OBJECT "%s", site) < 0 ? NULL : text);
    default:
        fo_target_process(h->target, (uint32_t)key, &process);
        return need(asprintf(&text, "pid %u (%s)", process.pid, process.name) < 0 ? NULL : text);
    }
}

/* Those that are not known come last, in their order. */
static void objects_first(struct fo_tally *t)
{
    struct fo_tally_row *rows = calloc(t->used + 1, sizeof *rows);
    size_t used = 0;

    need((char *)rows);
    for (int known = 1; known >= 0; known--)
        for (size_t i = 0; i < t->used; i++)
            if ((fo_object_name(t->rows[i].key) != NULL) == known)
                rows[used++] = t->rows[i];
    free(t->rows);
    t->rows = rows;
}

void fo_heap_count(struct fo_heap_shown *h)
{
    if (h->by == FO_HEAP_BY_OBJECT)
        h->objects = fo_objects_start(h->target);
    h->blocks.visit = count;
    h->blocks.context = h;
    fo_blocks_read(h->target, &h->blocks);
    fo_contexts_find(&h->contexts, h->target->source);
    if (h->stacks != NULL)
        fo_stacks_finish(h->stacks, fo_heap_row_text, h);
    fo_tally_name(&h->tally, fo_heap_row_text, h);
    if (h->by == FO_HEAP_BY_OBJECT)
        objects_first(&h->tally);
}

void fo_heap_shown_free(struct fo_heap_shown *h)
{
    fo_tally_free(&h->tally);
    fo_contexts_free(&h->contexts);
    fo_objects_free(h->objects);
}
