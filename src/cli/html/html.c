/* One page for people: no network, complete without its script.  It is well-formed XML, too, so
 * that tests can prove that no text from outside becomes a part of it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/html/page.h"
#include "cli/output/describe.h"
#include "report/journal_format.h"

/* No text from outside is run even if it got into the page: only this script is, by its SHA-256,
 * which tests/cli/formats/page.py compares. */
#define SCRIPT_HASH "sha256-0FcpxzCML5RWhnMhGeZvxpgY4RG4w6klpEk2pGNhmPs="

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void put_head(const struct fo_html_page *page)
{
    char number[FO_HTML_NUMBER];
    size_t counting = fo_model_counting(page->model);
    FILE *out = page->out;

    fo_html(out, "<!DOCTYPE html>\n"
                 "<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head>\n"
                 "<meta charset=\"utf-8\" />\n"
                 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                 "style-src 'unsafe-inline'; script-src '" SCRIPT_HASH "'; base-uri 'none'; "
                 "form-action 'none'\" />\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n"
                 "<meta name=\"color-scheme\" content=\"light dark\" />\n"
                 "<meta name=\"referrer\" content=\"no-referrer\" />\n"
                 "<title>freeonce: ");
    if (page->model->without_journal)
        fo_html(out, "saved heaps");
    else
        fo_html(out, "%s finding%s", fo_html_number(number, counting), plural(counting));
    fo_html(out, "</title>\n<style>\n");
    fputs(fo_html_css, out);
    fo_html(out,
            "</style>\n</head>\n<body class=\"%s\">\n<a class=\"skip\" href=\"#%s\">To the %s"
            "</a>\n",
            page->is_short ? "short" : "long", page->model->without_journal ? "heaps" : "findings",
            page->model->without_journal ? "heaps" : "findings");
}

static void put_verdict(const struct fo_html_page *page)
{
    const struct fo_model *m = page->model;
    size_t counting = fo_model_counting(m), unexplained = fo_model_unexplained(m);
    char number[FO_HTML_NUMBER], all[FO_HTML_NUMBER];
    bool bad = fo_model_has_findings(m) || m->excluded != 0 || unexplained != 0;
    if (m->without_journal) {
        fo_html(page->out, "<p class=\"verdict unknown\">No journal was read: this page has saved "
                           "heaps alone</p>\n");
        return;
    }
    const char *class = bad ? "bad" : m->guarded == 0 ? "unknown" : "good";

    fo_html(page->out, "<p class=\"verdict %s\">", class);
    if (fo_model_has_findings(m))
        fo_html(page->out, "%s finding%s, seen %s time%s", fo_html_number(number, counting),
                plural(counting), fo_html_number(all, m->occurrences), plural(m->occurrences));
    else if (unexplained != 0)
        fo_html(page->out, "Nothing found before a signal ended %zu guarded process%s", unexplained,
                unexplained == 1 ? "" : "es");
    else
        fo_html(page->out, m->guarded == 0 ? "Nothing was checked" : "No findings");
    if (m->finding_count > counting)
        fo_html(page->out, ", %zu suppressed", m->finding_count - counting);
    fo_html(page->out, "; %s process%s guarded</p>\n", fo_html_number(number, m->guarded),
            m->guarded == 1 ? "" : "es");
}

static void put_run(const struct fo_html_page *page)
{
    const struct fo_run_shown *run = page->run;
    FILE *out = page->out;

    if (run->command != NULL) {
        fo_html(out, "<p>Command: <code>");
        for (char *const *word = run->command; *word != NULL; word++)
            fo_html(out, "%s%s", word > run->command ? " " : "", *word);
        fo_html(out, "</code>");
        if (run->ended && run->signal != 0)
            fo_html(out, ", ended by signal %d (%s)", run->signal, strsignal(run->signal));
        else if (run->ended)
            fo_html(out, ", ended with status %d", run->status);
        if (run->ended)
            fo_html(out, " after %u.%u s", (unsigned)run->seconds,
                    (unsigned)(run->seconds * 10) % 10);
        fo_html(out, "</p>\n");
    }
    fo_html(out, "<p>Made by freeonce " FREEONCE_VERSION ".</p>\n");
}

static void put_navigation(const struct fo_html_page *page)
{
    if (page->model->without_journal)
        return;
    fo_html(page->out, "<nav aria-label=\"Parts\"><a href=\"#missing\">Completeness</a> "
                       "<a href=\"#findings\">Findings</a> ");
    if (page->model->finding_count > 0)
        fo_html(page->out, "<a href=\"#times\">Time line</a> ");
    if (page->model->heaps != NULL)
        fo_html(page->out, "<a href=\"#heaps\">Live bytes</a> ");
    fo_html(page->out,
            "<a href=\"#processes\">Processes</a> <a href=\"#settings\">Settings</a></nav>\n");
}

/* --- what is not in the page -------------------------------------------------------------------
 */

static void put_count(FILE *out, uint64_t n, void (*describe)(FILE *out, uint64_t n))
{
    struct fo_description_text text;

    if (n == 0)
        return;
    fo_describe_start(&text);
    describe(text.out, n);
    char *made = fo_describe_end(&text);
    fo_html(out, "<li>%s</li>\n", made);
    free(made);
}

static void describe_unfinished(FILE *out, uint64_t rows)
{
    fprintf(out,
            "%llu row%s of the journal were not written to the end, because a process was "
            "killed meanwhile",
            (unsigned long long)rows, plural(rows));
}

static void describe_damaged(FILE *out, uint64_t rows)
{
    fprintf(out, "%llu row%s of the journal are damaged", (unsigned long long)rows, plural(rows));
}

static void describe_left(FILE *out, uint64_t processes)
{
    fprintf(out, "%llu process%s executed another program, which was not guarded",
            (unsigned long long)processes, processes == 1 ? "" : "es");
}

static void describe_older(FILE *out, uint64_t processes)
{
    fprintf(out, "%llu process%s used OpenSSL 1.1 alone, which is not guarded",
            (unsigned long long)processes, processes == 1 ? "" : "es");
}

static void describe_unexplained(FILE *out, uint64_t processes)
{
    fprintf(out, "%llu guarded process%s without a finding ended by a signal: see Processes",
            (unsigned long long)processes, processes == 1 ? "" : "es");
}

static void describe_unlooked(FILE *out, uint64_t processes)
{
    fprintf(out, "%llu guarded process%s not looked at for leaks: see freeonce(1)",
            (unsigned long long)processes, processes == 1 ? " was" : "es were");
}

static void put_missing_items(FILE *out, const struct fo_model *m)
{
    if (m->unguarded.reason != NULL)
        fo_html(out, "<li>nothing was checked: %s</li>\n", m->unguarded.text);
    put_count(out, m->dropped, fo_describe_dropped);
    put_count(out, m->excluded, fo_describe_excluded);
    put_count(out, m->nameless, fo_describe_nameless);
    put_count(out, m->unfinished, describe_unfinished);
    put_count(out, m->damaged, describe_damaged);
    put_count(out, m->left, describe_left);
    put_count(out, m->older, describe_older);
    put_count(out, fo_model_unexplained(m), describe_unexplained);
    put_count(out, fo_model_unlooked(m), describe_unlooked);
    for (size_t i = 0; i < m->process_count; i++) {
        const struct fo_process_shown *p = &m->processes[i];
        if (p->guard == FO_JOURNAL_UNPROTECTED)
            fo_html(out, "<li>pid %u (%s) used OpenSSL unprotected: %s</li>\n", p->pid, p->name,
                    p->how[0] != '\0' ? p->how : "why is not known");
    }
}

static void put_missing(const struct fo_html_page *page)
{
    struct fo_description_text items;

    fo_describe_start(&items);
    put_missing_items(items.out, page->model);
    char *text = fo_describe_end(&items);
    fo_html(page->out, "<section aria-labelledby=\"missing\">\n<h2 id=\"missing\">Completeness</h2>"
                       "\n");
    if (*text == '\0') {
        fo_html(page->out, "<p>All findings of all guarded processes are in this page.</p>\n");
    } else {
        fo_html(page->out, "<p>This page does not have everything:</p>\n<ul>\n");
        fputs(text, page->out); /* fo_html() made it */
        fo_html(page->out, "</ul>\n");
    }
    fo_html(page->out, "</section>\n");
    free(text);
}

static void put_journal(struct fo_html_page *page)
{
    put_missing(page);
    fo_html_findings(page);
    fo_html_times(page);
    fo_html_heaps(page);
    fo_html_processes(page);
    fo_html_settings(page);
}

void fo_format_html(FILE *out, const struct fo_model *model, const struct fo_run_shown *run)
{
    struct fo_html_page page = {.out = out, .model = model, .run = run};

    if (getcwd(page.here, sizeof page.here) == NULL)
        page.here[0] = '\0';
    page.is_short = model->finding_count <= FO_HTML_FEW;
    put_head(&page);
    fo_html(out, "<header>\n<h1>freeonce report</h1>\n");
    put_verdict(&page);
    put_run(&page);
    put_navigation(&page);
    fo_html(out, "</header>\n<main>\n");
    if (model->without_journal)
        fo_html_heaps(&page);
    else
        put_journal(&page);
    fo_html(out, "</main>\n<script>\n");
    fputs(fo_html_js, out);
    fo_html(out, "</script>\n</body>\n</html>\n");
    fo_html_sources_free(&page.sources);
}
