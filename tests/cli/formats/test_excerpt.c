/* Which lines of which files get into a page?  The names come from debugging information. */
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/html/source.h"

static char folder[] = "/tmp/freeonce-excerpt-XXXXXX", name[256], other[256];

static const char *in_folder(char *out, const char *file)
{
    snprintf(out, sizeof name, "%s/%s", folder, file);
    return out;
}

static void write_file(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    fclose(file);
    assert_int_equal(chmod(path, 0644), 0);
}

/* What the page has of this line; "" : nothing. */
static const char *excerpt(const char *path, unsigned line)
{
    static char shown[8192];
    struct fo_html_sources sources = {NULL, 0};
    const struct fo_code code = {.file = path, .line = line};
    FILE *out = fmemopen(shown, sizeof shown, "w");

    memset(shown, 0, sizeof shown);
    bool found = fo_html_excerpt(out, &sources, &code);
    fclose(out);
    fo_html_sources_free(&sources);
    assert_int_equal(found, shown[0] != '\0');
    return shown;
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void the_line_is_marked_and_its_neighbours_are_shown(void **state)
{
    static const char text[] = "1\n2\n3\n4\n\tif (a < b && c)\r\n6\n7\n8\n9\n";

    (void)state;
    write_file(in_folder(name, "lines.c"), text, sizeof text - 1);
    assert_string_equal(excerpt(name, 5), "<span class=\"n\">2</span> 2\n"
                                          "<span class=\"n\">3</span> 3\n"
                                          "<span class=\"n\">4</span> 4\n"
                                          "<mark><span class=\"n\">5</span>     if (a &lt; b "
                                          "&amp;&amp; c)</mark>\n"
                                          "<span class=\"n\">6</span> 6\n"
                                          "<span class=\"n\">7</span> 7\n"
                                          "<span class=\"n\">8</span> 8\n");
    assert_non_null(strstr(excerpt(name, 1), "<mark><span class=\"n\">1</span> 1</mark>\n"));
    assert_non_null(strstr(excerpt(name, 9), "<mark><span class=\"n\">9</span> 9</mark>\n"));
}

static void a_line_that_is_not_there_shows_nothing(void **state)
{
    (void)state;
    write_file(in_folder(name, "short.c"), "1\n2\n", 4);
    assert_string_equal(excerpt(name, 3), "");
    assert_string_equal(excerpt(name, 4), "");
    assert_string_equal(excerpt(name, UINT32_MAX), "");
    write_file(in_folder(name, "empty.c"), "", 0);
    assert_string_equal(excerpt(name, 1), "");
}

static void bytes_that_are_no_text_are_marks(void **state)
{
    static const char text[] = "a\x1b[2J\xff\xe2\x80\xae\n";

    (void)state;
    write_file(in_folder(name, "bytes.c"), text, sizeof text - 1);
    assert_string_equal(excerpt(name, 1), "<mark><span class=\"n\">1</span> a?[2J?\?</mark>\n");
    static char wide[5000];
    memset(wide, '\t', sizeof wide);
    write_file(in_folder(name, "wide.c"), wide, sizeof wide);
    assert_true(strlen(excerpt(name, 1)) < 400);
}

static void only_source_files_are_read(void **state)
{
    (void)state;
    write_file(in_folder(name, "passwords"), "1\n", 2);
    assert_string_equal(excerpt(name, 1), "");
    assert_int_equal(symlink(name, in_folder(other, "link.c")), 0);
    assert_string_equal(excerpt(other, 1), "");
    assert_int_equal(mkfifo(in_folder(name, "fifo.c"), 0644), 0);
    assert_string_equal(excerpt(name, 1), ""); /* and does not wait */
    assert_int_equal(mkdir(in_folder(name, "folder.c"), 0755), 0);
    assert_string_equal(excerpt(name, 1), "");
    assert_string_equal(excerpt(in_folder(name, "nowhere.c"), 1), "");
    assert_string_equal(excerpt("", 1), "");
}

static void root_shows_nothing_that_others_may_not_read(void **state)
{
    (void)state;
    write_file(in_folder(name, "secret.c"), "1\n", 2);
    assert_int_equal(chmod(name, 0600), 0);
    if (geteuid() == 0)
        assert_string_equal(excerpt(name, 1), "");
    else
        assert_string_not_equal(excerpt(name, 1), "");
}

static void a_file_that_is_too_large_is_left_out(void **state)
{
    (void)state;
    write_file(in_folder(name, "large.c"), "1\n", 2);
    assert_int_equal(truncate(name, 5 << 20), 0);
    assert_string_equal(excerpt(name, 1), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_is_marked_and_its_neighbours_are_shown),
        cmocka_unit_test(a_line_that_is_not_there_shows_nothing),
        cmocka_unit_test(bytes_that_are_no_text_are_marks),
        cmocka_unit_test(only_source_files_are_read),
        cmocka_unit_test(root_shows_nothing_that_others_may_not_read),
        cmocka_unit_test(a_file_that_is_too_large_is_left_out),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
