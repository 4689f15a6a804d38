/* freeonce heap --watch: what grows while the process runs.  Blocks come and go; those that stay
 * are a leak if they become more with every look. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/exit.h"
#include "cli/inspect/ages.h"
#include "cli/inspect/facts.h"
#include "cli/inspect/growth.h"
#include "cli/inspect/heap.h"
#include "cli/message.h"
#include "cli/output/json_parts.h"

enum { FORMAT_VERSION = 1 };

struct watch {
    const struct fo_heap_arguments *a;
    unsigned long look;
    uint64_t started; /* when the process began */
    struct fo_ages ages;
    struct fo_growth growth;
    struct fo_heap_shown *shown; /* of this look */
    struct fo_tally old;
    uint64_t old_blocks, old_bytes;
    uint64_t blocks, bytes; /* live ones of the look before */
};

/* --- one look ----------------------------------------------------------------------------------
 */

static void see(void *context, const struct fo_block_seen *block)
{
    struct watch *w = context;
    uint64_t looks = fo_ages_see(&w->ages, block->payload, block->site, block->size);

    if (looks < w->a->old)
        return;
    fo_tally_add(&w->old, fo_heap_key(w->shown, block), block->size);
    w->old_blocks++;
    w->old_bytes += block->size;
}

/* Looks since the first one that could see old blocks. */
static unsigned long compared(const struct watch *w)
{
    return w->look > w->a->old ? w->look - w->a->old : 0;
}

static void print_look(const struct watch *w)
{
    const struct fo_blocks *b = &w->shown->blocks;
    char text[4][FO_GROUPED], clock[32] = "?";
    time_t now = time(NULL);
    struct tm parts;

    if (localtime_r(&now, &parts) != NULL)
        strftime(clock, sizeof clock, "%H:%M:%S", &parts);
    printf("look %lu, %s: %s live blocks, %s bytes", w->look, clock, fo_grouped(b->live, text[0]),
           fo_grouped(b->live_bytes, text[1]));
    if (w->look > 1)
        printf(" (%s, %s)", fo_signed((int64_t)(b->live - w->blocks), text[0]),
               fo_signed((int64_t)(b->live_bytes - w->bytes), text[1]));
    if (w->look >= w->a->old)
        printf("; old: %s blocks, %s bytes", fo_grouped(w->old_blocks, text[0]),
               fo_grouped(w->old_bytes, text[1]));
    putchar('\n');
    if (b->unread != 0 || w->shown->target->source->exhausted)
        puts("  a part of the memory could not be read: blocks there are counted as new later");
    if (w->ages.not_followed != 0)
        printf("  %s blocks are beyond what is followed, and do not become old\n",
               fo_grouped(w->ages.not_followed, text[0]));
}

static void print_text(const struct watch *w)
{
    const struct fo_grown **list;
    size_t count = fo_growth_list(&w->growth, &list);
    unsigned long rows = w->a->rows;
    char text[2][FO_GROUPED], times[48];

    print_look(w);
    if (w->look == 1 && fo_objects_doubt(w->shown->objects) != NULL)
        puts(fo_objects_doubt(w->shown->objects));
    if (count != 0)
        printf("%12s %15s %12s  %s\n", "old blocks", "old bytes", "grew at",
               fo_heap_by_titles[w->a->by]);
    for (size_t i = 0; i < count && (rows == 0 || i < rows); i++) {
        const struct fo_grown *r = list[i];
        snprintf(times, sizeof times, "%lu of %lu", r->times, compared(w));
        printf("%12s %15s %12s  %s\n", fo_signed((int64_t)(r->blocks - r->first_blocks), text[0]),
               fo_signed((int64_t)(r->bytes - r->first_bytes), text[1]), times, r->text);
    }
    if (rows != 0 && count > rows)
        printf("%zu other%s grew (--rows 0 shows all)\n", count - rows,
               count - rows == 1 ? "" : "s");
    free(list);
}

static json_t *pair(uint64_t blocks, uint64_t bytes)
{
    json_t *value = fo_json_object();

    fo_json_set(value, "blocks", fo_json_number(blocks));
    fo_json_set(value, "bytes", fo_json_number(bytes));
    return value;
}

static void print_json(const struct watch *w)
{
    const struct fo_grown **list;
    size_t count = fo_growth_list(&w->growth, &list);
    json_t *document = fo_json_object(), *rows = fo_json_array();
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    for (size_t i = 0; i < count; i++) {
        const struct fo_grown *r = list[i];
        json_t *row = fo_json_object();
        fo_heap_row_names(row, w->shown, r->key, r->text);
        fo_json_set(row, "from", pair(r->first_blocks, r->first_bytes));
        fo_json_set(row, "to", pair(r->blocks, r->bytes));
        fo_json_set(row, "grew_at", fo_json_number(r->times));
        fo_json_add(rows, row);
    }
    free(list);
    fo_json_set(document, "type", fo_json_text("heap-look"));
    fo_json_set(document, "version", fo_json_number(FORMAT_VERSION));
    fo_json_set(document, "time",
                fo_json_time((uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec));
    fo_json_set(document, "process", fo_process_json(w->shown->target));
    fo_json_set(document, "look", fo_json_number(w->look));
    fo_json_set(document, "compared", fo_json_number(compared(w)));
    fo_json_set(document, "blocks", fo_blocks_json(w->shown->target, &w->shown->blocks));
    fo_json_set(document, "old", pair(w->old_blocks, w->old_bytes));
    fo_json_set(document, "not_followed", fo_json_number(w->ages.not_followed));
    fo_json_set(document, "by", fo_json_text(fo_heap_by_names[w->a->by]));
    if (w->a->by == FO_HEAP_BY_OBJECT)
        fo_json_set(document, "objects_known",
                    json_boolean(fo_objects_doubt(w->shown->objects) == NULL));
    fo_json_set(document, "rows", rows);
    fo_json_print(document);
}

static int look_at(struct watch *w, struct fo_target *t)
{
    struct fo_heap_shown h = {.target = t, .by = w->a->by};

    w->shown = &h;
    w->old = (struct fo_tally){0};
    w->old_blocks = w->old_bytes = 0;
    if (h.by == FO_HEAP_BY_OBJECT)
        h.objects = fo_objects_start(t);
    fo_ages_next(&w->ages);
    h.blocks.visit = see;
    h.blocks.context = w;
    fo_blocks_read(t, &h.blocks);
    fo_tally_name(&w->old, fo_heap_row_text, &h);
    if (w->look >= w->a->old)
        fo_growth_take(&w->growth, &w->old);
    if (w->a->json)
        print_json(w);
    else
        print_text(w);
    w->blocks = h.blocks.live;
    w->bytes = h.blocks.live_bytes;
    fo_tally_free(&w->old);
    fo_heap_shown_free(&h);
    return fo_shown_is_written();
}

/* Its mappings may be others than at the last look. */
static int look(struct watch *w)
{
    struct fo_source source;
    struct fo_target target;
    uint64_t started = fo_process_started(w->a->pid);
    int status = fo_source_of_process(&source, w->a->pid);

    if (status == FO_EXIT_OK && w->look > 1 && started != w->started) {
        fo_error("process %d has ended; another one has its number now", (int)w->a->pid);
        status = FO_EXIT_NO_INPUT;
    }
    w->started = started;
    if (status == FO_EXIT_OK) {
        enum fo_target_found found = fo_target_find(&target, &source);
        status = found == FO_TARGET_FOUND ? look_at(w, &target) : fo_target_explain(&target, found);
    }
    fo_source_free(&source);
    return status;
}

/* --- all of them -------------------------------------------------------------------------------
 */

static const int64_t second = 1000000000;

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * second + t.tv_nsec;
}

/* False: it was interrupted. */
static bool wait_until(int64_t time, const sigset_t *interrupts)
{
    for (;;) {
        int64_t left = time - now() > 0 ? time - now() : 0;
        struct timespec timeout = {left / second, left % second};
        if (sigtimedwait(interrupts, NULL, &timeout) > 0)
            return false;
        if (errno == EAGAIN)
            return true;
    }
}

int fo_heap_watch(const struct fo_heap_arguments *a)
{
    struct watch w = {.a = a, .look = 1};
    int64_t step = (int64_t)(a->watch * (double)second), next = now();
    sigset_t interrupts;

    /* They are looked at between two looks: what is printed is whole. */
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    sigaddset(&interrupts, SIGTERM);
    sigprocmask(SIG_BLOCK, &interrupts, NULL);
    if (!a->json)
        printf("process %d: a look every %g s; a block is old when %lu looks in a row have seen "
               "it; %s\n",
               (int)a->pid, a->watch, a->old, a->looks != 0 ? "--count ends it" : "Ctrl-C ends");
    int status = look(&w);
    while (status == FO_EXIT_OK && w.look != a->looks) {
        next = next + step > now() ? next + step : now();
        if (!wait_until(next, &interrupts))
            break;
        w.look++;
        status = look(&w);
    }
    fo_ages_free(&w.ages);
    fo_growth_free(&w.growth);
    return status;
}
