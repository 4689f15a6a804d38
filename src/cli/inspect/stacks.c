/* See stacks.h.  What is read from the process may be anything: each number is bounded, and a stack
 * counts only if its first word has the keyed hash of its frames. */
#include "cli/inspect/stacks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "cli/exit.h"
#include "cli/inspect/modules.h"
#include "cli/message.h"
#include "cli/symbols/symbols.h"

enum { HEADER = 16, FRAMES_MOST = 256 };

struct fo_stack_reading {
    uint64_t samples, depot; /* addresses */
    uint64_t words;          /* of the depot */
    uint64_t tail;           /* with FREEONCE_STACKS: a block's stack is in its last 8 bytes */
    struct sampled {
        uint64_t payload;
        uint32_t stack;
    } * table; /* in the order of payloads */
    size_t table_count, room;
};

static void *need(void *memory)
{
    if (memory == NULL) {
        fo_error("no memory for the call stacks");
        exit(FO_EXIT_SOFTWARE);
    }
    return memory;
}

/* --- which stack has a block? ------------------------------------------------------------------
 */

static int by_payload(const void *left, const void *right)
{
    const struct sampled *a = left, *b = right;

    return (a->payload > b->payload) - (a->payload < b->payload);
}

static bool read_table(struct fo_stacks *s)
{
    const struct fo_description *d = &s->target->d;
    struct fo_stack_reading *r = s->reading;
    size_t stride = d->in_stacks.rows.stride, size = d->in_stacks.rows.count * stride;
    char *copy = need(malloc(size));
    bool was_read =
        fo_source_read(s->target->source, r->samples + d->in_stacks.rows.offset, copy, size);

    r->table = need(calloc(d->in_stacks.rows.count, sizeof *r->table));
    for (size_t at = 0; was_read && at < size; at += stride) {
        uint64_t payload = fo_target_number_in(copy + at, &d->in_stacks.payload);
        if (payload != 0)
            r->table[r->table_count++] = (struct sampled){
                payload, (uint32_t)fo_target_number_in(copy + at, &d->in_stacks.stack)};
    }
    free(copy);
    if (r->table_count != 0)
        qsort(r->table, r->table_count, sizeof *r->table, by_payload);
    fo_target_number(s->target, r->samples, &d->in_stacks.full, &s->full);
    return was_read;
}

static uint32_t sampled_stack(const struct fo_stack_reading *r, uint64_t payload)
{
    const struct sampled key = {payload, 0}, *found = r->table_count == 0
                                                          ? NULL
                                                          : bsearch(&key, r->table, r->table_count,
                                                                    sizeof key, by_payload);

    return found != NULL ? found->stack : 0;
}

/* As fo_stack_of() in block/watch.c. */
static uint32_t kept_stack(struct fo_stacks *s, const struct fo_block_seen *block)
{
    uint64_t room = (block->size + s->reading->tail + 15) & ~UINT64_C(15), word = 0;

    if (!fo_source_read(s->target->source, block->payload + room - sizeof word, &word, sizeof word))
        return 0;
    uint32_t stack = (uint32_t)word;
    return word == ((s->target->secret ^ block->payload ^ stack) << 32 | stack) ? stack : 0;
}

void fo_stacks_add(struct fo_stacks *s, const struct fo_block_seen *block, uint64_t key)
{
    struct fo_stack_reading *r = s->reading;

    if (r->table != NULL && !block->is_sampled)
        return;
    uint32_t stack = r->table != NULL ? sampled_stack(r, block->payload) : kept_stack(s, block);
    if (stack == 0) {
        s->without++;
        return;
    }
    if (s->count == r->room) {
        r->room = r->room != 0 ? r->room * 2 : 1024;
        s->rows = need(reallocarray(s->rows, r->room, sizeof *s->rows));
    }
    s->rows[s->count++] =
        (struct fo_stack_row){.stack = stack, .key = key, .samples = 1, .bytes = block->size};
}

/* --- start -------------------------------------------------------------------------------------
 */

static int refuse(const struct fo_stacks *s, const char *why)
{
    fo_error("%s: %s", fo_source_words(s->target->source), why);
    return FO_EXIT_DATA;
}

int fo_stacks_start(struct fo_stacks *s, struct fo_target *t)
{
    const struct fo_description *d = &t->d;
    const struct fo_field pointer = {0, sizeof(uint64_t)};
    uint64_t all = 0;

    *s = (struct fo_stacks){.target = t, .one_in = 1};
    struct fo_stack_reading *r = s->reading = need(calloc(1, sizeof *r));
    if (!fo_target_number(t, d->options, &d->in_stacks.one_in, &s->one_in) ||
        !fo_target_number(t, d->options, &d->in_stacks.all, &all) ||
        !fo_target_number(t, d->hot, &d->in_stacks.tail, &r->tail) ||
        !fo_target_number(t, d->in_stacks.samples, &pointer, &r->samples) ||
        !fo_target_number(t, d->in_stacks.depot, &pointer, &r->depot))
        return refuse(s, "its options cannot be read");
    if (all == 0 && s->one_in == 0)
        return refuse(s, "it keeps no call stacks: start it with FREEONCE_SAMPLE=1/1000, "
                         "or in a test with FREEONCE_STACKS=16");
    if (all != 0)
        s->one_in = 1;
    if (r->depot == 0 || (all == 0 && r->samples == 0))
        return refuse(s, "it has no call stacks yet, or had no memory for them");
    if (!fo_target_number(t, r->depot, &d->in_stacks.count, &r->words))
        return refuse(s, t->source->core != NULL
                             ? "its core file has no call stacks: with FREEONCE_SAMPLE it has"
                             : "its call stacks cannot be read");
    return all != 0 || read_table(s) ? FO_EXIT_OK : refuse(s, "its samples cannot be read");
}

/* --- sums --------------------------------------------------------------------------------------
 */

static int by_stack(const void *left, const void *right)
{
    const struct fo_stack_row *a = left, *b = right;

    if (a->stack != b->stack)
        return a->stack < b->stack ? -1 : 1;
    return (a->key > b->key) - (a->key < b->key);
}

static int most_bytes_first(const void *left, const void *right)
{
    const struct fo_stack_row *a = left, *b = right;

    return a->bytes != b->bytes ? (a->bytes < b->bytes ? 1 : -1) : by_stack(left, right);
}

static void add_up(struct fo_stacks *s)
{
    size_t used = 0;

    if (s->count != 0)
        qsort(s->rows, s->count, sizeof *s->rows, by_stack);
    for (size_t i = 0; i < s->count; i++) {
        struct fo_stack_row *row = &s->rows[i];
        if (used != 0 && by_stack(row, &s->rows[used - 1]) == 0) {
            s->rows[used - 1].samples += row->samples;
            s->rows[used - 1].bytes += row->bytes;
        } else {
            s->rows[used++] = *row;
        }
    }
    s->count = used;
    if (used != 0)
        qsort(s->rows, used, sizeof *s->rows, most_bytes_first);
}

/* --- frames ------------------------------------------------------------------------------------
 */

/* As the library's own in report/stacks.c. */
static uint64_t first_word(uint64_t secret, const uint64_t *frames, uint64_t count)
{
    uint64_t h = secret ^ count;

    for (uint64_t i = 0; i < count; i++)
        h = (h ^ frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
    return h >> 32 << 32 | count;
}

static uint64_t read_frames(struct fo_stacks *s, uint32_t stack, uint64_t out[FRAMES_MOST])
{
    const struct fo_description *d = &s->target->d;
    uint64_t at = s->reading->depot + d->in_stacks.words.offset + (uint64_t)stack * sizeof *out,
             first;

    if (stack >= s->reading->words || stack >= d->in_stacks.words.count ||
        !fo_source_read(s->target->source, at, &first, sizeof first))
        return 0;
    uint64_t count = (uint32_t)first;
    if (count > d->in_stacks.frames || count > FRAMES_MOST ||
        !fo_source_read(s->target->source, at + sizeof first, out, count * sizeof *out))
        return 0;
    return first_word(s->target->secret, out, count) == first ? count : 0;
}

static void name_frames(struct fo_stacks *s, struct fo_modules *modules, struct fo_stack_row *row)
{
    uint64_t frames[FRAMES_MOST], count = read_frames(s, row->stack, frames);

    row->frames = fo_model_allocate(&s->model, (count + 1) * sizeof *row->frames);
    row->frame_count = count;
    for (uint64_t i = 0; i < count; i++)
        row->frames[i] = fo_module_code(modules, frames[i]);
}

static void find_functions(struct fo_stacks *s)
{
    size_t count = 0, used = 0;

    for (size_t i = 0; i < s->count; i++)
        count += s->rows[i].frame_count;
    struct fo_code **codes = need(calloc(count + 1, sizeof(void *)));
    for (size_t i = 0; i < s->count; i++)
        for (size_t j = 0; j < s->rows[i].frame_count; j++)
            if (s->rows[i].frames[j].module != NULL)
                codes[used++] = &s->rows[i].frames[j];
    /* Copies of the process's blocks are gone; without this, /proc/self/fd is root's. */
    prctl(PR_SET_DUMPABLE, 1);
    fo_symbols_resolve_codes(&s->model, codes, used, FO_SYMBOLS_OWN);
    free(codes);
}

void fo_stacks_finish(struct fo_stacks *s, char *(*name)(void *context, uint64_t key),
                      void *context)
{
    struct fo_modules *modules = fo_modules_start(s->target->source, &s->model);

    add_up(s);
    for (size_t i = 0; i < s->count; i++) {
        s->rows[i].text = name(context, s->rows[i].key);
        name_frames(s, modules, &s->rows[i]);
    }
    fo_modules_free(modules);
    find_functions(s);
}

void fo_stacks_free(struct fo_stacks *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->rows[i].text);
    free(s->rows);
    if (s->reading != NULL)
        free(s->reading->table);
    free(s->reading);
    fo_model_free(&s->model);
}
