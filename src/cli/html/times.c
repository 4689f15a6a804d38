/* The time line: a row of dots for each object, and the same as a table. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/html/page.h"
#include "cli/output/describe.h"

enum {
    ROWS_MAX = 12, /* objects with a row of their own; the last one has all others */
    LEFT = 170,    /* units of the picture: where the axis starts */
    LONG = 760,    /* how long it is */
    HIGH = 30,     /* of a row */
    TICKS = 4,
    NAME_MAX_BYTES = 18,
};

struct axis {
    uint64_t first, last;
    const char *rows[ROWS_MAX];
    size_t row_count;
    bool has_others;
};

static unsigned x_of(const struct axis *a, uint64_t when)
{
    if (a->last == a->first)
        return LEFT + LONG / 2;
    when = when < a->first ? a->first : when > a->last ? a->last : when;
    return LEFT + (unsigned)((double)(when - a->first) / (double)(a->last - a->first) * LONG);
}

static size_t row_of(const struct axis *a, const char *object)
{
    size_t i = 0;

    while (i < a->row_count && strcmp(a->rows[i], object) != 0)
        i++;
    return i;
}

/* Findings without a time are in no journal that is whole. */
static struct axis axis_of(const struct fo_model *model)
{
    struct axis a = {.first = UINT64_MAX, .last = 0};

    for (size_t i = 0; i < model->finding_count; i++) {
        const struct fo_finding_shown *f = &model->findings[i];
        if (f->first == 0)
            continue;
        a.first = f->first < a.first ? f->first : a.first;
        a.last = f->last > a.last ? f->last : a.last;
        a.last = f->first > a.last ? f->first : a.last;
        if (row_of(&a, f->object) < a.row_count)
            continue;
        if (a.row_count < ROWS_MAX - 1)
            a.rows[a.row_count++] = f->object;
        else
            a.has_others = true;
    }
    return a;
}

static void put_ticks(FILE *out, const struct axis *a, unsigned bottom)
{
    for (int i = 0; i <= TICKS; i++) {
        uint64_t when = a->first + (a->last - a->first) / TICKS * (uint64_t)i;
        bool close = a->last - a->first < UINT64_C(5000000000); /* nanoseconds */
        time_t seconds = (time_t)(when / 1000000000u);
        unsigned x = a->last == a->first ? LEFT + LONG / 2 : LEFT + LONG / TICKS * (unsigned)i;
        char text[32] = "?", part[8] = "";
        struct tm t;
        if (localtime_r(&seconds, &t) != NULL)
            strftime(text, sizeof text, "%T", &t);
        if (close)
            snprintf(part, sizeof part, ".%03u", (unsigned)(when / 1000000u % 1000u));
        fo_html(out,
                "<line class=\"tick\" x1=\"%u\" y1=\"8\" x2=\"%u\" y2=\"%u\"/>"
                "<text x=\"%u\" y=\"%u\" text-anchor=\"middle\">%s%s</text>\n",
                x, x, bottom, x, bottom + 18, text, part);
        if (a->last == a->first)
            break;
    }
}

static void put_dot(struct fo_html_page *page, const struct axis *a,
                    const struct fo_finding_shown *f)
{
    unsigned x = x_of(a, f->first), end = x_of(a, f->last);
    unsigned y = (unsigned)row_of(a, f->object) * HIGH + HIGH / 2 + 8;
    size_t number = fo_html_finding_number(page, f);

    fo_html(page->out, "<a href=\"#f%zu\" tabindex=\"-1\"><title>%zu: %.*s</title>", number, number,
            FO_HTML_SHORT, f->headline);
    if (end > x)
        fo_html(page->out, "<line class=\"span\" x1=\"%u\" y1=\"%u\" x2=\"%u\" y2=\"%u\"/>", x, y,
                end, y);
    fo_html(page->out, "<circle class=\"%s\" cx=\"%u\" cy=\"%u\" r=\"6\"/></a>\n",
            f->suppressed != NULL ? "known" : "dot", x, y);
}

static void put_picture(struct fo_html_page *page, const struct axis *a)
{
    const struct fo_model *model = page->model;
    size_t rows = a->row_count + a->has_others;
    unsigned bottom = (unsigned)rows * HIGH + 8;

    fo_html(page->out,
            "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"Time line\">\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"When each finding "
            "was seen: the table below has the same\" viewBox=\"0 0 %d %u\">\n",
            LEFT + LONG + 60, bottom + 30);
    put_ticks(page->out, a, bottom);
    for (size_t i = 0; i < rows; i++)
        fo_html(page->out, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">%.*s</text>\n", LEFT - 14,
                (unsigned)i * HIGH + HIGH / 2 + 13, NAME_MAX_BYTES,
                i < a->row_count ? a->rows[i] : "others");
    for (size_t i = 0; i < model->finding_count; i++)
        if (model->findings[i].first != 0)
            put_dot(page, a, &model->findings[i]);
    fo_html(page->out, "</svg>\n</div>\n");
}

static void put_row(struct fo_html_page *page, const struct fo_finding_shown *f)
{
    char count[FO_HTML_NUMBER];
    size_t number = fo_html_finding_number(page, f);

    fo_html(page->out, "<tr><td><a href=\"#f%zu\">%zu</a></td><td>", number, number);
    fo_html_time(page->out, f->first);
    fo_html(page->out, "</td><td>");
    fo_html_time(page->out, f->last);
    fo_html(page->out, "</td><td class=\"number\">%s</td><td>%.*s</td><td>%.*s</td><td>%.*s",
            fo_html_number(count, f->count), FO_HTML_SHORT, f->object, FO_HTML_SHORT, f->kind,
            FO_HTML_SHORT, fo_describe_program(f));
    if (f->now.pid != 0)
        fo_html(page->out, " %u", f->now.pid);
    fo_html(page->out, "</td></tr>\n");
}

void fo_html_times(struct fo_html_page *page)
{
    const struct fo_model *model = page->model;
    struct axis a = axis_of(model);

    if (model->finding_count == 0)
        return;
    fo_html(page->out, "<section aria-labelledby=\"times\">\n<h2 id=\"times\">Time line</h2>\n");
    if (a.last != 0)
        put_picture(page, &a);
    fo_html(page->out,
            "<details><summary>As a table</summary>\n<div class=\"wide\" role=\"region\" "
            "tabindex=\"0\" aria-label=\"Table of times\">\n<table>\n<thead><tr>"
            "<th scope=\"col\">Finding</th><th scope=\"col\">First</th><th scope=\"col\">Last</th>"
            "<th scope=\"col\">Times</th><th scope=\"col\">Object</th><th scope=\"col\">Kind</th>"
            "<th scope=\"col\">Process</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < model->finding_count; i++)
        put_row(page, &model->findings[i]);
    fo_html(page->out, "</tbody>\n</table>\n</div>\n</details>\n</section>\n");
}
