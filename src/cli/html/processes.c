/* The tree of processes: the fork of each, and its part in the findings. */
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/html/page.h"
#include "cli/message.h"
#include "report/journal_format.h"

enum {
    DEEPEST = 40,      /* levels of lists within lists */
    ALIKE_MAX = 10,    /* children without a part in a finding that are shown one by one */
    MENTIONS_MAX = 20, /* findings that are named of one process and one place */
};

/* A process is a place of a finding. */
struct mention {
    const struct fo_process_shown *process;
    int place; /* allocated, freed first, now */
    const char *what;
    size_t finding; /* its number */
};

struct node {
    size_t child, last, next; /* the first and last child, the next sibling: index + 1; 0: none */
    const struct mention *mentions;
    size_t mention_count;
    bool is_shown;
};

struct tree {
    struct fo_html_page *page;
    const struct fo_process_shown *processes;
    size_t count;
    struct node *nodes;
    struct mention *mentions;
};

static void *need(void *memory)
{
    if (memory == NULL) {
        fo_error("no memory for the page");
        exit(FO_EXIT_SOFTWARE);
    }
    return memory;
}

/* --- who did what ------------------------------------------------------------------------------
 */

static int by_process(const void *a, const void *b)
{
    const struct mention *x = a, *y = b;

    if (x->process != y->process)
        return x->process < y->process ? -1 : 1;
    if (x->place != y->place)
        return x->place - y->place;
    int order = strcmp(x->what, y->what);
    return order != 0 ? order : (x->finding > y->finding) - (x->finding < y->finding);
}

static void find_mentions(struct tree *t)
{
    const struct fo_model *model = t->page->model;
    size_t count = 0;

    t->mentions = need(calloc(3 * model->finding_count + 1, sizeof *t->mentions));
    for (size_t i = 0; i < model->finding_count; i++) {
        const struct fo_finding_shown *f = &model->findings[i];
        const struct fo_place_shown *places[] = {&f->allocated, &f->freed, &f->now};
        const char *const what[] = {"allocated", "freed first", f->label};
        for (int k = 0; k < 3; k++)
            if (places[k]->known && places[k]->process != NULL)
                t->mentions[count++] = (struct mention){places[k]->process, k, what[k], i + 1};
    }
    qsort(t->mentions, count, sizeof *t->mentions, by_process);
    for (size_t i = 0; i < count; i++) {
        struct node *n = &t->nodes[t->mentions[i].process - t->processes];
        if (n->mention_count++ == 0)
            n->mentions = &t->mentions[i];
    }
}

static void put_mentions(FILE *out, const struct node *n)
{
    const char *what = "";
    size_t shown = 0, left_out = 0;

    if (n->mention_count == 0)
        return;
    fo_html(out, "<p class=\"part\">");
    for (size_t i = 0; i <= n->mention_count; i++) {
        const struct mention *m = i < n->mention_count ? &n->mentions[i] : NULL;
        if (m == NULL || strcmp(what, m->what) != 0) {
            if (left_out > 0)
                fo_html(out, " and %zu more", left_out);
            if (m == NULL)
                break;
            fo_html(out, "%s%s:", i > 0 ? "; " : "", m->what);
            what = m->what;
            shown = left_out = 0;
        }
        if (shown++ < MENTIONS_MAX)
            fo_html(out, " <a href=\"#f%zu\">%zu</a>", m->finding, m->finding);
        else
            left_out++;
    }
    fo_html(out, "</p>\n");
}

/* --- one process -------------------------------------------------------------------------------
 */

static const char *guard_of(const struct fo_process_shown *p)
{
    return p->guard == FO_JOURNAL_GUARDED       ? "guarded"
           : p->guard == FO_JOURNAL_UNPROTECTED ? "unprotected"
           : p->guard == FO_JOURNAL_LEFT        ? "executed another program"
                                                : "OpenSSL not used";
}

static void put_process(struct tree *t, const struct fo_process_shown *p)
{
    FILE *out = t->page->out;

    fo_html(out, "<p id=\"p%zu\"><strong>%u</strong> %s <span class=\"tag%s\">%s</span>",
            fo_html_process_number(t->page, p), p->pid, p->name,
            p->guard == FO_JOURNAL_UNPROTECTED ? " bad" : "", guard_of(p));
    if (p->is_fork) {
        fo_html(out, " forked from %u", p->parent_pid);
        if (p->forked.address != 0) {
            fo_html(out, " by ");
            fo_html_code(t->page, &p->forked);
        }
    }
    if (p->how[0] != '\0')
        fo_html(out, "%s %s", p->is_fork ? "," : "", p->how);
    if (p->signal != 0)
        fo_html(out, ", <strong>ended by signal %d (%s)</strong>", p->signal, strsignal(p->signal));
    fo_html(out, ", since ");
    fo_html_time(out, p->started);
    fo_html(out, "</p>\n");
    put_mentions(out, &t->nodes[p - t->processes]);
}

/* --- the tree ----------------------------------------------------------------------------------
 */

static void link_children(struct tree *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->processes[i].parent == NULL)
            continue;
        struct node *parent = &t->nodes[t->processes[i].parent - t->processes];
        if (parent->last != 0)
            t->nodes[parent->last - 1].next = i + 1;
        else
            parent->child = i + 1;
        parent->last = i + 1;
    }
}

/* A worker like all others. */
static bool is_plain(const struct tree *t, size_t index)
{
    const struct fo_process_shown *p = &t->processes[index];

    return t->nodes[index].child == 0 && t->nodes[index].mention_count == 0 && p->signal == 0 &&
           (p->guard == FO_JOURNAL_GUARDED || p->guard == FO_JOURNAL_SEEN);
}

static void put_alike(struct tree *t, size_t child, size_t count)
{
    FILE *out = t->page->out;

    fo_html(out, "<li><details><summary>%zu processes without a finding</summary>\n<p>", count);
    for (bool first = true; child != 0; child = t->nodes[child - 1].next) {
        if (t->nodes[child - 1].is_shown || !is_plain(t, child - 1))
            continue;
        fo_html(out, "%s%u %s", first ? "" : ", ", t->processes[child - 1].pid,
                t->processes[child - 1].name);
        t->nodes[child - 1].is_shown = true;
        first = false;
    }
    fo_html(out, "</p></details></li>\n");
}

static void put_tree(struct tree *t, size_t index, int depth)
{
    FILE *out = t->page->out;
    size_t children = 0, plain = 0;

    t->nodes[index].is_shown = true;
    fo_html(out, "<li>");
    put_process(t, &t->processes[index]);
    for (size_t c = t->nodes[index].child; c != 0; c = t->nodes[c - 1].next) {
        children += !t->nodes[c - 1].is_shown;
        plain += !t->nodes[c - 1].is_shown && is_plain(t, c - 1);
    }
    if (children > 0 && depth < DEEPEST) {
        fo_html(out, "<details open=\"open\"><summary>%zu child process%s</summary>\n<ul>\n",
                children, children == 1 ? "" : "es");
        for (size_t c = t->nodes[index].child; c != 0; c = t->nodes[c - 1].next)
            if (!t->nodes[c - 1].is_shown && (plain <= ALIKE_MAX || !is_plain(t, c - 1)))
                put_tree(t, c - 1, depth + 1);
        if (plain > ALIKE_MAX)
            put_alike(t, t->nodes[index].child, plain);
        fo_html(out, "</ul></details>\n");
    }
    fo_html(out, "</li>\n");
}

void fo_html_processes(struct fo_html_page *page)
{
    struct tree t = {page, page->model->processes, page->model->process_count, NULL, NULL};

    t.nodes = need(calloc(t.count + 1, sizeof *t.nodes));
    find_mentions(&t);
    link_children(&t);
    fo_html(page->out,
            "<section aria-labelledby=\"processes\">\n<h2 id=\"processes\">Processes</h2>\n");
    if (t.count == 0)
        fo_html(page->out, "<p>None used OpenSSL with the library in front.</p>\n");
    else
        fo_html(page->out, "<ul class=\"tree\">\n");
    for (size_t i = 0; i < t.count; i++)
        if (t.processes[i].parent == NULL)
            put_tree(&t, i, 0);
    for (size_t i = 0; i < t.count; i++) /* too deep, or each other's parent in a false journal */
        if (!t.nodes[i].is_shown)
            put_tree(&t, i, 0);
    fo_html(page->out, t.count > 0 ? "</ul>\n</section>\n" : "</section>\n");
    free(t.mentions);
    free(t.nodes);
}
