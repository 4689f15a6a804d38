/* The table of formats: see format.h. */
#include "cli/output/format.h"

#include <string.h>

const struct fo_format fo_formats[] = {
    {"text", "for people (the default)", fo_format_text},
    {"json", "JSON lines", fo_format_json},
    {"junit", "JUnit XML, as GitLab and Jenkins read it", fo_format_junit},
    {"sarif", "SARIF 2.1.0", fo_format_sarif},
    {"html", "one page for a browser", fo_format_html},
    {"github", "annotations of GitHub Actions", fo_format_github},
    {NULL, NULL, NULL},
};

const struct fo_format *fo_format_find(const char *name)
{
    for (const struct fo_format *f = fo_formats; f->name != NULL; f++)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}
