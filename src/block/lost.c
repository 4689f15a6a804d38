/* See lost.h.  All that is needed lies in one mapping: the blocks in the order of their addresses,
 * a stack of those that are reached and were not read yet, and a piece of memory.  While other
 * threads run, a pointer may move from where was not looked yet to where was looked already; so a
 * block counts as lost if two searches do not reach it. */
#include "block/lost.h"

#include <sys/mman.h>

#include "base/apart.h"
#include "block/live.h"
#include "block/roots.h"

enum { SECONDS_MOST = 10, NONE = -1 };

enum state { UNSEEN, REACHED, LOST };

struct node {
    uintptr_t payload;
    fo_site site;
    uint64_t word;
    size_t held, held_bytes;
    uint64_t order;    /* among the candidates for the head of a circle */
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
    uint32_t *candidates; /* to be the head of a circle; likewise */
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

/* In place: qsort(3) takes memory from malloc. */
struct sorted {
    bool (*is_less)(const struct search *s, uint32_t left, uint32_t right);
    void (*swap)(struct search *s, uint32_t left, uint32_t right);
};

static void sift_down(struct search *s, const struct sorted *by, uint32_t root, uint32_t count)
{
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && by->is_less(s, child, child + 1))
            child++;
        if (!by->is_less(s, root, child))
            return;
        by->swap(s, root, child);
    }
}

static void sort(struct search *s, const struct sorted *by, uint32_t count)
{
    bool sorted = true;

    for (uint32_t i = 1; i < count && sorted; i++)
        sorted = !by->is_less(s, i, i - 1);
    if (sorted)
        return;
    for (uint32_t i = count / 2; i-- > 0;)
        sift_down(s, by, i, count);
    for (uint32_t i = count; i-- > 1;) {
        by->swap(s, 0, i);
        sift_down(s, by, 0, i);
    }
}

static bool is_lower(const struct search *s, uint32_t left, uint32_t right)
{
    return s->nodes[left].payload < s->nodes[right].payload;
}

static void swap_nodes(struct search *s, uint32_t left, uint32_t right)
{
    struct node moved = s->nodes[left];

    s->nodes[left] = s->nodes[right];
    s->nodes[right] = moved;
}

static const struct sorted by_address = {is_lower, swap_nodes};

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

static bool is_before(const struct search *s, uint32_t left, uint32_t right)
{
    const struct node *a = &s->nodes[s->candidates[left]], *b = &s->nodes[s->candidates[right]];

    return a->order != b->order ? a->order < b->order : a->payload < b->payload;
}

static void swap_candidates(struct search *s, uint32_t left, uint32_t right)
{
    uint32_t moved = s->candidates[left];

    s->candidates[left] = s->candidates[right];
    s->candidates[right] = moved;
}

/* What no head has by now is in a circle, or only circles lead to it. */
static void find_heads_of_circles(struct search *s)
{
    static const struct sorted by_order = {is_before, swap_candidates};
    uint32_t count = 0;

    for (uint32_t i = 0; i < s->count; i++) {
        struct node *n = &s->nodes[i];
        if (n->state != LOST || n->head != (uint32_t)NONE)
            continue;
        n->order = s->asked->order(n->payload, n->site, n->word);
        s->candidates[count++] = i;
    }
    sort(s, &by_order, count);
    for (uint32_t i = 0; i < count; i++)
        if (s->nodes[s->candidates[i]].head == (uint32_t)NONE)
            make_head(s, s->candidates[i], true);
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
    find_heads_of_circles(s);
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

/* --- all ---------------------------------------------------------------------------------------
 */

static const char *look(struct search *s, uintptr_t work, size_t size)
{
    fo_live_each(enter_block, s);
    if (s->count == 0)
        return NULL;
    sort(s, &by_address, s->count);
    s->lowest = s->nodes[0].payload;
    s->highest = end_of(&s->nodes[s->count - 1]);
    s->roots.context = s;
    s->roots.stack = s->asked->stack;
    s->roots.in_place = s->asked->in_place;
    s->roots.until = fo_roots_now() + SECONDS_MOST * UINT64_C(1000000000);
    if (!fo_roots_skip_own(&s->roots) || !fo_roots_skip(&s->roots, work, work + size))
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
           size = head + FO_ROOTS_PIECE + blocks * (sizeof(struct node) + 2 * sizeof(uint32_t));
    char *work = fo_apart_map(size, MAP_PRIVATE);
    if (work == NULL)
        return "there is no memory for the search (address space limit?)";
    struct search *s = (struct search *)work;
    s->asked = asked;
    s->room = blocks;
    s->roots.piece = (uintptr_t *)(work + head);
    s->nodes = (struct node *)(work + head + FO_ROOTS_PIECE);
    s->pending = (uint32_t *)(s->nodes + blocks);
    s->candidates = s->pending + blocks;
    const char *why = look(s, (uintptr_t)work, size);
    fo_apart_unmap(work, size);
    return why;
}
