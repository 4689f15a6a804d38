/* Is every file of suppressions that is generated read again, whatever the names in it, and does it
 * match what it was generated for? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/output/suppress.h"

static char path[] = "/tmp/freeonce-suppress-XXXXXX";

static void generate(const struct fo_model *model)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    fo_suppressions_generate(out, model);
    assert_int_equal(fclose(out), 0);
}

enum field { KIND, OBJECT, FILE_NAME, FUNCTION, MODULE, PROGRAM, HEADLINE, FIELDS };

struct odd {
    struct fo_process_shown process;
    struct fo_finding_shown finding;
};

static void make_odd(struct odd *odd, enum field field, const char *name)
{
    const struct fo_code caller = {.module = "/usr/bin/server", .address = 0x41, .function = "f"};

    odd->process = (struct fo_process_shown){.name = "server", .how = ""};
    odd->finding =
        (struct fo_finding_shown){.kind = "double-free",
                                  .object = "SSL_CTX",
                                  .headline = "h",
                                  .allocated = {.known = true, .file = "a.c", .line = 1},
                                  .freed = {.known = true, .caller = caller},
                                  .now = {.known = true, .file = "b.c", .caller = caller}};
    struct fo_finding_shown *f = &odd->finding;
    f->now.process = &odd->process;
    *(field == KIND        ? &f->kind
      : field == OBJECT    ? &f->object
      : field == FILE_NAME ? &f->allocated.file
      : field == FUNCTION  ? &f->freed.caller.function
      : field == MODULE    ? &f->now.caller.module
      : field == PROGRAM   ? &odd->process.name
                           : &f->headline) = name;
}

/* Is what is generated for this name read again, and does it match its finding, and not that of
 * another name?  '?' stands for a control character, and a kind that is not known has no line. */
static void check_odd(enum field field, const char *name)
{
    static struct odd odd[2];
    struct fo_finding_shown findings[2];
    struct fo_model model = {.findings = findings, .finding_count = 1};
    struct fo_suppression *list = NULL;
    int status = -1;
    bool is_plain = *name != '\0';

    for (const char *c = name; *c != '\0'; c++)
        is_plain &= (unsigned char)*c >= ' ';
    make_odd(&odd[0], field, name);
    make_odd(&odd[1], field, "another");
    findings[0] = odd[0].finding;
    findings[1] = odd[1].finding;
    generate(&model);
    if (!fo_suppressions_read(&list, path, &status))
        fail_msg("field %d of \"%.20s\" is not read", field, name);
    model.finding_count = 2;
    fo_suppressions_apply(list, &model);
    if (findings[0].suppressed == NULL)
        fail_msg("field %d of \"%.20s\" is not matched", field, name);
    if (is_plain && field != KIND && field != HEADLINE && findings[1].suppressed != NULL)
        fail_msg("field %d of \"%.20s\" matches another one", field, name);
    fo_suppressions_free(list);
}

static void every_name_is_read_again_and_matches(void **state)
{
    static const char *const odd[] = {"a b",         " a",
                                      "a ",          "  ",
                                      "\"q\"",       "'",
                                      "a\nb",        "\n",
                                      "\r",          "a\tb",
                                      "*",           "a*b?",
                                      "[a-z]\\",     "[",
                                      "]",           "[]",
                                      "[!a]",        "x]",
                                      "#x",          "= =",
                                      "\x7f",        "\x1b[",
                                      "\xff\xfe x",  "\xc3",
                                      "\\",          "a\\",
                                      "?",           "-",
                                      "[n]\nkind=*", "../!x+0x1",
                                      "double-fre?", "double-*",
                                      "\\*",         "double-free ",
                                      "newer-kind",  ""};
    static char longest[2][5000];

    (void)state;
    memset(longest[0], 'x', sizeof longest[0] - 1);
    memset(longest[1], '*', sizeof longest[1] - 1);
    for (int field = 0; field < FIELDS; field++) {
        for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
            check_odd((enum field)field, odd[i]);
        for (int i = 0; i < 2; i++)
            check_odd((enum field)field, longest[i]);
    }
}

/* Of many findings with long names: some thousand kilobytes are read, and no more is written than
 * can be read. */
static void more_than_can_be_read_is_not_written(void **state)
{
    enum { MANY = 1500 };
    static char names[MANY][4000];
    static struct odd odd[MANY];
    struct fo_finding_shown *findings = calloc(MANY, sizeof *findings);
    struct fo_model model = {.findings = findings};

    (void)state;
    assert_non_null(findings);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "%d%*s", i, (int)sizeof names[i] - 20, "x");
        make_odd(&odd[i], OBJECT, names[i]);
        odd[i].finding.allocated.file = odd[i].finding.freed.caller.function =
            odd[i].finding.headline = names[i];
        findings[i] = odd[i].finding;
    }
    for (size_t count = MANY / 3; count <= MANY; count += MANY - MANY / 3) {
        struct fo_suppression *list = NULL;
        int status = -1;
        size_t entries = 0;
        model.finding_count = count;
        generate(&model);
        assert_true(fo_suppressions_read(&list, path, &status));
        for (const struct fo_suppression *entry = list; entry != NULL; entry = entry->next)
            entries++;
        assert_true(count < MANY ? entries == count : entries > MANY / 3 && entries < MANY);
        fo_suppressions_free(list);
    }
    free(findings);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_read_again_and_matches),
        cmocka_unit_test(more_than_can_be_read_is_not_written),
    };
    int made = mkstemp(path);

    if (made < 0)
        return 1;
    close(made);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
