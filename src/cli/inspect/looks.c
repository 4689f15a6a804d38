/* See looks.h. */
#include "cli/inspect/looks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/exit.h"
#include "cli/inspect/facts.h"
#include "cli/inspect/state.h"
#include "cli/message.h"
#include "cli/output/json_parts.h"

enum { DEPTH_MOST = 64 };

/* --- one process -------------------------------------------------------------------------------
 */

static bool has_openssl(const struct fo_source *s)
{
    for (size_t i = 0; i < s->mapping_count; i++) {
        const char *name = basename(s->mappings[i].file);
        if (strncmp(name, "libcrypto.so.3", 14) == 0 || strncmp(name, "libcrypto.so.4", 14) == 0)
            return true;
    }
    return false;
}

static void *need(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);

    if (memory == NULL) {
        fo_error("there is no memory");
        exit(FO_EXIT_SOFTWARE);
    }
    return memory;
}

static void take_parts(struct fo_look *look, const struct fo_state *s)
{
    look->parts = need(s->processes.used, sizeof *look->parts);
    for (size_t i = 0; i < s->processes.used; i++) {
        const struct fo_tally_row *row = &s->processes.rows[i];
        look->parts[look->part_count++] = (struct fo_look_part){
            row->key, row->blocks, row->bytes, row->key != 0 && row->key == s->target.row};
    }
}

static void take_state(struct fo_look *look, const struct fo_state *s)
{
    const struct fo_target *t = &s->target;
    const struct fo_source_mapping *m = fo_source_mapping_at(t->source, s->findings_at);

    look->state = s->guard == FO_JOURNAL_GUARDED       ? FO_LOOK_GUARDED
                  : s->guard == FO_JOURNAL_UNPROTECTED ? FO_LOOK_UNPROTECTED
                                                       : FO_LOOK_YET;
    look->started = s->started;
    look->live = s->blocks.live;
    look->live_bytes = s->blocks.live_bytes;
    take_parts(look, s);
    look->waiting_bytes = s->blocks.waiting_bytes;
    look->committed = t->committed;
    look->is_shared = t->is_shared_heap;
    if (t->is_shared_heap && t->page_count != 0)
        look->shared_used = (unsigned)((uint64_t)t->pages * 100 / t->page_count);
    look->complete = s->blocks.unread == 0 && !t->source->exhausted;
    look->findings = s->findings;
    look->findings_tree = m != NULL && m->shared ? m->inode : 0;
}

static void add_document(json_t *documents, const struct fo_look *look, json_t *document)
{
    fo_json_set(document, "parent_pid", fo_json_known((uint64_t)look->parent));
    fo_json_set(document, "state", fo_json_text(fo_look_words(look->state)));
    fo_json_add(documents, document);
}

static void take_found(struct fo_look *look, struct fo_state *s, enum fo_target_found found,
                       json_t *documents)
{
    const struct fo_source *source = s->target.source;
    json_t *document = NULL;

    if (found == FO_TARGET_FOUND) {
        fo_state_read(s);
        take_state(look, s);
        document = documents != NULL ? fo_state_json(s) : NULL;
        fo_state_free(s);
    } else {
        look->state = found == FO_TARGET_UNREADABLE   ? FO_LOOK_UNREADABLE
                      : found != FO_TARGET_NO_LIBRARY ? FO_LOOK_UNKNOWN
                      : has_openssl(source)           ? FO_LOOK_NOT_GUARDED
                                                      : FO_LOOK_NO_OPENSSL;
        document = documents != NULL ? fo_state_json_without(&s->target) : NULL;
    }
    if (document != NULL)
        add_document(documents, look, document);
}

/* False: it has ended, or is a thread of the kernel. */
static bool read_one(struct fo_look *look, pid_t pid, json_t *documents)
{
    static struct fo_state s;
    static struct fo_source source; /* `s` refers to it */
    struct stat status;
    char path[32];

    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    *look = (struct fo_look){.pid = pid, .parent = fo_process_parent(pid), .complete = true};
    look->user = stat(path, &status) == 0 ? status.st_uid : (uid_t)-1;
    bool opened = fo_source_open_process(&source, pid);
    memcpy(look->name, source.name, sizeof look->name);
    bool is_there = opened && source.mapping_count != 0;
    if (is_there) {
        memset(&s, 0, sizeof s);
        enum fo_target_found found = fo_target_find(&s.target, &source);
        is_there = found != FO_TARGET_UNREADABLE || source.why != ESRCH;
        if (is_there)
            take_found(look, &s, found, documents);
    } else if (!opened && (source.why == EACCES || source.why == EPERM)) {
        look->state = FO_LOOK_UNREADABLE;
        is_there = true;
        s.target.source = &source;
        if (documents != NULL)
            add_document(documents, look, fo_state_json_without(&s.target));
    }
    fo_source_free(&source);
    return is_there;
}

/* --- trees -------------------------------------------------------------------------------------
 */

static bool has_row(const struct fo_looks *l, pid_t pid)
{
    size_t low = 0, high = l->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->rows[middle].pid == pid)
            return true;
        if (l->rows[middle].pid < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* Move the row, and those below it.  A row that was moved has pid 0. */
static void move_tree(struct fo_looks *l, size_t at, unsigned depth, unsigned calls,
                      struct fo_look *to, size_t *used)
{
    pid_t pid = l->rows[at].pid;
    bool is_hidden = l->rows[at].only_counted;

    l->rows[at].depth = depth;
    to[(*used)++] = l->rows[at];
    l->rows[at].pid = 0;
    for (size_t i = 0; i < l->count && calls < DEPTH_MOST; i++)
        if (l->rows[i].pid != 0 && l->rows[i].parent == pid)
            move_tree(l, i, depth + !is_hidden, calls + 1, to, used);
}

static void sort_by_tree(struct fo_looks *l)
{
    struct fo_look *sorted = need(l->count, sizeof *sorted);
    bool *is_root = calloc(l->count + 1, sizeof *is_root);
    size_t used = 0;

    for (size_t i = 0; is_root != NULL && i < l->count; i++)
        is_root[i] = !has_row(l, l->rows[i].parent);
    for (size_t i = 0; is_root != NULL && i < l->count; i++)
        if (is_root[i])
            move_tree(l, i, 0, 0, sorted, &used);
    for (size_t i = 0; i < l->count; i++) /* a number may have been given away meanwhile */
        if (l->rows[i].pid != 0)
            move_tree(l, i, 0, 0, sorted, &used);
    free(is_root);
    free(l->rows);
    l->rows = sorted;
}

/* --- blocks of several processes ----------------------------------------------------------------
 */

/* A part and who has it. */
struct claim {
    uint64_t tree;
    size_t at; /* the process's row */
    const struct fo_look_part *part;
};

/* The best claim to the same blocks comes first: that of the process that allocated them, else of
 * the first one in the tree. */
static int best_first(const void *left, const void *right)
{
    const struct claim *a = left, *b = right;

    if (a->tree != b->tree)
        return a->tree < b->tree ? -1 : 1;
    if (a->part->row != b->part->row)
        return a->part->row < b->part->row ? -1 : 1;
    if (a->part->is_own != b->part->is_own)
        return a->part->is_own ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

static void take_own(struct fo_looks *l, const struct claim *c)
{
    l->rows[c->at].own += c->part->blocks;
    l->rows[c->at].own_bytes += c->part->bytes;
    l->own += c->part->blocks;
    l->own_bytes += c->part->bytes;
}

/* A forked process has what its parent allocated, too, as a copy or in memory that they share:
 * these blocks are counted once.  The parent may have ended, as that of a daemon. */
static void count_own(struct fo_looks *l)
{
    size_t count = 0, used = 0;

    for (size_t i = 0; i < l->count; i++)
        count += l->rows[i].part_count;
    struct claim *claims = need(count, sizeof *claims);
    for (size_t i = 0; i < l->count; i++)
        for (size_t j = 0; j < l->rows[i].part_count; j++)
            claims[used++] = (struct claim){l->rows[i].findings_tree, i, &l->rows[i].parts[j]};
    if (used != 0)
        qsort(claims, used, sizeof *claims, best_first);
    for (size_t i = 0; i < used; i++) {
        const struct claim *c = &claims[i], *before = &claims[i - (i != 0)];
        if (i == 0 || c->tree == 0 || c->tree != before->tree || c->part->row != before->part->row)
            take_own(l, c);
    }
    free(claims);
}

/* --- all ---------------------------------------------------------------------------------------
 */

/* Of processes that share a table of findings only the first one counts. */
static bool is_counted(const struct fo_looks *l, const struct fo_look *row)
{
    for (const struct fo_look *r = l->rows; r < row && row->findings_tree != 0; r++)
        if (r->findings_tree == row->findings_tree)
            return true;
    return false;
}

void fo_looks_read(struct fo_looks *l, const struct fo_chosen *chosen, json_t *documents)
{
    *l = (struct fo_looks){.rows = need(chosen->count, sizeof *l->rows)};
    for (size_t i = 0; i < chosen->count; i++)
        if (read_one(&l->rows[l->count], chosen->pids[i], documents))
            l->count++;
    for (size_t i = 0; i < l->count; i++) {
        struct fo_look *row = &l->rows[i];
        row->only_counted = chosen->kind == FO_CHOSEN_ALL &&
                            (row->state == FO_LOOK_NO_OPENSSL || row->state == FO_LOOK_UNREADABLE);
        l->by_state[row->state]++;
        if (row->findings != 0 && !is_counted(l, row))
            l->findings += row->findings;
    }
    sort_by_tree(l);
    count_own(l);
}

void fo_looks_free(struct fo_looks *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->rows[i].parts);
    free(l->rows);
    *l = (struct fo_looks){0};
}

int fo_looks_status(const struct fo_looks *l, const struct fo_chosen *chosen)
{
    bool unprotected = l->by_state[FO_LOOK_NOT_GUARDED] + l->by_state[FO_LOOK_UNPROTECTED] != 0;

    if (l->count == 0)
        return FO_EXIT_NO_INPUT;
    if (l->by_state[FO_LOOK_UNKNOWN] != 0 &&
        (chosen->kind != FO_CHOSEN_ALL || l->by_state[FO_LOOK_GUARDED] == 0))
        return FO_EXIT_DATA;
    if (chosen->kind != FO_CHOSEN_ALL && unprotected)
        return FO_EXIT_CONFIG;
    if (chosen->kind != FO_CHOSEN_ALL && l->by_state[FO_LOOK_UNREADABLE] != 0)
        return FO_EXIT_NO_PERMISSION;
    if (l->by_state[FO_LOOK_GUARDED] != 0)
        return FO_EXIT_OK;
    return l->by_state[FO_LOOK_UNREADABLE] != 0 ? FO_EXIT_NO_PERMISSION : FO_EXIT_CONFIG;
}
