/* Do addresses become functions, files and lines, and never those of another file?  The program of
 * program.c was built in several ways; each tells its own addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/model/model.h"
#include "cli/model/source_path.h"
#include "cli/symbols/symbols.h"

#define ID "0123456789abcdef0123456789abcdef0123f0e" /* and a digit: of CMakeLists.txt */

enum { PLAIN, INLINED, CALLS };

struct call {
    char function[64];
    unsigned long address;
    unsigned line;
};

static void run(const char *program, struct call *calls)
{
    FILE *out = popen(program, "r");

    assert_non_null(out);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(
            fscanf(out, "%63s %lx %u", calls[i].function, &calls[i].address, &calls[i].line), 3);
    assert_int_equal(pclose(out), 0);
}

/* The calls of the program as a model has them: as the stack of one place. */
static void look_up(struct fo_model *model, const char *program, const char *module,
                    const char *build_id, struct call *calls)
{
    static struct fo_finding_shown finding;

    run(program, calls);
    memset(model, 0, sizeof *model);
    memset(&finding, 0, sizeof finding);
    model->findings = &finding;
    model->finding_count = 1;
    finding.now.stack = fo_model_allocate(model, CALLS * sizeof(struct fo_code));
    finding.now.frames = CALLS;
    for (int i = 0; i < CALLS; i++)
        finding.now.stack[i] =
            (struct fo_code){.module = module, .build_id = build_id, .address = calls[i].address};
    fo_symbols_resolve(model, FO_SYMBOLS_OWN);
}

static void assert_nothing(const struct fo_model *model)
{
    for (int i = 0; i < CALLS; i++) {
        assert_null(model->findings->now.stack[i].function);
        assert_null(model->findings->now.stack[i].file);
        assert_int_equal(model->findings->now.stack[i].line, 0);
    }
}

static void assert_lines(const char *program, const char *build_id)
{
    struct fo_model model;
    struct call calls[CALLS];

    look_up(&model, program, program, build_id, calls);
    for (int i = 0; i < CALLS; i++) {
        const struct fo_code *code = &model.findings->now.stack[i];
        assert_string_equal(code->function, calls[i].function);
        assert_string_equal(code->file, PROGRAM_SOURCE);
        assert_int_equal(code->line, calls[i].line);
    }
    fo_model_free(&model);
}

static void debug_information_gives_function_file_and_line(void **state)
{
    (void)state;
    assert_lines(PROGRAM_DEBUG, ID "1");
}

static void a_fixed_address_executable_too(void **state)
{
    (void)state;
    assert_lines(PROGRAM_FIXED, ID "2");
}

static void a_separate_debug_file_is_found(void **state)
{
    (void)state;
    assert_lines(PROGRAM_LINKED, ID "1");
}

static void without_debug_information_the_symbol_table_gives_the_function(void **state)
{
    struct fo_model model;
    struct call calls[CALLS];

    (void)state;
    look_up(&model, PROGRAM_SYMBOLS, PROGRAM_SYMBOLS, ID "3", calls);
    assert_string_equal(model.findings->now.stack[PLAIN].function, "plain_function");
    assert_string_equal(model.findings->now.stack[INLINED].function, "main");
    assert_null(model.findings->now.stack[PLAIN].file);
    fo_model_free(&model);
}

static void a_stripped_program_gives_nothing(void **state)
{
    struct fo_model model;
    struct call calls[CALLS];

    (void)state;
    look_up(&model, PROGRAM_STRIPPED, PROGRAM_STRIPPED, ID "1", calls);
    assert_nothing(&model);
    fo_model_free(&model);
}

static void a_file_of_another_build_is_not_used(void **state)
{
    static const char *const others[] = {ID "4", "0123456789abcdef", ID "100", NULL};
    struct fo_model model;
    struct call calls[CALLS];

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        look_up(&model, PROGRAM_DEBUG, PROGRAM_DEBUG, others[i], calls);
        assert_nothing(&model);
        fo_model_free(&model);
    }
}

static void what_is_no_elf_file_gives_nothing(void **state)
{
    static const char *const paths[] = {
        "/nonexistent/program", PROGRAM_SOURCE, "/dev/null", "/", "", "linux-vdso.so.1"};
    struct fo_model model;
    struct call calls[CALLS];

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        look_up(&model, PROGRAM_DEBUG, paths[i], ID "1", calls);
        assert_nothing(&model);
        fo_model_free(&model);
    }
}

static void a_pipe_is_not_waited_for(void **state)
{
    char folder[] = "/tmp/freeonce-symbols-XXXXXX", path[64];
    struct fo_model model;
    struct call calls[CALLS];

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    look_up(&model, PROGRAM_DEBUG, path, ID "1", calls);
    assert_nothing(&model);
    fo_model_free(&model);
    unlink(path);
    rmdir(folder);
}

static void addresses_outside_the_module_give_nothing(void **state)
{
    static const uint64_t addresses[] = {1, UINT64_MAX, UINT64_C(1) << 40};
    struct fo_process_shown process;
    struct fo_model model = {.processes = &process, .process_count = 1};

    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        memset(&process, 0, sizeof process);
        process.forked =
            (struct fo_code){.module = PROGRAM_DEBUG, .build_id = ID "1", .address = addresses[i]};
        fo_symbols_resolve(&model, FO_SYMBOLS_OWN);
        assert_null(process.forked.file);
    }
    model.processes = NULL;
    fo_model_free(&model);
}

/* The same file is opened once for all, and two files are kept apart. */
static void places_processes_and_modules_are_all_resolved(void **state)
{
    struct call debug[CALLS], fixed[CALLS];
    struct fo_process_shown process = {.pid = 1};
    struct fo_finding_shown finding = {.kind = "double-free"};
    struct fo_model model = {
        .processes = &process, .process_count = 1, .findings = &finding, .finding_count = 1};
    struct fo_code *all[] = {&process.forked, &finding.allocated.caller, &finding.freed.caller,
                             &finding.now.caller};

    (void)state;
    run(PROGRAM_DEBUG, debug);
    run(PROGRAM_FIXED, fixed);
    for (int i = 0; i < 4; i++)
        *all[i] = i % 2 == 0 ? (struct fo_code){.module = PROGRAM_DEBUG,
                                                .build_id = ID "1",
                                                .address = debug[PLAIN].address}
                             : (struct fo_code){.module = PROGRAM_FIXED,
                                                .build_id = ID "2",
                                                .address = fixed[PLAIN].address};
    fo_symbols_resolve(&model, FO_SYMBOLS_OWN);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(all[i]->function, "plain_function");
        assert_int_equal(all[i]->line, debug[PLAIN].line);
    }
    model.processes = NULL;
    fo_model_free(&model);
}

static void source_paths_are_made_plain(void **state)
{
    static const char *const rows[][3] = {
        {"/a/b", "c.c", "/a/b/c.c"},       {"/a/b", "../c.c", "/a/c.c"},
        {"/a", "/x/./y//z.c", "/x/y/z.c"}, {NULL, "x.c", "x.c"},
        {"/", "../../x.c", "/x.c"},        {".", "../x/../y.c", "../y.c"},
        {"a/b", "../../../c", "../c"},     {"/a/", "..", "/"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *path = fo_source_path(rows[i][0], rows[i][1]);
        assert_string_equal(path, rows[i][2]);
        free(path);
    }
    assert_string_equal(fo_path_beneath("/a/b/c.c", "/a/b"), "c.c");
    assert_string_equal(fo_path_beneath("/a/b/c.c", "/a/b/"), "c.c");
    assert_string_equal(fo_path_beneath("/a/b/c.c", "/"), "a/b/c.c");
    assert_null(fo_path_beneath("/a/bc.c", "/a/b"));
    assert_null(fo_path_beneath("a/b", "/a"));
    assert_null(fo_path_beneath("/a", NULL));
}

/* Where should somebody look? */
static void the_programs_own_line_is_shown_before_openssls(void **state)
{
    struct fo_code stack[] = {{.module = "/lib/libcrypto.so.3", .file = "crypto/mem.c", .line = 1},
                              {.module = "/lib/libc.so.6", .file = "stdlib/exit.c", .line = 2},
                              {.module = "/bin/x", .function = "no_line"},
                              {.module = "/bin/x", .function = "f", .file = "/s/x.c", .line = 3}};
    struct fo_place_shown place = {
        .known = true, .file = "../crypto/mem.c", .line = 9, .stack = stack, .frames = 4};
    struct fo_location location = fo_place_location(&place);

    (void)state;
    assert_string_equal(location.file, "/s/x.c");
    assert_int_equal(location.line, 3);
    assert_string_equal(location.function, "f");
    assert_false(location.openssl);
    place.caller = (struct fo_code){.module = "/bin/x", .function = "g", .file = "y.c", .line = 4};
    assert_string_equal(fo_place_location(&place).file, "y.c");
    place.caller.file = NULL;
    place.frames = 2;
    location = fo_place_location(&place);
    assert_string_equal(location.file, "../crypto/mem.c");
    assert_true(location.openssl);
    place.file = "src/mine.c";
    location = fo_place_location(&place);
    assert_string_equal(location.file, "src/mine.c");
    assert_string_equal(location.function, "g");
    assert_false(location.openssl);
    place.file = "/build/openssl-3.0.7/ssl/ssl_lib.c";
    assert_true(fo_place_location(&place).openssl);
    place.file = NULL;
    location = fo_place_location(&place);
    assert_null(location.file);
    assert_string_equal(location.function, "g");
}

static void strings_of_the_model_are_clean(void **state)
{
    static const char *const rows[][2] = {
        {"plain \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
         "plain \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\x01\x1b[0m\n\t\x7f", "??[0m???"},
        {"\xff\xc3", "??"},                          /* no UTF-8, and cut off */
        {"\xc0\xaf\xe0\x80\xaf", "?????"},           /* longer than need be */
        {"\xed\xa0\x80", "???"},                     /* a surrogate */
        {"\xef\xbf\xbf\xf4\x90\x80\x80", "???????"}, /* XML has not got it; beyond Unicode */
        {"\xc2\x85", "??"},                          /* a control character */
    };
    struct fo_model model = {.memory = NULL};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(fo_model_string(&model, rows[i][0]), rows[i][1]);
    assert_null(fo_model_string(&model, NULL));
    memset(fo_model_allocate(&model, 1000000), 1, 1000000);
    assert_int_equal(*(char *)fo_model_allocate(&model, 1), 0);
    fo_model_free(&model);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(debug_information_gives_function_file_and_line),
        cmocka_unit_test(a_fixed_address_executable_too),
        cmocka_unit_test(a_separate_debug_file_is_found),
        cmocka_unit_test(without_debug_information_the_symbol_table_gives_the_function),
        cmocka_unit_test(a_stripped_program_gives_nothing),
        cmocka_unit_test(a_file_of_another_build_is_not_used),
        cmocka_unit_test(what_is_no_elf_file_gives_nothing),
        cmocka_unit_test(a_pipe_is_not_waited_for),
        cmocka_unit_test(addresses_outside_the_module_give_nothing),
        cmocka_unit_test(places_processes_and_modules_are_all_resolved),
        cmocka_unit_test(source_paths_are_made_plain),
        cmocka_unit_test(the_programs_own_line_is_shown_before_openssls),
        cmocka_unit_test(strings_of_the_model_are_clean),
    };

    unsetenv("DEBUGINFOD_URLS");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
