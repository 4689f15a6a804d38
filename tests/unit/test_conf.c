/* Is /etc/freeonce.conf read as its manual says, and are files refused that other users could have
 * written? */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "options/conf.h"
#include "options/options.h"
#include "fixture.h"
#include "skipping.h"

static char folder[64], path[96];
static struct fo_conf conf;

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/freeonce-conf-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/conf", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    rmdir(path);
    return rmdir(folder);
}

static void write_file(const char *text, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), length);
    close(fd);
}

/* The state of the file as it is. */
static enum fo_conf_state read_file(void)
{
    errno = 4711;
    fo_conf_read(&conf, path, false);
    assert_int_equal(errno, 4711);
    return conf.state;
}

/* The tests need not run as root: the content of a file of another owner is read, too. */
static void read_text_of(const char *text, size_t length)
{
    write_file(text, length);
    fo_conf_read(&conf, path, true);
    assert_true(conf.state == FO_CONF_GOOD || conf.state == FO_CONF_OWNED);
    conf.state = FO_CONF_GOOD;
}

static void options_of(const char *program, const char *text)
{
    read_text_of(text, strlen(text));
    fo_options_read(NULL);
    fo_options_read_conf(&conf, program, false);
}

static const char *problem(unsigned i)
{
    static char text[400];
    struct fo_text t = {text, sizeof text - 1, 0};

    fo_options_put_problem(&t, i);
    text[t.used] = '\0';
    return text;
}

/* The line has this one problem, which is reported with file and line number. */
static void expect_refused(const char *line, const char *what)
{
    char text[512], wanted[512];

    snprintf(text, sizeof text, "# one\n%s\nFREEONCE_LOG=/still/read\n", line);
    options_of("unit", text);
    assert_int_equal(fo_options_problems(), 1);
    snprintf(wanted, sizeof wanted, "%s:2: %s", path, what);
    assert_string_equal(problem(0), wanted);
    assert_string_equal(fo_options.log, "/still/read");
}

static void expect_log(const char *line, const char *value)
{
    options_of("unit", line);
    assert_int_equal(fo_options_problems(), 0);
    assert_string_equal(fo_options.log, value);
}

static void settings_are_read_with_blanks_and_quotes(void **state)
{
    (void)state;
    expect_log("FREEONCE_LOG=/a", "/a");
    expect_log("FREEONCE_LOG=/a\n", "/a");
    expect_log("\n\n  # FREEONCE_LOG=/b\n\t FREEONCE_LOG = /a \t\n", "/a");
    expect_log("FREEONCE_LOG=/a\r\n", "/a");
    expect_log("FREEONCE_LOG=\"/a b\"", "/a b");
    expect_log("FREEONCE_LOG='/a \" # b'", "/a \" # b");
    expect_refused(
        "FREEONCE_LOG=sylog",
        "FREEONCE_LOG=sylog is none of stderr|syslog|syslog5424|journald|journal|/path/to/file, "
        "ignored; did you mean FREEONCE_LOG=syslog?");
    options_of("unit", "FREEONCE_JOURNAL=/b\nFREEONCE_JOURNAL=''");
    assert_string_equal(fo_options.journal, "");
    options_of("unit", "FREEONCE_JOURNAL=/b\nFREEONCE_JOURNAL=");
    assert_string_equal(fo_options.journal, "");
    expect_log("FREEONCE_LOG=/a=b#c", "/a=b#c");
    expect_log("FREEONCE_LOG=/a\nFREEONCE_LOG=/b", "/b");
    expect_log("FREEONCE_LOG=/\303\244", "/\303\244");
}

static void other_lines_are_reported_and_skipped(void **state)
{
    (void)state;
    expect_refused("hello", "neither FREEONCE_NAME=value nor [PROGRAM] nor # comment, ignored");
    expect_refused("=1",
                   "the name before = is none; a line is FREEONCE_NAME=value, without export, "
                   "ignored");
    expect_refused("export FREEONCE_FILL=1",
                   "the name before = is none; a line is FREEONCE_NAME=value, "
                   "without export, ignored");
    expect_refused("FREEONCE_FILL=1 # yes",
                   "a value with blanks needs quotes, and a comment a line of "
                   "its own, ignored");
    expect_refused("FREEONCE_FILL=\"1",
                   "the closing quote is missing, or something follows it, ignored");
    expect_refused("FREEONCE_FILL=\"",
                   "the closing quote is missing, or something follows it, ignored");
    expect_refused("FREEONCE_FILL=\"1\" # yes",
                   "the closing quote is missing, or something follows it, ignored");
    expect_refused("FREEONCE_FILL='1''", "there is a quote within the quotes, ignored");
    expect_refused("FREEONCE_FILL=\0331", "this is not text, ignored");
    expect_refused("FREEONCE_FIL=1", "there is no option FREEONCE_FIL, ignored; did you mean "
                                     "FREEONCE_FILL?");
    expect_refused("FILL=1", "there is no option FILL, ignored; did you mean FREEONCE_FILL?");
    expect_refused("LD_PRELOAD=x", "there is no option LD_PRELOAD, ignored");
    expect_refused("FREEONCE_FILL=yes", "FREEONCE_FILL=yes is none of 0|1, ignored");
    expect_refused("FREEONCE_FOREIGN=fre",
                   "FREEONCE_FOREIGN=fre is none of report|free, ignored; did you "
                   "mean FREEONCE_FOREIGN=free?");
}

static void sections_are_for_the_program_of_that_name(void **state)
{
    static const char text[] = "FREEONCE_LOG=/all\n"
                               "FREEONCE_FILL=1\n"
                               " [ nginx ]\n"
                               "FREEONCE_LOG=/nginx\n"
                               "[a-program-with-a-long-name]\n"
                               "FREEONCE_LOG=/long\n"
                               "FREEONCE_WRONG=1\n"
                               "[nginx]\n"
                               "FREEONCE_CANARY=1\n";
    (void)state;
    options_of("/usr/sbin/nginx", text);
    assert_string_equal(fo_options.log, "/nginx");
    assert_true(fo_options.fill && fo_options.canary);
    assert_int_equal(fo_options_problems(), 0);
    options_of("nginx", text);
    assert_string_equal(fo_options.log, "/nginx");
    options_of("nginx: worker", text);
    assert_string_equal(fo_options.log, "/all");
    options_of("NGINX", text);
    assert_string_equal(fo_options.log, "/all");
    assert_false(fo_options.canary);
    options_of("./a-program-with-a-long-name", text);
    assert_string_equal(fo_options.log, "/long");
    assert_int_equal(fo_options_problems(), 1);
    options_of(NULL, text);
    assert_string_equal(fo_options.log, "/all");
    options_of("/", text);
    assert_string_equal(fo_options.log, "/all");
}

static void a_wrong_section_applies_to_no_program(void **state)
{
    static const char *const wrong[] = {"[",     "[]",       "[ ]",  "[a",    "[a] b",
                                        "[a b]", "[/bin/a]", "[a]]", "[\001]"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "FREEONCE_LOG=/all\n%s\nFREEONCE_LOG=/section\n", wrong[i]);
        options_of("a", text);
        assert_string_equal(fo_options.log, "/all");
        assert_int_equal(fo_options_problems(), 1);
    }
}

static void the_environment_comes_first(void **state)
{
    static char *envp[] = {"FREEONCE_LOG=/environment", "FREEONCE_FILL=yes", NULL};
    static const char text[] = "FREEONCE_LOG=/file\nFREEONCE_FILL=1\nFREEONCE_CANARY=1\n";

    (void)state;
    read_text_of(text, sizeof text - 1);
    fo_options_read(envp);
    fo_options_read_conf(&conf, "unit", false);
    assert_string_equal(fo_options.log, "/environment");
    assert_true(fo_options.fill); /* the environment's value is invalid */
    assert_int_equal(fo_options_problems(), 1);
    assert_int_equal(fo_options_source(FO_INDEX_LOG).from, FO_FROM_ENVIRONMENT);
    assert_int_equal(fo_options_source(FO_INDEX_FILL).from, FO_FROM_FILE);
    assert_int_equal(fo_options_source(FO_INDEX_FILL).line, 2);
    assert_int_equal(fo_options_source(FO_INDEX_CANARY).line, 3);
    assert_int_equal(fo_options_source(FO_INDEX_OBJECTS).from, FO_FROM_DEFAULT);

    char list[256];
    struct fo_text t = {list, sizeof list - 1, 0};
    char wanted[256];
    assert_true(fo_options_list_file(&t));
    list[t.used] = '\0';
    snprintf(wanted, sizeof wanted, "%s: FILL (line 2), CANARY (line 3)", path);
    assert_string_equal(list, wanted);
}

static void a_check_reads_every_section_and_changes_nothing(void **state)
{
    static const char text[] = "FREEONCE_LOG=/all\n[a]\nFREEONCE_LOG=/a\nFREEONCE_FILL=3\n"
                               "[b]\nFREEONCE_LAG=1\n";
    (void)state;
    read_text_of(text, sizeof text - 1);
    fo_options_read(NULL);
    fo_options_read_conf(&conf, "c", true);
    assert_int_equal(fo_options_problems(), 2);
    assert_non_null(strstr(problem(0), "conf:4: FREEONCE_FILL=3 is none of 0|1"));
    assert_non_null(strstr(problem(1), "conf:6: there is no option FREEONCE_LAG"));
    assert_string_equal(fo_options.log, "/all");
    assert_int_equal(fo_options_source(FO_INDEX_LOG).line, 1);
}

static void nul_bytes_and_noise_do_no_harm(void **state)
{
    static char text[FO_CONF_MAX];
    uint64_t seed = 1;

    (void)state;
    read_text_of("FREEONCE_LOG=/a\0b\nFREEONCE_FILL=1\0", 34);
    fo_options_read(NULL);
    fo_options_read_conf(&conf, "unit", false);
    assert_string_equal(fo_options.log, "stderr");
    assert_false(fo_options.fill);
    assert_int_equal(fo_options_problems(), 2);
    for (int round = 0; round < 50; round++) {
        static const char few[] = "\n[]=\"' \tF\0#";
        size_t length = (size_t)(fixture_random(&seed) % sizeof text);
        for (size_t i = 0; i < length; i++) {
            uint64_t number = fixture_random(&seed);
            text[i] = round % 2 == 0 ? (char)number : few[number % (sizeof few - 1)];
        }
        read_text_of(text, length);
        fo_options_read(NULL);
        fo_options_read_conf(&conf, "unit", round % 3 == 0);
        for (unsigned i = 0; i < fo_options_problems() && i < 100; i++)
            problem(i);
        assert_string_equal(fo_options.log, "stderr");
    }
}

static void no_file_is_no_complaint(void **state)
{
    (void)state;
    assert_int_equal(read_file(), FO_CONF_ABSENT);
    fo_options_read(NULL);
    fo_options_read_conf(&conf, "unit", false);
    assert_int_equal(fo_options_problems(), 0);
    struct fo_text t = {path, 0, 0};
    assert_false(fo_options_list_file(&t));
}

static void expect_problem(const char *reason)
{
    char wanted[400];

    fo_options_read(NULL);
    fo_options_read_conf(&conf, "unit", false);
    assert_int_equal(fo_options_problems(), 1);
    assert_string_equal(fo_options.log, "stderr");
    snprintf(wanted, sizeof wanted, "%s%s", path, reason);
    assert_string_equal(problem(0), wanted);
}

static void links_and_devices_are_refused(void **state)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    (void)state;
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(read_file(), FO_CONF_LINK);
    expect_problem(" is a symbolic link, ignored: the file itself has to be there");
    unlink(path);
    assert_int_equal(symlink("/nowhere", path), 0);
    assert_int_equal(read_file(), FO_CONF_LINK);
    unlink(path);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(read_file(), FO_CONF_IRREGULAR);
    expect_problem(" is no regular file, ignored");
    rmdir(path);
    assert_int_equal(mkfifo(path, 0644), 0); /* without a writer: the read must not wait */
    assert_int_equal(read_file(), FO_CONF_IRREGULAR);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(name.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    close(fd);
    assert_int_equal(read_file(), FO_CONF_UNOPENED);
    expect_problem(" cannot be opened (No such device or address), ignored");
    unlink(path);
}

static void what_others_can_write_is_refused(void **state)
{
    static const struct {
        unsigned mode;
        const char *octal;
    } modes[] = {{0664, "0664"}, {0646, "0646"}, {0666, "0666"}, {04622, "4622"}};

    (void)state;
    if (geteuid() != 0)
        SKIP_BECAUSE("needs root");
    write_file("FREEONCE_LOG=/x\n", 16);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        char reason[256];
        chmod(path, modes[i].mode);
        assert_int_equal(read_file(), FO_CONF_WRITABLE);
        snprintf(reason, sizeof reason,
                 " can be written by group or others (mode %s), ignored: chmod 644 %s",
                 modes[i].octal, path);
        expect_problem(reason);
    }
    chmod(path, 0644);
    assert_int_equal(read_file(), FO_CONF_GOOD);
    chmod(path, 0400);
    assert_int_equal(read_file(), FO_CONF_GOOD);
    assert_int_equal(chown(path, 1234, 0), 0);
    assert_int_equal(read_file(), FO_CONF_OWNED);
    char reason[256];
    snprintf(reason, sizeof reason,
             " belongs to uid 1234, not to root, ignored: chown root:root %s", path);
    expect_problem(reason);
    assert_int_equal(conf.length, 0);
}

static void a_large_file_is_refused(void **state)
{
    static char text[FO_CONF_MAX + 1];

    (void)state;
    if (geteuid() != 0)
        SKIP_BECAUSE("needs root");
    memset(text, '\n', sizeof text);
    write_file(text, FO_CONF_MAX);
    assert_int_equal(read_file(), FO_CONF_GOOD);
    write_file(text, FO_CONF_MAX + 1);
    assert_int_equal(read_file(), FO_CONF_LARGE);
    expect_problem(" is larger than 16384 bytes, ignored");
    write_file("", 0);
    assert_int_equal(read_file(), FO_CONF_GOOD);
    fo_options_read_conf(&conf, "unit", false);
    assert_int_equal(fo_options_problems(), 0);
}

static void a_file_that_cannot_be_read_is_reported(void **state)
{
    (void)state;
    if (geteuid() != 0)
        SKIP_BECAUSE("needs root");
    write_file("FREEONCE_LOG=/x\n", 16);
    chmod(path, 0600);
    chmod(folder, 0755);
    assert_int_equal(seteuid(65534), 0);
    enum fo_conf_state seen = read_file();
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(seen, FO_CONF_UNOPENED);
    expect_problem(" cannot be opened (Permission denied), ignored");
}

#define CONF_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONF_TEST(settings_are_read_with_blanks_and_quotes),
        CONF_TEST(other_lines_are_reported_and_skipped),
        CONF_TEST(sections_are_for_the_program_of_that_name),
        CONF_TEST(a_wrong_section_applies_to_no_program),
        CONF_TEST(the_environment_comes_first),
        CONF_TEST(a_check_reads_every_section_and_changes_nothing),
        CONF_TEST(nul_bytes_and_noise_do_no_harm),
        CONF_TEST(no_file_is_no_complaint),
        CONF_TEST(links_and_devices_are_refused),
        CONF_TEST(what_others_can_write_is_refused),
        CONF_TEST(a_large_file_is_refused),
        CONF_TEST(a_file_that_cannot_be_read_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
