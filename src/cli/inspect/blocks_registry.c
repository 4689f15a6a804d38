/* Blocks that the registry knows (block/registry.h): of libc, the program's own pool, plug-ins and
 * guarded pages, and of the heap where they are watched. */
#include <stdlib.h>
#include <string.h>

#include "base/block.h"
#include "cli/exit.h"
#include "cli/inspect/blocks.h"
#include "cli/message.h"

struct walk {
    struct fo_target *t;
    struct fo_blocks *b;
    uint64_t *claims, *leaves;
    unsigned char *leaf;
    uint64_t *headers;
    struct {
        uint64_t address[FO_PIECES_MOST]; /* of headers */
        unsigned char state[FO_PIECES_MOST];
        bool was_read[FO_PIECES_MOST];
        size_t used;
    } batch;
};

static void judge(struct walk *w, uint64_t payload, uint64_t site, uint64_t word, uint32_t state)
{
    const struct fo_description *d = &w->t->d;
    uint64_t mask = (UINT64_C(1) << d->word.check_bits) - 1,
             meta = word >> d->word.process_shift << d->word.process_shift,
             check =
                 fo_keyed_hash(w->t->secret, (site ^ meta) + payload) >> (64 - d->word.check_bits);
    bool is_sound = (word & mask) == check;

    if (state == d->registry.freed) {
        w->b->waiting++;
        w->b->waiting_bytes += is_sound ? word >> d->word.size_shift : 0;
    } else if (!is_sound || (uint16_t)word != (uint16_t)(d->word.live | check)) {
        w->b->unclear++;
    } else {
        fo_blocks_count_live(w->t, w->b, payload, site, word);
    }
}

static void flush(struct walk *w)
{
    size_t n = w->batch.used;

    w->batch.used = 0;
    fo_source_read_pieces(w->t->source, w->batch.address, n, w->headers, 2 * sizeof(uint64_t),
                          w->batch.was_read);
    for (size_t i = 0; i < n; i++)
        if (w->batch.was_read[i])
            judge(w, w->batch.address[i] + sizeof(struct fo_header), w->headers[2 * i],
                  w->headers[2 * i + 1], w->batch.state[i]);
        else
            w->b->unread++;
}

static void take_state(struct walk *w, uint64_t payload, uint32_t state)
{
    const struct fo_description *d = &w->t->d;

    if (state == d->registry.busy)
        w->b->held++;
    else if (state == d->registry.damaged)
        w->b->unclear++;
    else if (state == d->registry.freed && w->t->guard) /* its header may lie on a closed page */
        w->b->waiting++;
    if ((state != d->registry.live && state != d->registry.freed) ||
        (state == d->registry.freed && w->t->guard))
        return;
    w->batch.address[w->batch.used] = payload - sizeof(struct fo_header);
    w->batch.state[w->batch.used++] = (unsigned char)state;
    if (w->batch.used == FO_PIECES_MOST)
        flush(w);
}

static void read_leaf(struct walk *w, uint64_t part, uint64_t biased)
{
    const struct fo_description *d = &w->t->d;
    size_t size = (size_t)1 << (d->registry.leaf_shift - d->registry.granule_shift);
    uint64_t start = part << d->registry.leaf_shift,
             at = biased + (part << (d->registry.leaf_shift - d->registry.granule_shift));

    if (biased == 0 || w->t->source->exhausted)
        return;
    if (part >= UINT64_C(1) << (FO_ADDRESS_BITS - d->registry.leaf_shift) ||
        !fo_source_read(w->t->source, at, w->leaf, size)) {
        w->b->unread++;
        return;
    }
    for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
        uint64_t eight;
        memcpy(&eight, w->leaf + i, sizeof eight);
        for (size_t j = i; eight != 0 && j < i + sizeof eight; j++)
            if (w->leaf[j] != 0)
                take_state(w, start + ((uint64_t)j << d->registry.granule_shift), w->leaf[j]);
    }
    flush(w);
}

static bool read_root(struct walk *w)
{
    const struct fo_description *d = &w->t->d;
    size_t size = d->registry.claims.count * sizeof(uint64_t);

    return fo_source_read(w->t->source, w->t->registry + d->registry.claims.offset, w->claims,
                          size) &&
           fo_source_read(w->t->source, w->t->registry + d->registry.leaves.offset, w->leaves,
                          size);
}

void fo_blocks_read_registry(struct fo_target *t, struct fo_blocks *b)
{
    const struct fo_description *d = &t->d;
    struct walk *w = calloc(1, sizeof *w);

    if (t->registry == 0) {
        free(w);
        return;
    }
    if (w != NULL) {
        *w = (struct walk){.t = t, .b = b};
        w->claims = malloc(d->registry.claims.count * sizeof(uint64_t));
        w->leaves = malloc(d->registry.claims.count * sizeof(uint64_t));
        w->leaf = malloc((size_t)1 << (d->registry.leaf_shift - d->registry.granule_shift));
        w->headers = malloc(sizeof(uint64_t[FO_PIECES_MOST][2]));
    }
    if (w == NULL || w->claims == NULL || w->leaves == NULL || w->leaf == NULL ||
        w->headers == NULL) {
        fo_error("no memory for a copy of the registry");
        exit(FO_EXIT_SOFTWARE);
    }
    if (!read_root(w))
        b->unread++;
    else
        for (uint32_t i = 0; i < d->registry.claims.count; i++)
            if (w->claims[i] != 0)
                read_leaf(w, w->claims[i] - 1, w->leaves[i]);
    free(w->claims);
    free(w->leaves);
    free(w->leaf);
    free(w->headers);
    free(w);
}

/* --- both --------------------------------------------------------------------------------------
 */

void fo_blocks_count_live(struct fo_target *t, struct fo_blocks *b, uint64_t payload, uint64_t site,
                          uint64_t word)
{
    const struct fo_description *d = &t->d;
    struct fo_block_seen block = {
        .payload = payload,
        .site = site,
        .size = word >> d->word.size_shift,
        .process = (uint32_t)(word >> d->word.process_shift) & ((1u << d->word.process_bits) - 1),
        .is_sampled = ((word >> d->in_stacks.backend_shift) &
                       ((1u << d->in_stacks.backend_bits) - 1)) == d->in_stacks.sampled,
    };

    b->live++;
    b->live_bytes += block.size;
    if (b->visit != NULL)
        b->visit(b->context, &block);
}

void fo_blocks_read(struct fo_target *t, struct fo_blocks *b)
{
    fo_blocks_read_heap(t, b);
    /* That of a shared heap has no blocks, and what of it was never touched would get memory. */
    if (!t->direct || !t->is_shared_heap)
        fo_blocks_read_registry(t, b);
}
