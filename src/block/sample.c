/* See sample.h.  Called by the hooks, and by load/choose.c.  Relaxed: the calling thread's bins and
 * its own new block, as in fast.h. */
#include "block/sample.h"

#include <sys/mman.h>

#include "backend/backend.h"
#include "base/apart.h"
#include "base/probe.h"
#include "base/say.h"
#include "block/hooks.h"
#include "block/hooks_parts.h"
#include "heap/magazine.h"
#include "options/options.h"
#include "process/process.h"
#include "report/frames.h"
#include "report/stacks.h"

enum { PROBES = 32 };

struct fo_samples *fo_samples;
size_t fo_sample_above = SIZE_MAX;
__thread int64_t fo_sample_left;

static unsigned own_backend;
static struct fo_cell **stops; /* of each cache and class: the cell that is drawn; NULL: none */

/* --- chance ------------------------------------------------------------------------------------
 */

/* Marsaglia's xorshift, for each thread.  Nothing secret depends on it. */
static uint32_t draw_below(uint32_t bound)
{
    static __thread uint64_t state;

    if (fo_unlikely(state == 0))
        state = (fo_hot.secret ^ fo_thread_id() * UINT64_C(0x9e3779b97f4a7c15)) | 1;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) * bound >> 32);
}

/* --- the table ---------------------------------------------------------------------------------
 */

/* The word of a header that is like this one, of a block with this number of a backend. */
static uint64_t word_with(uintptr_t payload, fo_site site, uint64_t word, unsigned backend)
{
    uint64_t large =
        fo_is_direct(payload) && fo_word_size(word) > FO_REGION_SMALL ? FO_REGION_LARGE : 0;
    uint64_t meta = fo_with_backend(word & FO_REGION_META, backend);

    if (fo_is_direct(payload))
        return meta | (fo_region_check(fo_layout.key, payload, site, meta) ^ large);
    return meta | (uint64_t)FO_STATE_LIVE << FO_STATE_SHIFT |
           fo_check(fo_hot.secret, payload, site, meta);
}

/* Is there a live block that is sampled?  Memory that was given back is not read. */
static bool is_sampled(uintptr_t payload)
{
    if (payload == 0)
        return false;
    if (!fo_is_direct(payload)) {
        const uint8_t *slot = fo_registry_slot(payload);
        if (slot == NULL || __atomic_load_n(slot, __ATOMIC_ACQUIRE) != FO_SLOT_LIVE)
            return false;
    }
    const struct fo_header *h = fo_header_of(payload);
    if (!fo_is_direct(payload) && !fo_is_readable((uintptr_t)h, sizeof *h))
        return false;
    uint64_t word = FO_RELAXED_LOAD(&h->word);
    return fo_word_backend(word) == FO_BACKEND_SAMPLED &&
           word == word_with(payload, FO_RELAXED_LOAD(&h->site), word, FO_BACKEND_SAMPLED);
}

/* A payload has one row: its former one, or else the nearest that no sampled block needs. */
static bool keep(uintptr_t payload, uint32_t stack)
{
    uint32_t first = (uint32_t)(payload * UINT64_C(0x9e3779b97f4a7c15) >> 32);
    struct fo_sample *free_row = NULL;
    uint64_t before = 0;

    for (uint32_t i = 0; i < PROBES; i++) {
        struct fo_sample *row = &fo_samples->rows[(first + i) % FO_SAMPLES];
        uint64_t there = fo_shared_number(&row->payload);
        if (there == payload ||
            (free_row == NULL && (!fo_is_address(there) || !is_sampled((uintptr_t)there)))) {
            free_row = row;
            before = there;
        }
        if (there == payload || there == 0)
            break;
    }
    if (free_row == NULL || !fo_shared_replace(&free_row->payload, &before, payload))
        return false;
    fo_shared_set(&free_row->stack, stack);
    return true;
}

/* The program does not know the block yet; another thread may free a stale pointer to it. */
static void mark(uintptr_t payload)
{
    struct fo_header *h = fo_header_of(payload);
    uint64_t word = FO_RELAXED_LOAD(&h->word);

    if (fo_word_backend(word) != own_backend ||
        word != word_with(payload, h->site, word, own_backend))
        return;
    uint32_t stack = fo_stack_sample();
    if (stack == 0 || !keep(payload, stack)) {
        fo_shared_add(&fo_samples->full, 1);
        return;
    }
    __atomic_compare_exchange_n(&h->word, &word,
                                word_with(payload, h->site, word, FO_BACKEND_SAMPLED), false,
                                __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* --- counted -----------------------------------------------------------------------------------
 */

/* Distances of 1 to 2N - 1, so that no pattern of the program meets the same allocations. */
void fo_sample_due(void *p)
{
    static __thread bool begun;
    uint32_t one_in = fo_options.sample;

    if (!begun) {
        begun = true;
        fo_sample_left = draw_below(one_in);
        if (--fo_sample_left >= 0)
            return;
    }
    fo_sample_left = draw_below(2 * one_in - 1);
    mark((uintptr_t)p);
}

void *fo_sample_malloc(size_t size, const char *file, int line)
{
    return fo_sample_counted(fo_malloc(size, file, line), size);
}

void *fo_sample_realloc(void *p, size_t size, const char *file, int line)
{
    return fo_sample_counted(fo_realloc(p, size, file, line), size);
}

/* --- drawn from a magazine ---------------------------------------------------------------------
 */

static uint32_t cells_from(const struct fo_cell *take)
{
    uint32_t n = fo_magazine_of(take);

    return n != 0 ? (uint32_t)(fo_end_cell(fo_magazine_at(n)) - take) : 0;
}

/* NULL: it is not in this magazine, or has no slot. */
static struct fo_cell *cell_behind(struct fo_cell *take, uint32_t distance)
{
    return distance < FO_MAGAZINE_CELLS && distance < cells_from(take) &&
                   FO_RELAXED_LOAD(&take[distance].payload) != 0
               ? take + distance
               : NULL;
}

/* The thread has this cache.  0: no memory. */
static uintptr_t take(struct fo_direct *d, struct fo_cache *cache, size_t size, bool *due)
{
    size_t step = (size - 1) >> 4;
    unsigned class = fo_class_as(FO_RELAXED_LOAD(&fo_region->fine), fo_region_class_of(size));
    struct fo_bin *bin = &cache->bins[class];
    struct fo_cell **stop = &stops[(size_t)cache->index * FO_REGION_CLASSES + class];
    uint32_t one_in = fo_options.sample;
    bool is_stopped = FO_RELAXED_LOAD(&d->bins[step]) != class * sizeof(struct fo_bin);

    if (FO_RELAXED_LOAD(&bin->take)->payload == 0) {
        bool was_missed = *stop != NULL; /* after a fork, or another thread took the class */
        if (!fo_cache_fill(class))
            return 0;
        struct fo_cell *first = FO_RELAXED_LOAD(&bin->take);
        *stop = was_missed ? first : cell_behind(first, draw_below(one_in));
    }
    struct fo_cell *cell = FO_RELAXED_LOAD(&bin->take);
    *due = cell == *stop;
    if (*due)
        *stop = cell_behind(cell, one_in);
    if ((*stop != NULL) != is_stopped)
        fo_region_stop(d, class, !is_stopped);
    uintptr_t payload = FO_RELAXED_LOAD(&cell->payload);
    FO_RELAXED_STORE(&cell->payload, 0);
    __atomic_store_n(&bin->take, cell + 1, __ATOMIC_RELEASE);
    return payload;
}

void *fo_sample_refill(struct fo_direct *d, size_t size, const char *file, int line)
{
    uint64_t fine = FO_RELAXED_LOAD(&fo_region->fine);
    bool due = false;

    if (FO_RELAXED_LOAD(&d->fine) != (fine | FO_FINE_SAMPLED))
        fo_region_refine(d);
    bool borrows = fo_thread.cache == &fo_no_cache && fo_cache_enter();
    struct fo_cache *cache = fo_thread.cache;
    uintptr_t payload = cache != &fo_no_cache ? take(d, cache, size, &due) : 0;
    if (borrows)
        fo_cache_leave();
    if (payload == 0)
        return NULL;
    struct fo_header *h = fo_header_of(payload);
    fo_site site = fo_site_pack(file, line);
    uint64_t word = (uint64_t)size << FO_SIZE_SHIFT | FO_RELAXED_LOAD(&d->meta);
    FO_RELAXED_STORE(&h->site, site);
    FO_RELAXED_STORE(&h->word, word | fo_region_check(d->key, payload, site, word));
    if (due)
        mark(payload);
    return (void *)payload;
}

/* --- start -------------------------------------------------------------------------------------
 */

void fo_sample_start(unsigned backend, bool shared)
{
    bool draws = fo_hot.direct && !shared;
    size_t cells = draws ? fo_layout.cache_count * sizeof(void *) * FO_REGION_CLASSES : 0;

    if (fo_options.sample == 0)
        return;
    fo_samples = fo_apart_map(sizeof *fo_samples, shared ? MAP_SHARED : MAP_PRIVATE);
    if (draws)
        stops = fo_apart_map(cells, MAP_PRIVATE);
    if (fo_samples == NULL || (draws && stops == NULL)) {
        fo_say_words("FREEONCE_SAMPLE: no memory for stacks (address space limit?); none are kept",
                     NULL);
        return;
    }
    if (!fo_frames_start()) { /* now: a sandbox may forbid it later */
        fo_say_words("FREEONCE_SAMPLE: libgcc_s.so.1, which walks the stack, cannot be loaded; no "
                     "stacks are kept",
                     NULL);
        return;
    }
    own_backend = backend;
    fo_backends[FO_BACKEND_SAMPLED] = fo_backends[backend];
    fo_direct_is_sampled = draws;
    FO_RELAXED_STORE(&fo_sample_above, draws ? FO_REGION_SMALL : 0);
}
