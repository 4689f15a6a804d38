/* freeonce heap --flame: one line a stack, outermost function first, and the bytes of its live
 * blocks, as stackcollapse-perf.pl writes it.  flamegraph.pl, inferno and speedscope read it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/inspect/show.h"
#include "cli/output/describe.h"
#include "cli/replace_file.h"

/* ';' separates frames. */
static void put_frame(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        putc(*text == ';' ? ':' : *text, out);
}

static void put_code(FILE *out, const struct fo_code *code)
{
    struct fo_description_text one;

    fo_describe_start(&one);
    if (code->function != NULL)
        fo_describe_text(one.out, code->function);
    else
        fo_describe_code(one.out, code);
    char *text = fo_describe_end(&one);
    put_frame(out, text);
    free(text);
}

int fo_stacks_write_folded(const struct fo_heap_shown *h, const char *path)
{
    struct fo_description_text all;

    fo_describe_start(&all);
    for (size_t i = 0; i < h->stacks->count; i++) {
        const struct fo_stack_row *row = &h->stacks->rows[i];
        put_frame(all.out, h->target->source->name);
        for (size_t j = row->frame_count; j > 0; j--) {
            putc(';', all.out);
            put_code(all.out, &row->frames[j - 1]);
        }
        putc(';', all.out);
        put_frame(all.out, row->text);
        fprintf(all.out, " %" PRIu64 "\n", row->bytes * h->stacks->one_in);
    }
    char *text = fo_describe_end(&all);
    int status = (int)fo_replace_file(path, text);
    free(text);
    return status;
}
