/* SARIF's rules: the catalogue of findings, its texts made into descriptions. */
#include <stdlib.h>
#include <string.h>

#include "cli/output/describe.h"
#include "cli/output/sarif_parts.h"

static const char *const rules[][2] = {
#define FO_FINDING(KIND, id, free_text, realloc_text) {id, free_text},
#include "report/findings.def"
#undef FO_FINDING
};
enum { RULES = sizeof rules / sizeof rules[0] };

/* What stands for one finding's facts in the texts, and what does for all findings'; the longer
 * ones first. */
static const char *const general[][2] = {
    {"libc %w of freed OpenSSL %o", "a libc call for a freed OpenSSL block"},
    {"libc %w of OpenSSL %o", "a libc call for an OpenSSL block"},
    {"libc %w of %p, %d bytes inside OpenSSL %o", "a libc call for the inside of an OpenSSL block"},
    {"%p, %d bytes inside freed %o", "a pointer into a freed block"},
    {"%p, %d bytes inside %o", "a pointer into a block"},
    {"%p, %d bytes before freed %o", "a pointer before a freed block"},
    {"%p, %d bytes before %o", "a pointer before a block"},
    {"%w freed %o", "access to a freed block"},
    {"%w past", "access past"},
    {"%w %d bytes", "access"},
    {"freed %o", "a freed block"},
    {"%o", "a block"},
    {"%p", "a pointer"},
    {" (%s bytes)", ""},
    {" at byte %d", ""},
    {" (%m)", ""},
    {" %a", ""},
};

/* The caller frees it. */
static char *describe(const char *text)
{
    struct fo_description description;
    char *made;

    fo_describe_start(&description);
    while (*text != '\0') {
        size_t i = 0, count = sizeof general / sizeof general[0];
        while (i < count && strncmp(text, general[i][0], strlen(general[i][0])) != 0)
            i++;
        if (i < count) {
            fputs(general[i][1], description.out);
            text += strlen(general[i][0]);
        } else {
            fputc(*text++, description.out);
        }
    }
    made = fo_describe_end(&description);
    if (*made >= 'a' && *made <= 'z')
        *made = (char)(*made - 'a' + 'A');
    return made;
}

json_t *fo_sarif_rules(void)
{
    json_t *list = fo_json_array();

    for (int i = 0; i < RULES; i++) {
        json_t *rule = fo_json_object(), *level = fo_json_object();
        char *text = describe(rules[i][1]);
        fo_json_set(rule, "id", fo_json_text(rules[i][0]));
        fo_json_set(rule, "shortDescription", fo_sarif_message(text));
        fo_json_set(rule, "fullDescription", fo_sarif_message(text));
        fo_json_set(rule, "help",
                    fo_sarif_message("The block was allocated by OpenSSL. The result tells where "
                                     "it was allocated, where it was freed first, and which call "
                                     "was found; the mistake is in one of these callers, or in "
                                     "what they share."));
        fo_json_set(level, "level", fo_json_text("error"));
        fo_json_set(rule, "defaultConfiguration", level);
        fo_json_add(list, rule);
        free(text);
    }
    return list;
}

int fo_sarif_rule_index(const char *kind)
{
    for (int i = 0; kind != NULL && i < RULES; i++)
        if (strcmp(kind, rules[i][0]) == 0)
            return i;
    return -1;
}
