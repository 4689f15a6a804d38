/* See lost.h.  All that is needed lies in one mapping: the blocks in the order of their addresses,
 * a stack of those that are reached and were not read yet, and a piece of memory.  While other
 * threads run, a pointer may move from where was not looked yet to where was looked already; so a
 * block counts as lost if two searches do not reach it. */
#include "block/lost.h"

#include <sys/mman.h>

#include "base/apart.h"
#include "base/elf.h"
#include "base/hot.h"
#include "block/live.h"
#include "block/memory.h"
#include "block/roots.h"
#include "heap/region.h"
#include "report/journal.h"

enum { SECONDS_MOST = 10, NONE = -1 };

enum state { UNSEEN, REACHED, LOST };

struct node {
    uintptr_t payload;
    fo_site site;
    uint64_t word;
    size_t held, held_bytes;
    uint32_t head;     /* of a lost one: the block that leads to it; itself: it is a head */
    uint8_t state;     /* enum state */
    uint8_t was_lost;  /* the first search did not reach it */
    uint8_t is_led_to; /* by another lost block */
    uint8_t in_circle; /* a head that others may lead to */
};

struct search {
    const struct fo_lost_asked *asked;
    struct node *nodes;
    uint32_t count, room;
    uint32_t *pending; /* numbers of nodes; at most `count` */
    uint32_t waiting;
    uintptr_t lowest, highest;
    void (*found)(struct search *s, uint32_t node); /* a word leads there */
    uint32_t reader; /* the node that is read; when heads are sought */
    struct fo_roots roots;
};

/* --- the blocks --------------------------------------------------------------------------------
 */

static void count_block(void *context, uintptr_t payload, fo_site site, uint64_t word)
{
    (void)payload, (void)site, (void)word;
    ++*(uint32_t *)context;
}

static void enter_block(void *context, uintptr_t payload, fo_site site, uint64_t word)
{
    struct search *s = context;

    if (s->count < s->room)
        s->nodes[s->count++] = (struct node){.payload = payload, .site = site, .word = word};
}

static int by_address(const void *left, const void *right)
{
    const struct node *a = left, *b = right;

    return (a->payload > b->payload) - (a->payload < b->payload);
}

/* In place, and without memory, which qsort(3) takes from malloc. */
static void sift_down(struct node *nodes, uint32_t root, uint32_t count)
{
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && by_address(&nodes[child], &nodes[child + 1]) < 0)
            child++;
        if (by_address(&nodes[root], &nodes[child]) >= 0)
            return;
        struct node moved = nodes[root];
        nodes[root] = nodes[child];
        nodes[child] = moved;
    }
}

static void sort(struct node *nodes, uint32_t count)
{
    bool sorted = true;

    for (uint32_t i = 1; i < count && sorted; i++)
        sorted = nodes[i - 1].payload < nodes[i].payload;
    if (sorted)
        return;
    for (uint32_t i = count / 2; i-- > 0;)
        sift_down(nodes, i, count);
    for (uint32_t i = count; i-- > 1;) {
        struct node moved = nodes[0];
        nodes[0] = nodes[i];
        nodes[i] = moved;
        sift_down(nodes, 0, i);
    }
}

static uintptr_t end_of(const struct node *n)
{
    return n->payload + fo_word_size(n->word);
}

/* The block that starts at or below this address; NONE: there is none. */
static long last_from(const struct search *s, uintptr_t address)
{
    uint32_t low = 0, high = s->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->nodes[middle].payload <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return (long)low - 1;
}

/* --- what words lead to ------------------------------------------------------------------------
 */

static void follow(struct search *s, uintptr_t word)
{
    if (word < s->lowest || word > s->highest)
        return;
    long at = last_from(s, word);
    if (at != NONE && word <= end_of(&s->nodes[at]))
        s->found(s, (uint32_t)at);
}

static void visit_payload(void *context, uintptr_t start, const uintptr_t *words, size_t count)
{
    (void)start;
    for (size_t i = 0; i < count; i++)
        follow(context, words[i]);
}

/* Blocks of libc's heap lie among the program's memory: what they hold is looked at when they are
 * reached. */
static void visit_root(void *context, uintptr_t start, const uintptr_t *words, size_t count)
{
    const struct search *s = context;
    uintptr_t at = start, end = start + count * sizeof *words;

    for (long next = last_from(s, start); at < end; next++) {
        uintptr_t stop = end, from = end;
        if (next < (long)s->count && next != NONE && s->nodes[next].payload < end) {
            stop = s->nodes[next].payload;
            from = (end_of(&s->nodes[next]) + 7) & ~(uintptr_t)7;
        } else if (next == NONE) {
            continue;
        }
        for (; at < stop; at += sizeof *words)
            follow(context, words[(at - start) / sizeof *words]);
        if (from > at)
            at = from;
    }
}

static void read_block(struct search *s, uint32_t node)
{
    uintptr_t at = s->nodes[node].payload, end = end_of(&s->nodes[node]) & ~(uintptr_t)7;

    s->roots.visit = visit_payload;
    while (at < end) {
        size_t size = end - at < FO_ROOTS_PIECE ? end - at : FO_ROOTS_PIECE;
        (void)fo_roots_read_piece(&s->roots, at, size);
        at += size;
    }
}

/* --- what is reached ---------------------------------------------------------------------------
 */

static void reach(struct search *s, uint32_t node)
{
    if (s->nodes[node].state == REACHED)
        return;
    s->nodes[node].state = REACHED;
    s->pending[s->waiting++] = node;
}

static void read_pending(struct search *s)
{
    while (s->waiting > 0)
        read_block(s, s->pending[--s->waiting]);
}

static const char *reach_all(struct search *s)
{
    s->found = reach;
    s->roots.visit = visit_root;
    const char *why = fo_roots_read(&s->roots);
    read_pending(s);
    for (uint32_t i = 0; i < s->count; i++)
        if (s->nodes[i].state == UNSEEN && !s->asked->is_asked(fo_word_process(s->nodes[i].word)))
            reach(s, i);
    read_pending(s);
    return why;
}

static const char *find_lost(struct search *s)
{
    const char *why = reach_all(s);
    bool any = false;

    for (uint32_t i = 0; i < s->count; i++)
        any |= s->nodes[i].state == UNSEEN;
    if (why == NULL && any && s->asked->others_run) {
        for (uint32_t i = 0; i < s->count; i++) {
            s->nodes[i].was_lost = s->nodes[i].state == UNSEEN;
            s->nodes[i].state = UNSEEN;
        }
        why = reach_all(s);
    }
    for (uint32_t i = 0; i < s->count; i++) {
        struct node *n = &s->nodes[i];
        bool is_lost = n->state == UNSEEN && (!s->asked->others_run || n->was_lost);
        n->state = is_lost && fo_live_is_same(n->payload, n->site, n->word) ? LOST : REACHED;
    }
    return why;
}

/* --- the heads of what is lost -----------------------------------------------------------------
 */

static void note_led_to(struct search *s, uint32_t node)
{
    if (node != s->reader)
        s->nodes[node].is_led_to = 1;
}

static bool is_head(const struct search *s, uint32_t node)
{
    return s->nodes[node].head == node;
}

/* All that the head leads to is its, unless another head has it already.  A head in a circle that
 * is led to is no head, and what it has follows it. */
static void take(struct search *s, uint32_t node)
{
    struct node *n = &s->nodes[node];

    if (n->state != LOST || node == s->reader)
        return;
    if (n->head == (uint32_t)NONE)
        s->pending[s->waiting++] = node;
    else if (!is_head(s, node) || !n->in_circle)
        return;
    n->head = s->reader;
}

static void make_head(struct search *s, uint32_t node, bool in_circle)
{
    s->found = take;
    s->reader = node;
    s->nodes[node].head = node;
    s->nodes[node].in_circle = in_circle;
    s->pending[s->waiting++] = node;
    read_pending(s);
}

static uint32_t final_head(const struct search *s, uint32_t node)
{
    while (!is_head(s, node))
        node = s->nodes[node].head;
    return node;
}

static void find_heads(struct search *s)
{
    s->found = note_led_to;
    for (uint32_t i = 0; i < s->count; i++) {
        s->nodes[i].head = (uint32_t)NONE;
        s->reader = i;
        if (s->nodes[i].state == LOST)
            read_block(s, i);
    }
    for (uint32_t i = 0; i < s->count; i++)
        if (s->nodes[i].state == LOST && !s->nodes[i].is_led_to)
            make_head(s, i, false);
    for (unsigned rank = 0; rank <= FO_LOST_RANK_LAST; rank++)
        for (uint32_t i = 0; i < s->count; i++)
            if (s->nodes[i].state == LOST && s->nodes[i].head == (uint32_t)NONE &&
                (rank == FO_LOST_RANK_LAST || s->asked->rank(s->nodes[i].site) == rank))
                make_head(s, i, true);
}

static void visit_heads(struct search *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct node *n = &s->nodes[i];
        if (n->state != LOST || is_head(s, i))
            continue;
        struct node *head = &s->nodes[final_head(s, i)];
        head->held++;
        head->held_bytes += fo_word_size(n->word);
    }
    for (uint32_t i = 0; i < s->count; i++) {
        const struct node *n = &s->nodes[i];
        const struct fo_lost lost = {n->payload, n->site, n->word, n->held, n->held_bytes};
        if (n->state == LOST && is_head(s, i))
            s->asked->visit(s->asked->context, &lost);
    }
}

/* --- the library's own memory ------------------------------------------------------------------
 */

/* It knows addresses of blocks that were freed, and may be those of other blocks by now. */
static bool skip_shards(struct fo_roots *r)
{
    bool ok = true;

    for (int i = 0; i < FO_SHARDS; i++) {
        const struct fo_shard *s = &fo_hot.memory->shards[i];
        uintptr_t start = (uintptr_t)s->queues[0].entries;
        if (__atomic_load_n(&s->open, __ATOMIC_ACQUIRE))
            ok &= fo_roots_skip(r, start, start + fo_shard_entries_size());
    }
    return ok;
}

/* Pages of other mappings may lie between those of the heap. */
static bool skip_heap(struct fo_roots *r)
{
    uint32_t pages = fo_region != NULL ? (uint32_t)(fo_region_committed() >> FO_PAGE_SHIFT) : 0;
    uint32_t first = 0;
    bool ok = true;

    for (uint32_t page = 0; page <= pages; page++)
        if (page == pages || !fo_page_is_owned(page)) {
            ok &= first == page || fo_roots_skip(r, fo_page_start(first), fo_page_start(page));
            first = page + 1;
        }
    return ok;
}

static bool skip_own(struct fo_roots *r, uintptr_t work, size_t size)
{
    struct fo_module self;
    uintptr_t journal = (uintptr_t)fo_journal;

    return fo_elf_module((uintptr_t)skip_own, &self) && fo_roots_skip(r, self.start, self.end) &&
           fo_roots_skip(r, work, work + size) &&
           (journal == 0 || fo_roots_skip(r, journal, journal + sizeof *fo_journal)) &&
           skip_shards(r) && skip_heap(r);
}

/* --- all ---------------------------------------------------------------------------------------
 */

static const char *look(struct search *s, uintptr_t work, size_t size)
{
    fo_live_each(enter_block, s);
    if (s->count == 0)
        return NULL;
    sort(s->nodes, s->count);
    s->lowest = s->nodes[0].payload;
    s->highest = end_of(&s->nodes[s->count - 1]);
    s->roots.context = s;
    s->roots.stack = s->asked->stack;
    s->roots.in_place = s->asked->in_place;
    s->roots.until = fo_roots_now() + SECONDS_MOST * UINT64_C(1000000000);
    if (!skip_own(&s->roots, work, size))
        return "its memory has too many parts";
    const char *why = find_lost(s);
    if (why != NULL)
        return why;
    find_heads(s);
    visit_heads(s);
    return NULL;
}

const char *fo_lost_find(const struct fo_lost_asked *asked)
{
    uint32_t blocks = 0;

    fo_live_each(count_block, &blocks);
    blocks += blocks / 8 + 64; /* other threads may allocate meanwhile */
    size_t head = (sizeof(struct search) + 63) & ~(size_t)63,
           size = head + FO_ROOTS_PIECE + blocks * (sizeof(struct node) + sizeof(uint32_t));
    char *work = fo_apart_map(size, MAP_PRIVATE);
    if (work == NULL)
        return "there is no memory for the search (address space limit?)";
    struct search *s = (struct search *)work;
    s->asked = asked;
    s->room = blocks;
    s->roots.piece = (uintptr_t *)(work + head);
    s->nodes = (struct node *)(work + head + FO_ROOTS_PIECE);
    s->pending = (uint32_t *)(s->nodes + blocks);
    const char *why = look(s, (uintptr_t)work, size);
    fo_apart_unmap(work, size);
    return why;
}
