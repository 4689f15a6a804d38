/* See heap.h: the blocks of a process, counted by what the command line says. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/inspect/heap.h"
#include "cli/message.h"

const char *const fo_heap_by_names[] = {"line", "size", "process"};

static void count(void *context, const struct fo_block_seen *block)
{
    struct fo_heap_shown *h = context;
    const uint64_t keys[] = {block->site, block->size, block->process};

    fo_tally_add(&h->tally, keys[h->by], block->size);
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
    default:
        fo_target_process(h->target, (uint32_t)key, &process);
        return need(asprintf(&text, "pid %u (%s)", process.pid, process.name) < 0 ? NULL : text);
    }
}

void fo_heap_count(struct fo_heap_shown *h)
{
    h->blocks.visit = count;
    h->blocks.context = h;
    fo_blocks_read(h->target, &h->blocks);
    fo_tally_name(&h->tally, fo_heap_row_text, h);
}
