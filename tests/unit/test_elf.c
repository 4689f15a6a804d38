/* Are functions found in a module as the dynamic linker finds them, and is a module found by the
 * address of its code? */
#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <gnu/libc-version.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixture.h"
#include "base/elf.h"
#include "skipping.h"

/* Functions of libc that are no indirect functions and that no sanitizer replaces. */
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
    assert_null(fo_elf_function(&cmocka, "vsnprintf")); /* an import of cmocka from libc */
    assert_null(fo_elf_function(&cmocka, "__libc_start_main"));
}

/* Symbols of libc have versions, those of cmocka none. */
static void a_function_is_bound_by_its_version_or_has_none(void **state)
{
    void *own = dlsym(RTLD_DEFAULT, "_cmocka_run_group_tests");
    struct fo_module libc_itself = module_of(dlsym(libc(), "getpid")), cmocka = module_of(own);

    (void)state;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        assert_non_null(fo_elf_bound_function(&libc_itself, functions[i], "GLIBC_2."));
        assert_null(fo_elf_bound_function(&libc_itself, functions[i], "OPENSSL_3."));
    }
    assert_ptr_equal(fo_elf_bound_function(&cmocka, "_cmocka_run_group_tests", "OPENSSL_3."), own);
    assert_null(fo_elf_bound_function(&cmocka, "getpid", "OPENSSL_3."));
}

static void a_module_without_tables_has_no_functions(void **state)
{
    const struct fo_module nothing = {0};

    (void)state;
    assert_null(fo_elf_function(&nothing, "getpid"));
    assert_null(fo_elf_bound_function(&nothing, "getpid", "GLIBC_2."));
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

/* It searches again only once something was loaded. */
static void no_more_is_found_than_there_is_room(void **state)
{
    static const char *const libraries[] = {"libresolv.so.2", "libnss_files.so.2", "libssl.so.3",
                                            "libanl.so.1", "libm.so.6"};
    void *found[1] = {&found};

    (void)state;
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        if (dlopen(libraries[i], RTLD_NOW | RTLD_NOLOAD) != NULL ||
            dlopen(libraries[i], RTLD_NOW) == NULL)
            continue;
        assert_int_equal(fo_elf_search("getpid", found, 0), 0);
        assert_ptr_equal(found[0], &found);
        return;
    }
    SKIP_BECAUSE("all libraries that could be loaded are loaded");
}

/* --- what of a module's file is mapped ----------------------------------------------------------
 */

enum { IMAGE = 4 * 4096, NOTES = 0x200, ID = 20 };

/* Two readable pages, then two that are not. */
static struct {
    ElfW(Ehdr) * header;
    ElfW(Phdr) * segments;
    ElfW(Nhdr) * note;
    struct fo_module module;
} image;

/* With the layout of a linker. */
static int make_image(void **state)
{
    char *p = mmap(NULL, IMAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    if (p == MAP_FAILED || mprotect(p + IMAGE / 2, IMAGE / 2, PROT_NONE) != 0)
        return -1;
    image.header = (ElfW(Ehdr) *)p;
    image.segments = (ElfW(Phdr) *)(p + sizeof *image.header);
    image.note = (ElfW(Nhdr) *)(p + NOTES);
    *image.header = (ElfW(Ehdr)){.e_ident = ELFMAG,
                                 .e_phoff = sizeof *image.header,
                                 .e_phentsize = sizeof *image.segments,
                                 .e_phnum = 2};
    image.segments[0] = (ElfW(Phdr)){.p_type = PT_LOAD, .p_filesz = 4096, .p_memsz = 4096};
    image.segments[1] =
        (ElfW(Phdr)){.p_type = PT_NOTE, .p_vaddr = NOTES, .p_memsz = sizeof *image.note + 4 + ID};
    *image.note = (ElfW(Nhdr)){.n_namesz = 4, .n_descsz = ID, .n_type = NT_GNU_BUILD_ID};
    memcpy(image.note + 1, "GNU", 4);
    image.module = (struct fo_module){
        .base = (uintptr_t)p, .start = (uintptr_t)p, .end = (uintptr_t)p + IMAGE, .path = "x"};
    return 0;
}

static int unmap_image(void **state)
{
    (void)state;
    return munmap(image.header, IMAGE);
}

static size_t build_id_length(void)
{
    const unsigned char *id;

    return fo_elf_build_id(&image.module, &id);
}

static void a_build_id_is_found_where_linkers_put_it(void **state)
{
    const unsigned char *id = NULL;

    (void)state;
    assert_int_equal(fo_elf_build_id(&image.module, &id), ID);
    assert_ptr_equal(id, (char *)(image.note + 1) + 4);
}

static void program_headers_that_are_not_mapped_are_not_read(void **state)
{
    static const uint64_t offsets[] = {IMAGE / 2 - 64, IMAGE / 2,      IMAGE - 64,     IMAGE,
                                       IMAGE + 64,     UINT64_MAX / 2, UINT64_MAX - 63};

    (void)state;
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        image.header->e_phoff = offsets[i] & ~UINT64_C(7);
        assert_int_equal(build_id_length(), 0);
    }
    image.header->e_phoff = sizeof *image.header;
    image.header->e_phnum = UINT16_MAX;
    assert_int_equal(build_id_length(), 0);
    image.header->e_phnum = 2;
    image.header->e_phentsize = 1;
    assert_int_equal(build_id_length(), 0);
    image.header->e_phentsize = sizeof *image.segments;
    image.segments[0].p_filesz = 64; /* something else lies there */
    assert_int_equal(build_id_length(), 0);
}

static void notes_that_are_not_mapped_are_not_read(void **state)
{
    static const uint64_t places[] = {IMAGE / 2 - 4, IMAGE / 2, IMAGE - 4, IMAGE, UINT64_MAX - 3};

    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        image.segments[1].p_vaddr = places[i];
        assert_int_equal(build_id_length(), 0);
    }
    image.segments[1].p_vaddr = NOTES;
    image.segments[1].p_memsz = UINT64_MAX;
    assert_int_equal(build_id_length(), 0);
}

static void a_note_ends_with_its_segment(void **state)
{
    static const uint32_t lengths[] = {ID + 1, 4096, UINT32_MAX - 3, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        image.note->n_descsz = lengths[i];
        assert_int_equal(build_id_length(), 0);
        image.note->n_descsz = ID;
        image.note->n_namesz = lengths[i];
        assert_int_equal(build_id_length(), 0);
        image.note->n_namesz = 4;
    }
}

static void names_of_files_are_constants_of_a_module(void **state)
{
    static const char constant[] = "crypto/mem.c";
    static char variable[] = "a secret";
    char stack[] = "a secret", *heap = strdup("a secret"), out[32] = "";

    (void)state;
    assert_true(fo_elf_string(constant, out, sizeof out));
    assert_string_equal(out, constant);
    assert_true(fo_elf_string(constant + 7, out, sizeof out));
    assert_string_equal(out, "mem.c");
    assert_false(fo_elf_string(constant, out, 5));
    assert_false(fo_elf_string(variable, out, sizeof out));
    assert_false(fo_elf_string(stack, out, sizeof out));
    assert_false(fo_elf_string(heap, out, sizeof out));
    assert_false(fo_elf_string(NULL, out, sizeof out));
    assert_false(fo_elf_string((const char *)UINTPTR_MAX, out, sizeof out));
    assert_true(fo_elf_string(gnu_get_libc_version(), out, sizeof out));
    free(heap);
}

#define WITH_IMAGE(test) cmocka_unit_test_setup_teardown(test, make_image, unmap_image)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_found_where_dlsym_finds_them),
        cmocka_unit_test(what_a_module_does_not_define_is_not_found),
        cmocka_unit_test(a_function_is_bound_by_its_version_or_has_none),
        cmocka_unit_test(a_module_without_tables_has_no_functions),
        cmocka_unit_test(code_lies_in_its_module_and_data_in_none),
        cmocka_unit_test(a_search_sees_every_module_and_only_new_ones_again),
        WITH_IMAGE(a_build_id_is_found_where_linkers_put_it),
        WITH_IMAGE(program_headers_that_are_not_mapped_are_not_read),
        WITH_IMAGE(notes_that_are_not_mapped_are_not_read),
        WITH_IMAGE(a_note_ends_with_its_segment),
        cmocka_unit_test(names_of_files_are_constants_of_a_module),
        cmocka_unit_test(no_more_is_found_than_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
