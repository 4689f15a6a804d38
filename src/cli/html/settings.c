/* The options in force: those that were set, then all. */
#include <stdlib.h>
#include <string.h>

#include "cli/html/page.h"
#include "cli/output/describe.h"
#include "options/options.h"

enum { LIST_MAX = 4096 };

/* A value may have blanks: the next option is a blank, capitals and a sign of equality. */
static const char *next_option(const char *at)
{
    static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";

    while ((at = strchr(at, ' ')) != NULL) {
        size_t length = strspn(++at, capitals);
        if (length > 0 && at[length] == '=')
            return at;
    }
    return NULL;
}

/* Has the list this option with this value? */
static bool has(const char *list, const char *option, size_t length)
{
    for (const char *at = list; (at = next_option(at)) != NULL;)
        if (strncmp(at, option, length) == 0 && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static void put_rows(FILE *out, const char *list, const char *left_out)
{
    for (const char *at = next_option(list), *next; at != NULL; at = next) {
        next = next_option(at);
        size_t length = next != NULL ? (size_t)(next - at) - 1 : strlen(at);
        size_t name = strcspn(at, "=");
        if (left_out != NULL && has(left_out, at, length))
            continue;
        char *option = strndup(at, length);
        if (option == NULL)
            continue;
        option[name] = '\0';
        fo_html(
            out,
            "<tr><th scope=\"row\"><code>FREEONCE_%s</code></th><td><code>%s</code></td></tr>\n",
            option, option + name + 1);
        free(option);
    }
}

static void put_table(FILE *out, const char *list, const char *left_out)
{
    struct fo_description_text rows;

    fo_describe_start(&rows);
    put_rows(rows.out, list, left_out);
    char *text = fo_describe_end(&rows);
    if (*text == '\0') {
        fo_html(out, "<p>No option was set.</p>\n");
    } else {
        fo_html(out, "<table class=\"settings\">\n<tbody>\n");
        fputs(text, out); /* fo_html() made it */
        fo_html(out, "</tbody>\n</table>\n");
    }
    free(text);
}

void fo_html_settings(struct fo_html_page *page)
{
    const struct fo_model *m = page->model;
    char defaults[LIST_MAX];
    FILE *out = page->out;

    fo_html(out, "<section aria-labelledby=\"settings\">\n<h2 id=\"settings\">Settings</h2>\n");
    if (m->settings == NULL) {
        fo_html(out, "<p>The journal does not have them.</p>\n</section>\n");
        return;
    }
    fo_options_read(NULL);
    fo_options_list(defaults, sizeof defaults);
    if (m->other_settings > 0)
        fo_html(out, "<p>Of the first guarded process; %llu had others.</p>\n",
                (unsigned long long)m->other_settings);
    put_table(out, m->settings, defaults);
    fo_html(out, "<details><summary>All, with defaults</summary>\n");
    put_table(out, m->settings, NULL);
    fo_html(out, "</details>\n</section>\n");
}
