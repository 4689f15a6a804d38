/* A place in code and in the tree of processes. */
#include <stdlib.h>
#include <time.h>

#include "cli/html/page.h"
#include "cli/model/source_path.h"
#include "cli/output/describe.h"

size_t fo_html_finding_number(const struct fo_html_page *page, const struct fo_finding_shown *f)
{
    return (size_t)(f - page->model->findings) + 1;
}

size_t fo_html_process_number(const struct fo_html_page *page, const struct fo_process_shown *p)
{
    return (size_t)(p - page->model->processes) + 1;
}

const char *fo_html_path(const struct fo_html_page *page, const char *path)
{
    const char *rest = fo_path_beneath(path, page->here);

    return rest != NULL ? rest : path;
}

void fo_html_time(FILE *out, uint64_t when)
{
    time_t seconds = (time_t)(when / 1000000000u);
    struct tm local, utc;
    char shown[64], machine[64];

    if (when == 0 || localtime_r(&seconds, &local) == NULL || gmtime_r(&seconds, &utc) == NULL) {
        fo_html(out, "at a time that is not known");
        return;
    }
    strftime(shown, sizeof shown, "%F %T %z", &local);
    strftime(machine, sizeof machine, "%FT%TZ", &utc);
    fo_html(out, "<time datetime=\"%s\">%s</time>", machine, shown);
}

bool fo_html_is_known(const struct fo_code *code)
{
    return code->function != NULL || code->module != NULL || code->address != 0;
}

void fo_html_code(struct fo_html_page *page, const struct fo_code *code)
{
    if (code->function != NULL)
        fo_html(page->out, "<code>%s()</code>", code->function);
    if (code->function != NULL && code->file != NULL)
        fo_html(page->out, " at <code>%s:%u</code>", fo_html_path(page, code->file), code->line);
    else if (code->function == NULL)
        fo_html(page->out, "<code>%s+0x%llx</code>",
                code->module != NULL ? fo_describe_base(code->module) : "?",
                (unsigned long long)code->address);
}

static void put_process(struct fo_html_page *page, const struct fo_place_shown *place)
{
    const struct fo_process_shown *p = place->process;

    if (place->pid == 0)
        return;
    fo_html(page->out, " <span class=\"who\">in ");
    if (p != NULL)
        fo_html(page->out, "<a href=\"#p%zu\">pid %u</a> (%s)", fo_html_process_number(page, p),
                place->pid, p->name);
    else
        fo_html(page->out, "pid %u", place->pid);
    if (place->thread != 0)
        fo_html(page->out, ", thread %u", place->thread);
    if (p != NULL && p->is_fork) {
        fo_html(page->out, ", forked from %u", p->parent_pid);
        if (p->forked.address != 0) {
            fo_html(page->out, " by ");
            fo_html_code(page, &p->forked);
        }
    }
    fo_html(page->out, "</span>");
}

/* The place of the program's own code, as far as it is known by its line. */
static const struct fo_code *line_of(const struct fo_place_shown *place)
{
    if (place->caller.file != NULL && place->caller.line != 0)
        return &place->caller;
    for (size_t i = 0; i < place->frames; i++)
        if (place->stack[i].file != NULL && place->stack[i].line != 0)
            return &place->stack[i];
    return NULL;
}

static void put_source(struct fo_html_page *page, const struct fo_place_shown *place, bool open)
{
    const struct fo_code *code = line_of(place);
    struct fo_description_text lines;

    if (code == NULL)
        return;
    fo_describe_start(&lines);
    bool found = fo_html_excerpt(lines.out, &page->sources, code);
    char *text = fo_describe_end(&lines);
    if (found) {
        fo_html(page->out,
                open ? "<details class=\"source\" open=\"open\">" : "<details class=\"source\">");
        fo_html(page->out, "<summary>Source: %s, line %u</summary>\n<pre><code>",
                fo_html_path(page, code->file), code->line);
        fputs(text, page->out); /* fo_html() made it */
        fo_html(page->out, "</code></pre></details>\n");
    }
    free(text);
}

static void put_stack(struct fo_html_page *page, const struct fo_place_shown *place)
{
    if (place->frames == 0)
        return;
    fo_html(page->out,
            "<details class=\"stack\"><summary>Stack: %zu frame%s</summary>\n<ol start=\"0\">\n",
            place->frames, place->frames == 1 ? "" : "s");
    for (size_t i = 0; i < place->frames; i++) {
        const struct fo_code *code = &place->stack[i];
        fo_html(page->out, "<li>");
        fo_html_code(page, code);
        if (code->function == NULL && code->build_id != NULL)
            fo_html(page->out, " build-id <code>%s</code>", code->build_id);
        fo_html(page->out, "</li>\n");
    }
    fo_html(page->out, "</ol></details>\n");
}

void fo_html_place(struct fo_html_page *page, const char *label, const struct fo_place_shown *place,
                   bool open)
{
    if (!place->known)
        return;
    fo_html(page->out, "<li><strong>%s</strong> ", label);
    if (place->file != NULL)
        fo_html(page->out, "<code>%s:%u</code>", place->file, place->line);
    if (fo_html_is_known(&place->caller)) {
        fo_html(page->out, place->file != NULL ? " by " : "by ");
        fo_html_code(page, &place->caller);
    } else if (place->file == NULL) {
        fo_html(page->out, "at a place that is not known");
    }
    put_process(page, place);
    fo_html(page->out, "\n");
    put_source(page, place, open);
    put_stack(page, place);
    fo_html(page->out, "</li>\n");
}
