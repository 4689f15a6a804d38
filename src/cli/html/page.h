/* The parts of the page, in their order, and what they share. */
#ifndef FO_CLI_HTML_PAGE_H
#define FO_CLI_HTML_PAGE_H

#include "cli/html/put.h"
#include "cli/html/source.h"
#include "cli/output/format.h"

enum {
    FO_HTML_SHORT = 120, /* bytes of a name where a long one would be in the way */
    FO_HTML_FEW = 20,    /* findings of which nothing needs to be folded */
};

struct fo_html_page {
    FILE *out;
    const struct fo_model *model;
    const struct fo_run_shown *run;
    char here[4096]; /* the working directory; "": not known */
    struct fo_html_sources sources;
    bool is_short; /* it has few findings */
};

/* What is in page.css and page.js. */
extern const char fo_html_css[], fo_html_js[];

/* Findings and processes are named by their place in the model, from 1: #f12, #p3. */
size_t fo_html_finding_number(const struct fo_html_page *page, const struct fo_finding_shown *f);
size_t fo_html_process_number(const struct fo_html_page *page, const struct fo_process_shown *p);

/* "setup() at src/setup.c:20" or "server+0x1234", as code. */
void fo_html_code(struct fo_html_page *page, const struct fo_code *code);
bool fo_html_is_known(const struct fo_code *code);

/* A path; beneath the working directory it starts there. */
const char *fo_html_path(const struct fo_html_page *page, const char *path);

/* A moment, with the time zone of this machine. */
void fo_html_time(FILE *out, uint64_t when);

/* One of the three places, with its source line and its stack. */
void fo_html_place(struct fo_html_page *page, const char *label, const struct fo_place_shown *place,
                   bool open);

void fo_html_findings(struct fo_html_page *page);
void fo_html_times(struct fo_html_page *page);
void fo_html_heaps(struct fo_html_page *page);
void fo_html_settings(struct fo_html_page *page);
void fo_html_processes(struct fo_html_page *page);

#endif
