/* See heaps.h.  What is missing or cannot be compared is said in words. */
#include "cli/html/heaps.h"

enum {
    CHARTS_MAX = 8,
    COLUMNS_MAX = 8, /* times in a table: more have no room on paper */
};

size_t fo_course_lines(const struct fo_course *c)
{
    return c->row_count + c->has_others;
}

const char *fo_course_line(const struct fo_course *c, size_t line)
{
    return line < c->row_count ? c->rows[line] : "others";
}

size_t fo_course_colour(const struct fo_course *c, size_t line)
{
    return line < c->row_count ? line + 1 : FO_SNAPSHOTS_GREATEST + 1;
}

/* --- table -------------------------------------------------------------------------------------
 */

/* Column i of a table; the first and the last snapshot are always among them. */
static const struct fo_snapshot *column(const struct fo_course *c, size_t i, size_t columns)
{
    return &c->list[columns > 1 ? i * (c->count - 1) / (columns - 1) : 0];
}

static struct fo_amount amount(const struct fo_course *c, const struct fo_snapshot *s, size_t line)
{
    return line < fo_course_lines(c) ? s->rows[line] : s->all;
}

static void put_growth(FILE *out, struct fo_amount from, struct fo_amount to)
{
    char bytes[FO_GROUPED], blocks[FO_GROUPED];

    fo_html(out, "<td class=\"number\">%s <span>%s blocks</span></td>",
            fo_signed((int64_t)(to.bytes - from.bytes), bytes),
            fo_signed((int64_t)(to.blocks - from.blocks), blocks));
}

static void put_row(FILE *out, const struct fo_course *c, size_t line, size_t columns)
{
    char bytes[FO_HTML_NUMBER], blocks[FO_HTML_NUMBER];

    if (line < fo_course_lines(c))
        fo_html(out, "<tr><th scope=\"row\"><span class=\"key c%zu\"></span>%.*s",
                fo_course_colour(c, line), FO_HTML_SHORT, fo_course_line(c, line));
    else
        fo_html(out, "<tr><th scope=\"row\">all");
    if (line == c->row_count && c->has_others && c->other_count > 0)
        fo_html(out, " (%zu)", c->other_count);
    fo_html(out, "</th>");
    for (size_t i = 0; i < columns; i++) {
        struct fo_amount a = amount(c, column(c, i, columns), line);
        fo_html(out, "<td class=\"number\">%s <span>%s block%s</span></td>",
                fo_html_number(bytes, a.bytes), fo_html_number(blocks, a.blocks),
                a.blocks == 1 ? "" : "s");
    }
    if (c->count > 1)
        put_growth(out, amount(c, &c->list[0], line), amount(c, &c->list[c->count - 1], line));
    fo_html(out, "</tr>\n");
}

static void put_table(FILE *out, const struct fo_course *c, size_t number)
{
    size_t columns = c->count < COLUMNS_MAX ? c->count : COLUMNS_MAX;

    fo_html(out, "<p>Bytes, and below them blocks.</p>\n");
    if (columns < c->count)
        fo_html(out, "<p>%zu of %zu snapshots are in the table; all are in the chart.</p>\n",
                columns, c->count);
    fo_html(out,
            "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"Table %zu of live "
            "bytes and blocks\">\n<table>\n<thead><tr><th scope=\"col\">%s</th>",
            number, fo_heap_by_titles[c->list[0].saved.by]);
    for (size_t i = 0; i < columns; i++) {
        const struct fo_snapshot *s = column(c, i, columns);
        fo_html(out, "<th scope=\"col\" class=\"number\">");
        fo_html_time(out, s->when);
        fo_html(out, s->saved.complete ? "</th>" : " <span>not read whole</span></th>");
    }
    if (c->count > 1)
        fo_html(out, "<th scope=\"col\" class=\"number\">growth from the first to the last</th>");
    fo_html(out, "</tr></thead>\n<tbody>\n");
    for (size_t line = 0; line <= fo_course_lines(c); line++)
        put_row(out, c, line, columns);
    fo_html(out, "</tbody>\n</table>\n</div>\n");
}

/* --- section -----------------------------------------------------------------------------------
 */

static void put_course(FILE *out, const struct fo_course *c, size_t number)
{
    const struct fo_saved *first = &c->list[0].saved;
    size_t incomplete = 0;

    for (size_t i = 0; i < c->count; i++)
        incomplete += !c->list[i].saved.complete;
    fo_html(out, "<h3>By %s: process %llu (%.*s), %zu snapshot%s</h3>\n",
            fo_heap_by_names[first->by], (unsigned long long)first->pid, FO_HTML_SHORT, first->name,
            c->count, c->count == 1 ? "" : "s");
    if (incomplete > 0)
        fo_html(out,
                "<p>%zu of them %s not read whole: the process changed meanwhile, and has more."
                "</p>\n",
                incomplete, incomplete == 1 ? "was" : "were");
    if (fo_course_lines(c) == 0)
        fo_html(out, "<p>No block was in use.</p>\n");
    else if (c->count > 1)
        fo_html_chart(out, c, number);
    else
        fo_html(out, "<p>One snapshot has no course: save another one later, and name both.</p>\n");
    put_table(out, c, number);
}

static void put_doubts(FILE *out, const struct fo_snapshots *s)
{
    if (s->is_reordered)
        fo_html(out, "<p>The files were not named in the order of their times; they are shown in "
                     "it.</p>\n");
    if (s->course_count > 1)
        fo_html(out, "<p>The files are of different processes, or count blocks by different things "
                     "(--by). Those that can be compared are shown together.</p>\n");
    if (s->course_count > CHARTS_MAX)
        fo_html(out,
                "<p>%zu other processes or ways to count are not shown: name fewer files.</p>\n",
                s->course_count - CHARTS_MAX);
    if (s->left_count > 0)
        fo_html(out, "<p>Left out:</p>\n<ul>\n");
    for (size_t i = 0; i < s->left_count; i++)
        fo_html(out, "<li><code>%s</code>: %s</li>\n", s->left[i].path, s->left[i].why);
    if (s->left_count > 0)
        fo_html(out, "</ul>\n");
}

void fo_html_heaps(struct fo_html_page *page)
{
    const struct fo_snapshots *s = page->model->heaps;

    if (s == NULL)
        return;
    fo_html(page->out,
            "<section class=\"heaps\" aria-labelledby=\"heaps\">\n<h2 id=\"heaps\">Live "
            "bytes over time</h2>\n"
            "<p>OpenSSL's blocks that were in use when <code>freeonce heap --save</code> "
            "looked.</p>\n");
    put_doubts(page->out, s);
    for (size_t i = 0; i < s->course_count && i < CHARTS_MAX; i++)
        put_course(page->out, &s->courses[i], i + 1);
    fo_html(page->out, "</section>\n");
}
