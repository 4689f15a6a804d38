/* Are files of suppressions read as they are meant, and every mistake named?  Do they match what
 * they say, and nothing else? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/exit.h"
#include "cli/output/suppress.h"
#include "made.h"

static char path[] = "/tmp/freeonce-suppress-XXXXXX";

static void write_file(const char *text, size_t size)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
}

static struct fo_suppression *read_text(const char *text)
{
    struct fo_suppression *list = NULL;
    int status = -1;

    write_file(text, strlen(text));
    assert_true(fo_suppressions_read(&list, path, &status));
    return list;
}

/* Reading fails, and what is said holds this. */
static void assert_refused(const char *from, int expected_status, const char *expected)
{
    char said[1000] = "";
    struct fo_suppression *list = NULL;
    int status = -1, kept = dup(STDERR_FILENO);
    FILE *file = tmpfile();

    assert_non_null(file);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    bool good = fo_suppressions_read(&list, from, &status);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    fclose(file);
    assert_false(good);
    assert_null(list);
    assert_int_equal(status, expected_status);
    if (strstr(said, expected) == NULL)
        fail_msg("\"%s\" is not in: %s", expected, said);
}

static void refuse(const char *text, const char *expected)
{
    char where[1000];

    write_file(text, strlen(text));
    snprintf(where, sizeof where, expected, path);
    assert_refused(path, FO_EXIT_DATA, where);
}

/* How many of MADE_THREE's findings does this one entry suppress? */
static size_t suppressed(const char *lines)
{
    char text[1000];
    struct fo_model model;

    snprintf(text, sizeof text, "[x]\n%s\n", lines);
    struct fo_suppression *list = read_text(text);
    made_model(&model, MADE_THREE);
    fo_suppressions_apply(list, &model);
    size_t count = 0;
    for (size_t i = 0; i < model.finding_count; i++)
        count += model.findings[i].suppressed != NULL;
    assert_int_equal(list->used, count);
    fo_suppressions_free(list);
    return count;
}

static void every_key_is_a_glob(void **state)
{
    (void)state;
    assert_int_equal(suppressed("kind = double-free"), 1);
    assert_int_equal(suppressed("kind = *"), 3);
    assert_int_equal(suppressed("kind=*free*"), 2);
    assert_int_equal(suppressed("object = X5??"), 1);
    assert_int_equal(suppressed("object = x509"), 0);
    assert_int_equal(suppressed("program = worker"), 2);
    assert_int_equal(suppressed("program = [rs]*"), 1);
}

static void site_is_any_place_and_the_others_are_one(void **state)
{
    (void)state;
    assert_int_equal(suppressed("site = ssl/ssl_lib.c:*"), 2);
    assert_int_equal(suppressed("site = src/mine.c:12"), 1);
    assert_int_equal(suppressed("now = src/mine.c:12"), 1);
    assert_int_equal(suppressed("allocated = src/mine.c:12"), 0);
    assert_int_equal(suppressed("freed = ssl/ssl_lib.c:3457"), 2);
    assert_int_equal(suppressed("freed = ssl/ssl_lib.c:3168"), 0);
    assert_int_equal(suppressed("freed = ?"), 1);
    assert_int_equal(suppressed("now = worker_shutdown"), 1);
    assert_int_equal(suppressed("now = server!worker_shutdown"), 1);
    assert_int_equal(suppressed("now = plugin.so+0x777"), 1);
    assert_int_equal(suppressed("now = */src/worker.c:41"), 1);
    assert_int_equal(suppressed("site = server!*"), 2);
}

static void all_keys_must_match_and_any_of_one_keys_lines(void **state)
{
    (void)state;
    assert_int_equal(suppressed("kind = double-free\nobject = X509"), 0);
    assert_int_equal(suppressed("kind = double-free\nobject = SSL_CTX"), 1);
    assert_int_equal(suppressed("object = X509\nobject = SSL_CTX"), 2);
    assert_int_equal(suppressed("object = X509\nkind = overflow\nobject = block"), 1);
}

static void names_lines_and_comments(void **state)
{
    struct fo_suppression *list;

    (void)state;
    list = read_text("# comment\n\n [ a name ]\r\n\t kind\t= overflow \r\n#\n[b]\nobject=[X]509");
    assert_string_equal(list->name, "a name");
    assert_string_equal(list->file, path);
    assert_int_equal(list->line, 3);
    assert_string_equal(list->next->name, "b");
    assert_int_equal(list->next->line, 6);
    assert_null(list->next->next);
    fo_suppressions_free(list);
    assert_null(read_text(""));
    assert_null(read_text("\n"));
    assert_null(read_text("# nothing yet"));
}

static void a_second_file_comes_after_the_first(void **state)
{
    struct fo_suppression *list = read_text("[a]\nkind=*\n[b]\nkind=*\n");
    int status = -1;

    (void)state;
    write_file("[c]\nkind=*", 10);
    assert_true(fo_suppressions_read(&list, path, &status));
    assert_string_equal(list->next->next->name, "c");
    fo_suppressions_free(list);
}

static void the_first_match_is_named_and_all_are_used(void **state)
{
    struct fo_suppression *list = read_text("[a]\nkind=overflow\n[b]\nkind=*\n[c]\nobject=DH");
    struct fo_model model;

    (void)state;
    made_model(&model, MADE_THREE);
    fo_suppressions_apply(list, &model);
    assert_string_equal(model.findings[0].suppressed->name, "b");
    assert_string_equal(model.findings[1].suppressed->name, "a");
    assert_int_equal(list->used, 1);
    assert_int_equal(list->next->used, 3);
    assert_int_equal(list->next->next->used, 0);
    fo_suppressions_free(list);
}

static void mistakes_are_named_with_file_and_line(void **state)
{
    (void)state;
    refuse("[a]\nknid = x\n", "%s:2: there is no key \"knid\"; did you mean kind?");
    refuse("[a]\nzzzzzzzzz = x\n", "%s:2: there is no key \"zzzzzzzzz\"; there are kind,");
    refuse("[a]\n= x\n", "%s:2: there is no key \"\"");
    refuse("\n[a]\nkind = duoble-free\n",
           "%s:3: no kind of finding is called duoble-free; did you mean double-free?");
    refuse("[a]\nkind = zz*\n", "%s:2: no kind of finding is called zz*");
    refuse("[a]\n[b]\nkind=*\n", "%s:1: the suppression [a] has no line");
    refuse("[b]\nkind=*\n[a]", "%s:3: the suppression [a] has no line");
    refuse("kind = *\n", "%s:1: kind stands before the first [name]");
    refuse("[a\nkind=*\n", "%s:1: the name of a suppression ends with ]: [a");
    refuse("[", "%s:1: the name of a suppression ends with ]: [");
    refuse("[ ]\nkind=*\n", "%s:1: a suppression needs a name");
    refuse("[a]\nobject =\n", "%s:2: object has no value");
    refuse("[a]\nsome words\n", "%s:2: neither a comment (#), nor [name], nor key = value: some");
}

static void what_is_no_such_file_is_refused(void **state)
{
    enum { MOST = 16 << 20 };
    char *huge = malloc(MOST + 1);

    (void)state;
    assert_non_null(huge);
    memset(huge, '\n', MOST + 1);
    write_file(huge, MOST + 1);
    assert_refused(path, FO_EXIT_DATA, "larger than 16 MiB");
    write_file(huge, MOST);
    struct fo_suppression *list = NULL;
    int status = -1;
    assert_true(fo_suppressions_read(&list, path, &status));
    free(huge);
    write_file("[a]\nkind=\0*\n", 12);
    assert_refused(path, FO_EXIT_DATA, "is not a text file: byte 9 is 0");
    write_file("\x7f"
               "ELF\x02\x01",
               6);
    assert_refused(path, FO_EXIT_DATA, "is not a text file: byte 4 is 0x2");
    assert_refused("/nonexistent/file", FO_EXIT_NO_INPUT,
                   "/nonexistent/file cannot be read: No such file");
    assert_refused("/", FO_EXIT_NO_INPUT, "/ cannot be read: Is a directory");
}

/* What is generated matches each finding when it is read again, and no other one's. */
static void generated_entries_match_exactly_their_findings(void **state)
{
    static const size_t expected[MADES] = {[MADE_ONE] = 1,
                                           [MADE_THREE] = 3,
                                           [MADE_SUPPRESSED] = 2,
                                           [MADE_UNKNOWN] = 1,
                                           [MADE_NASTY] =
                                               1}; /* of the unknown ones no word differs */

    (void)state;
    for (int which = 0; which <= MADE_UNPROTECTED; which++) {
        struct fo_model model;
        struct fo_suppression *list = NULL;
        int status = -1;
        uint64_t entries = 0, used = 0;
        FILE *out = fopen(path, "w");

        made_model(&model, (enum made)which);
        assert_non_null(out);
        fo_suppressions_generate(out, &model);
        fclose(out);
        assert_true(fo_suppressions_read(&list, path, &status));
        made_model(&model, (enum made)which);
        fo_suppressions_apply(list, &model);
        for (size_t i = 0; i < model.finding_count; i++)
            assert_non_null(model.findings[i].suppressed);
        for (struct fo_suppression *entry = list; entry != NULL; entry = entry->next) {
            entries++;
            used += entry->used;
            for (struct fo_suppression *other = entry->next; other != NULL; other = other->next)
                assert_string_not_equal(entry->name, other->name);
        }
        assert_int_equal(entries, expected[which]);
        assert_int_equal(used, model.finding_count - (which == MADE_SUPPRESSED));
        fo_suppressions_free(list);
    }
}

static void one_entry_is_generated_for_findings_that_look_the_same(void **state)
{
    struct fo_model model;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    made_model(&model, MADE_THREE);
    model.findings[2] = model.findings[0];
    fo_suppressions_generate(out, &model);
    fclose(out);
    assert_non_null(strstr(text, "# double free of SSL_CTX 0x7f12a4c01040 (1072 bytes)\n"
                                 "[1: double-free of SSL_CTX in worker]\n"
                                 "kind = double-free\n"
                                 "object = SSL_CTX\n"
                                 "allocated = ssl/ssl_lib.c:3168\n"
                                 "freed = ssl/ssl_lib.c:3457\n"
                                 "now = ssl/ssl_lib.c:3457\n"
                                 "site = server!worker_shutdown\n"
                                 "program = worker\n"));
    assert_non_null(strstr(text, "[2: overflow"));
    assert_null(strstr(text, "[3: "));
    free(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_a_glob),
        cmocka_unit_test(site_is_any_place_and_the_others_are_one),
        cmocka_unit_test(all_keys_must_match_and_any_of_one_keys_lines),
        cmocka_unit_test(names_lines_and_comments),
        cmocka_unit_test(a_second_file_comes_after_the_first),
        cmocka_unit_test(the_first_match_is_named_and_all_are_used),
        cmocka_unit_test(mistakes_are_named_with_file_and_line),
        cmocka_unit_test(what_is_no_such_file_is_refused),
        cmocka_unit_test(generated_entries_match_exactly_their_findings),
        cmocka_unit_test(one_entry_is_generated_for_findings_that_look_the_same),
    };
    int made = mkstemp(path);

    if (made < 0)
        return 1;
    close(made);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
