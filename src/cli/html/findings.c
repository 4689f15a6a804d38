/* The findings, by object and by the caller of the last place. */
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/html/page.h"
#include "cli/message.h"
#include "cli/output/describe.h"
#include "cli/output/suppress.h"

struct entry {
    const struct fo_finding_shown *finding;
    char *caller;                /* HTML */
    size_t of_object, of_caller; /* findings with the same */
};

/* The function, not the line: the findings of one function are read together. */
static char *caller_of(struct fo_html_page *page, const struct fo_finding_shown *f)
{
    struct fo_location at = fo_place_location(&f->now);
    const struct fo_code *code = &f->now.caller;
    struct fo_description_text text;

    fo_describe_start(&text);
    if (at.function != NULL)
        fo_html(text.out, "<code>%.*s()</code>", FO_HTML_SHORT, at.function);
    else if (fo_html_is_known(code))
        fo_html(text.out, "<code>%.*s+0x%llx</code>", FO_HTML_SHORT,
                code->module != NULL ? fo_describe_base(code->module) : "?",
                (unsigned long long)code->address);
    else if (at.file != NULL)
        fo_html(text.out, "<code>%.*s:%u</code>", FO_HTML_SHORT, at.file, at.line);
    else
        fo_html(text.out, "a place that is not known");
    if (at.function != NULL && at.file != NULL && !at.openssl)
        fo_html(text.out, " in <code>%.*s</code>", FO_HTML_SHORT, fo_html_path(page, at.file));
    return fo_describe_end(&text);
}

static int by_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strcmp(x->finding->object, y->finding->object);

    order = order != 0 ? order : strcmp(x->caller, y->caller);
    return order != 0 ? order : (x->finding > y->finding) - (x->finding < y->finding);
}

/* What has most findings comes first. */
static int by_size(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->of_object != y->of_object)
        return x->of_object < y->of_object ? 1 : -1;
    int order = strcmp(x->finding->object, y->finding->object);
    if (order == 0 && x->of_caller != y->of_caller)
        return x->of_caller < y->of_caller ? 1 : -1;
    return order != 0 ? order : by_name(a, b);
}

static bool is_same_object(const struct entry *a, const struct entry *b)
{
    return strcmp(a->finding->object, b->finding->object) == 0;
}

static bool is_same_caller(const struct entry *a, const struct entry *b)
{
    return is_same_object(a, b) && strcmp(a->caller, b->caller) == 0;
}

static struct entry *sorted(struct fo_html_page *page)
{
    size_t count = page->model->finding_count;
    struct entry *list = calloc(count + 1, sizeof *list);

    if (list == NULL) {
        fo_error("no memory for the page");
        exit(FO_EXIT_SOFTWARE);
    }
    for (size_t i = 0; i < count; i++) {
        list[i].finding = &page->model->findings[i];
        list[i].caller = caller_of(page, list[i].finding);
    }
    qsort(list, count, sizeof *list, by_name);
    for (size_t i = 0, object = 0, caller = 0; i < count; i++) {
        object = is_same_object(&list[object], &list[i]) ? object : i;
        caller = is_same_caller(&list[caller], &list[i]) ? caller : i;
        list[object].of_object++;
        list[caller].of_caller++;
    }
    for (size_t i = 1; i < count; i++) {
        if (is_same_object(&list[i - 1], &list[i]))
            list[i].of_object = list[i - 1].of_object;
        if (is_same_caller(&list[i - 1], &list[i]))
            list[i].of_caller = list[i - 1].of_caller;
    }
    qsort(list, count, sizeof *list, by_size);
    return list;
}

static void put_places(struct fo_html_page *page, const struct fo_finding_shown *f)
{
    FILE *out = page->out;

    fo_html(out, "<ol class=\"places\">\n");
    fo_html_place(page, "allocated", &f->allocated, false);
    if (f->racing)
        fo_html(out, "<li><strong>freed first</strong> at this moment, by another thread or "
                     "process</li>\n");
    else
        fo_html_place(page, "freed first", &f->freed, false);
    if (f->neighbour_block != 0) {
        fo_html(out, "<li><strong>overwritten</strong> from block 0x%llx (%llu bytes) in front",
                (unsigned long long)f->neighbour_block, (unsigned long long)f->neighbour_size);
        if (f->neighbour_file != NULL)
            fo_html(out, ", allocated <code>%s:%u</code>", f->neighbour_file, f->neighbour_line);
        fo_html(out, "</li>\n");
    }
    fo_html_place(page, f->label, &f->now, page->is_short);
    fo_html(out, "</ol>\n");
}

static void put_seen(FILE *out, const struct fo_finding_shown *f)
{
    char number[FO_HTML_NUMBER];

    fo_html(out, "<p>Seen %s time%s, ", fo_html_number(number, f->count), f->count == 1 ? "" : "s");
    if (f->count > 1) {
        fo_html(out, "first ");
        fo_html_time(out, f->first);
        fo_html(out, ", last ");
    }
    fo_html_time(out, f->last);
    fo_html(out, ".</p>\n");
}

static void put_finding(struct fo_html_page *page, const struct fo_finding_shown *f)
{
    const struct fo_suppression *suppressed = f->suppressed;
    FILE *out = page->out;
    size_t number = fo_html_finding_number(page, f);

    fo_html(out, "<article class=\"finding%s\" id=\"f%zu\" data-kind=\"%s\" data-program=\"%s\">\n",
            suppressed != NULL ? " suppressed" : "", number, f->kind, fo_describe_program(f));
    fo_html(out, "<h5><a href=\"#f%zu\">%zu</a> %s</h5>\n", number, number, f->headline);
    fo_html(out, "<p class=\"tags\"><span>%s</span> <span>%s</span> <span>%s</span></p>\n", f->kind,
            f->answer, fo_describe_program(f));
    put_places(page, f);
    if (f->advice != NULL && suppressed == NULL)
        fo_html(out, "<p class=\"advice\"><strong>What to do:</strong> %s</p>\n", f->advice);
    if (suppressed != NULL)
        fo_html(out, "<p><strong>Suppressed</strong> by [%s], <code>%s:%u</code>.</p>\n",
                suppressed->name, suppressed->file, suppressed->line);
    put_seen(out, f);
    fo_html(out, "</article>\n");
}

static void put_filter(struct fo_html_page *page)
{
    fo_html(page->out,
            "<form id=\"filter\" hidden=\"hidden\">\n"
            "<p><label for=\"words\">Find</label> <input id=\"words\" type=\"search\" "
            "autocomplete=\"off\" placeholder=\"function, file, pid\" /></p>\n"
            "<p><label for=\"object\">Object</label> <select id=\"object\"><option value=\"\">all"
            "</option></select></p>\n"
            "<p><label for=\"kind\">Kind</label> <select id=\"kind\"><option value=\"\">all"
            "</option></select></p>\n"
            "<p><label for=\"program\">Program</label> <select id=\"program\"><option value=\"\">"
            "all</option></select></p>\n"
            "<p><button type=\"button\" id=\"unfold\">Unfold all</button> "
            "<button type=\"button\" id=\"fold\">Fold all</button> "
            "<output id=\"count\" for=\"words object kind program\"></output></p>\n"
            "</form>\n");
}

static void start_object(FILE *out, const struct entry *e)
{
    fo_html(out,
            "<section class=\"object\" data-object=\"%s\">\n<details open=\"open\"><summary>"
            "<h3>%.*s</h3> <span>%zu finding%s</span></summary>\n",
            e->finding->object, FO_HTML_SHORT, e->finding->object, e->of_object,
            e->of_object == 1 ? "" : "s");
}

static void start_caller(FILE *out, const struct entry *e)
{
    fo_html(out, "<div class=\"caller\">\n<h4>by ");
    fputs(e->caller, out); /* fo_html() made it */
    fo_html(out, "</h4>\n");
}

void fo_html_findings(struct fo_html_page *page)
{
    size_t count = page->model->finding_count;
    struct entry *list = sorted(page);

    fo_html(page->out,
            "<section aria-labelledby=\"findings\">\n<h2 id=\"findings\">Findings</h2>\n");
    if (count == 0)
        fo_html(page->out, "<p>None.</p>\n");
    else if (count > 1)
        put_filter(page);
    for (size_t i = 0; i < count; i++) {
        const struct entry *e = &list[i];
        bool first = i == 0 || !is_same_object(e - 1, e);
        bool last = i + 1 == count || !is_same_object(e, e + 1);
        if (first)
            start_object(page->out, e);
        if (first || !is_same_caller(e - 1, e))
            start_caller(page->out, e);
        put_finding(page, e->finding);
        if (last || !is_same_caller(e, e + 1))
            fo_html(page->out, "</div>\n");
        if (last)
            fo_html(page->out, "</details>\n</section>\n");
    }
    fo_html(page->out, "</section>\n");
    for (size_t i = 0; i < count; i++)
        free(list[i].caller);
    free(list);
}
