/* freeonce heap --stacks: live blocks by caller, for people and as JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/inspect/heap.h"
#include "cli/output/describe.h"
#include "cli/output/json_parts.h"

/* --- text --------------------------------------------------------------------------------------
 */

static void print_frame(const struct fo_code *code)
{
    fputs("                                ", stdout);
    fo_describe_code(stdout, code);
    putchar('\n');
}

static void print_row(const struct fo_stacks *s, const struct fo_stack_row *row)
{
    char counts[2][FO_GROUPED];

    printf("%12s %15s  %s\n", fo_grouped(row->samples * s->one_in, counts[0]),
           fo_grouped(row->bytes * s->one_in, counts[1]), row->text);
    for (size_t i = 0; i < row->frame_count; i++)
        print_frame(&row->frames[i]);
    if (row->frame_count == 0)
        puts("                                ?");
}

static uint64_t samples_of(const struct fo_stacks *s)
{
    uint64_t samples = 0;

    for (size_t i = 0; i < s->count; i++)
        samples += s->rows[i].samples;
    return samples;
}

static void print_doubts(const struct fo_heap_shown *h)
{
    const struct fo_stacks *s = h->stacks;
    char text[FO_GROUPED];

    if (s->without != 0)
        printf("%s more have no stack that is known\n", fo_grouped(s->without, text));
    if (s->full != 0)
        printf("%s samples were not kept, since there was no room: the estimates are too low; "
               "a larger N in FREEONCE_SAMPLE=1/N needs less\n",
               fo_grouped(s->full, text));
    fo_blocks_doubts(h->target, &h->blocks);
    if (fo_objects_doubt(h->objects) != NULL)
        puts(fo_objects_doubt(h->objects));
}

void fo_stacks_text(const struct fo_heap_shown *h, unsigned long rows)
{
    const struct fo_stacks *s = h->stacks;
    size_t shown = rows == 0 || rows > s->count ? s->count : rows;
    char counts[3][FO_GROUPED];

    printf("%s: %s live blocks of OpenSSL, %s bytes\n", fo_source_words(h->target->source),
           fo_grouped(h->blocks.live, counts[0]), fo_grouped(h->blocks.live_bytes, counts[1]));
    if (s->one_in > 1)
        printf("%s of them have a call stack (FREEONCE_SAMPLE=1/%" PRIu64
               "); each stands for %s, so that the numbers are estimates\n",
               fo_grouped(samples_of(s), counts[0]), s->one_in, fo_grouped(s->one_in, counts[1]));
    if (s->count != 0)
        printf("%12s %15s  %s, called by\n", s->one_in > 1 ? "about blocks" : "blocks",
               s->one_in > 1 ? "about bytes" : "bytes", fo_heap_by_titles[h->by]);
    for (size_t i = 0; i < shown; i++)
        print_row(s, &s->rows[i]);
    if (shown < s->count)
        printf("%s other stack%s (--rows 0 shows all)\n", fo_grouped(s->count - shown, counts[2]),
               s->count - shown == 1 ? "" : "s");
    print_doubts(h);
}

/* --- JSON --------------------------------------------------------------------------------------
 */

static json_t *frame(const struct fo_code *code)
{
    json_t *value = fo_json_object();

    fo_json_set(value, "function", fo_json_text(code->function));
    fo_json_set(value, "file", fo_json_text(code->file));
    fo_json_set(value, "line", fo_json_known(code->line));
    fo_json_set(value, "module", fo_json_text(code->module));
    fo_json_set(value, "address", fo_json_address(code->address));
    return value;
}

json_t *fo_stacks_document(const struct fo_heap_shown *h)
{
    const struct fo_stacks *s = h->stacks;
    json_t *document = fo_heap_document(h), *rows = fo_json_array();

    for (size_t i = 0; i < s->count; i++) {
        json_t *row = fo_json_object(), *frames = fo_json_array();
        fo_json_set(row, "blocks", fo_json_number(s->rows[i].samples * s->one_in));
        fo_json_set(row, "bytes", fo_json_number(s->rows[i].bytes * s->one_in));
        fo_json_set(row, "samples", fo_json_number(s->rows[i].samples));
        fo_heap_row_names(row, h, s->rows[i].key, s->rows[i].text);
        for (size_t j = 0; j < s->rows[i].frame_count; j++)
            fo_json_add(frames, frame(&s->rows[i].frames[j]));
        fo_json_set(row, "frames", frames);
        fo_json_add(rows, row);
    }
    fo_json_set(document, "sampled_one_in", fo_json_number(s->one_in));
    fo_json_set(document, "stacks", rows);
    fo_json_set(document, "stacks_not_kept", fo_json_number(s->full));
    fo_json_set(document, "stacks_not_known", fo_json_number(s->without));
    return document;
}
