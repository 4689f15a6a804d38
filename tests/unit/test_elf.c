/* Are functions found in a module as the dynamic linker would find them, and modules around code?
 */
#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <stdlib.h>
#include <unistd.h>

#include "fixture.h"
#include "load/elf.h"
#include "skipping.h"

/* Functions of libc that no sanitizer replaces and that are no indirect ones. */
static const char *const functions[] = {"getpid",  "getppid", "setenv", "abort",
                                        "lrand48", "hcreate", "qsort",  "__libc_start_main"};

static void *libc(void)
{
    void *handle = dlopen(LIBC_SO, RTLD_NOW | RTLD_NOLOAD);

    assert_non_null(handle);
    return handle;
}

static struct fo_module module_of(void *code)
{
    struct fo_module m;

    assert_true(fo_elf_module((uintptr_t)code, &m));
    assert_true((uintptr_t)code >= m.start && (uintptr_t)code < m.end);
    return m;
}

static void functions_are_found_where_dlsym_finds_them(void **state)
{
    struct fo_module m = module_of(dlsym(libc(), "getpid"));

    (void)state;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *wanted = dlsym(libc(), functions[i]);
        assert_non_null(wanted);
        assert_ptr_equal(fo_elf_function(&m, functions[i]), wanted);
    }
}

static void what_a_module_does_not_define_is_not_found(void **state)
{
    struct fo_module libc_itself = module_of(dlsym(libc(), "getpid"));
    struct fo_module cmocka = module_of(dlsym(RTLD_DEFAULT, "_cmocka_run_group_tests"));

    (void)state;
    assert_null(fo_elf_function(&libc_itself, "no_such_function"));
    assert_null(fo_elf_function(&libc_itself, ""));
    assert_null(fo_elf_function(&libc_itself, "environ")); /* data */
    assert_null(fo_elf_function(&libc_itself, "_cmocka_run_group_tests"));
    assert_null(fo_elf_function(&cmocka, "getpid"));
    assert_null(fo_elf_function(&cmocka, "vsnprintf")); /* it uses that, from libc */
    assert_null(fo_elf_function(&cmocka, "__libc_start_main"));
}

static void a_module_without_tables_has_no_functions(void **state)
{
    const struct fo_module nothing = {0};

    (void)state;
    assert_null(fo_elf_function(&nothing, "getpid"));
}

static void code_lies_in_its_module_and_data_in_none(void **state)
{
    struct fo_module m;
    char stack[16];
    void *heap = malloc(16);
    void (*own)(void **) = code_lies_in_its_module_and_data_in_none;

    (void)state;
    assert_true(module_of(*(void **)&own).executable);
    assert_false(module_of(dlsym(libc(), "getpid")).executable);
    assert_false(fo_elf_module((uintptr_t)stack, &m));
    assert_false(fo_elf_module((uintptr_t)heap, &m));
    assert_false(fo_elf_module(0, &m));
    assert_false(fo_elf_module(UINTPTR_MAX, &m));
    free(heap);
}

static void a_search_sees_every_module_and_only_new_ones_again(void **state)
{
    void *found[4] = {NULL};

    (void)state;
    assert_int_equal(fo_elf_search("_cmocka_run_group_tests", found, 4), 1);
    assert_ptr_equal(found[0], dlsym(RTLD_DEFAULT, "_cmocka_run_group_tests"));
    assert_int_equal(fo_elf_search("_cmocka_run_group_tests", found, 4), 0); /* nothing new */

    void *local = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    if (local == NULL)
        SKIP_BECAUSE("no libcrypto.so.3");
    assert_int_equal(fo_elf_search("OPENSSL_version_major", found, 4), 1);
    assert_ptr_equal(found[0], dlsym(local, "OPENSSL_version_major"));
    assert_int_equal(fo_elf_search("OPENSSL_version_major", found, 4), 0);
}

static void no_more_is_found_than_there_is_room(void **state)
{
    static const char *const libraries[] = {"libresolv.so.2", "libnss_files.so.2", "libssl.so.3",
                                            "libanl.so.1"};
    void *found[2] = {NULL, &found};

    (void)state;
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        if (dlopen(libraries[i], RTLD_NOW | RTLD_NOLOAD) != NULL ||
            dlopen(libraries[i], RTLD_NOW) == NULL)
            continue;
        assert_int_equal(fo_elf_search("getpid", found, 0), 0);
        dlopen("libm.so.6", RTLD_NOW);
        assert_ptr_equal(found[1], &found);
        return;
    }
    SKIP_BECAUSE("all libraries that could be loaded are loaded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_found_where_dlsym_finds_them),
        cmocka_unit_test(what_a_module_does_not_define_is_not_found),
        cmocka_unit_test(a_module_without_tables_has_no_functions),
        cmocka_unit_test(code_lies_in_its_module_and_data_in_none),
        cmocka_unit_test(a_search_sees_every_module_and_only_new_ones_again),
        cmocka_unit_test(no_more_is_found_than_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
