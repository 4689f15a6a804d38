/* Is the module around an address the same, whether it is found with _dl_find_object(3) or in the
 * dynamic linker's list, as with a glibc before 2.35? */
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fixture.h"
#include "base/elf.h"

#define OTHER "libBrokenLocale.so.1" /* of glibc itself, and nobody's */

enum { PAGE = 4096 };

static void assert_same(uintptr_t address)
{
    struct fo_module expected = {0}, listed = {0};
    bool is_module = fo_elf_module(address, &expected);

    assert_int_equal(fo_elf_module_listed(address, &listed) != NULL, is_module);
    if (!is_module)
        return;
    assert_int_equal(listed.base, expected.base);
    assert_ptr_equal(listed.dynamic, expected.dynamic);
    assert_int_equal(listed.start, expected.start);
    assert_int_equal(listed.end, expected.end);
    assert_int_equal(listed.executable, expected.executable);
    assert_ptr_equal(listed.path, expected.path);
}

static void each_module_is_found_in_the_list(void **state)
{
    struct link_map *map;
    void *program = dlopen(NULL, RTLD_NOW), *other = dlopen(OTHER, RTLD_NOW);
    unsigned modules = 0;

    (void)state;
    assert_non_null(other);
    assert_int_equal(dlinfo(program, RTLD_DI_LINKMAP, &map), 0);
    for (; map != NULL; map = map->l_next, modules++) {
        struct fo_module m;
        if (!fo_elf_module((uintptr_t)map->l_ld, &m))
            continue; /* the kernel's vdso, for some versions of glibc */
        assert_ptr_equal(fo_elf_module_listed((uintptr_t)map->l_ld, &m), map);
        assert_same((uintptr_t)map->l_ld);
        assert_same(m.start);
        assert_same(m.end - 1);
        assert_same(m.start - 1);
        assert_same(m.end + 4096);
    }
    assert_in_range(modules, 4, 1000);
    dlclose(other);
    dlclose(program);
}

static void what_is_in_no_module_is_not_found(void **state)
{
    static const uintptr_t nowhere[] = {0, 1, 4096, UINTPTR_MAX, (uintptr_t)1 << 63};
    struct fo_module m;
    char here;
    void *block = malloc(100);

    (void)state;
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++)
        assert_null(fo_elf_module_listed(nowhere[i], &m));
    assert_null(fo_elf_module_listed((uintptr_t)&here, &m));
    assert_null(fo_elf_module_listed((uintptr_t)block, &m));
    free(block);
}

static void what_was_unloaded_is_not_found(void **state)
{
    void *other = dlopen(OTHER, RTLD_NOW);
    struct link_map *map;
    struct fo_module m;

    (void)state;
    assert_int_equal(dlinfo(other, RTLD_DI_LINKMAP, &map), 0);
    uintptr_t address = (uintptr_t)map->l_ld;
    assert_ptr_equal(fo_elf_module_listed(address, &m), map);
    dlclose(other);
    assert_null(fo_elf_module_listed(address, &m));
}

/* What a walk may meet at the end of the list while another thread unloads: an entry that was
 * freed, whose module is unmapped, whose memory has another use. */
static void what_is_left_of_an_entry_is_not_believed(void **state)
{
    struct link_map *tail, left = {0};
    struct fo_module m;
    uintptr_t own = (uintptr_t)what_is_left_of_an_entry_is_not_believed;
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uintptr_t headers = (uintptr_t)pages, unmapped = headers + PAGE;

    (void)state;
    assert_true(fo_elf_module((uintptr_t)assert_same, &m));
    memcpy(pages, (const void *)m.start, PAGE);
    munmap(pages + PAGE, PAGE);
    for (tail = _r_debug.r_map; tail->l_next != NULL; tail = tail->l_next)
        ;
    left.l_next = (struct link_map *)unmapped;
    tail->l_next = &left;
    for (int i = 0; i < 2; i++) {
        left.l_addr = i == 0 ? unmapped : headers;
        assert_null(fo_elf_module_listed(left.l_addr + 8, &m));
        assert_non_null(fo_elf_module_listed(own, &m));
        assert_null(fo_elf_module_listed(UINTPTR_MAX, &m));
    }
    tail->l_next = NULL;
    munmap(pages, PAGE);
}

/* Only glibc's own answer knows those. */
static void glibc_answers_where_it_can(void **state)
{
    void *other = dlmopen(LM_ID_NEWLM, OTHER, RTLD_NOW);
    struct link_map *map;
    struct fo_module m;

    (void)state;
    if (strverscmp(gnu_get_libc_version(), "2.35") < 0)
        skip();
    assert_non_null(other);
    assert_int_equal(dlinfo(other, RTLD_DI_LINKMAP, &map), 0);
    assert_true(fo_elf_module((uintptr_t)map->l_ld, &m));
    assert_null(fo_elf_module_listed((uintptr_t)map->l_ld, &m));
    dlclose(other);
}

static uint32_t is_done;

static void *load_and_unload(void *unused)
{
    while (__atomic_load_n(&is_done, __ATOMIC_RELAXED) == 0) {
        void *other = dlopen(OTHER, RTLD_NOW);
        void *block = malloc(1200); /* may get the memory of an entry that was freed */
        if (other != NULL)
            dlclose(other);
        free(block);
    }
    return unused;
}

/* What was loaded with the program is found whatever another thread loads and unloads. */
static void a_module_is_found_while_others_come_and_go(void **state)
{
    struct fo_module m;
    pthread_t thread;
    uintptr_t own = (uintptr_t)a_module_is_found_while_others_come_and_go;
    uintptr_t libc = (uintptr_t)dlsym(RTLD_DEFAULT, "qsort");

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, load_and_unload, NULL), 0);
    for (int i = 0; i < 20000; i++) {
        assert_non_null(fo_elf_module_listed(own, &m));
        assert_true(m.executable);
        assert_non_null(fo_elf_module_listed(libc, &m));
        assert_true(libc >= m.start && libc < m.end && !m.executable);
        (void)fo_elf_module_listed((uintptr_t)&m, &m); /* walks to the end */
    }
    __atomic_store_n(&is_done, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_module_is_found_in_the_list),
        cmocka_unit_test(what_is_in_no_module_is_not_found),
        cmocka_unit_test(what_was_unloaded_is_not_found),
        cmocka_unit_test(what_is_left_of_an_entry_is_not_believed),
        cmocka_unit_test(glibc_answers_where_it_can),
        cmocka_unit_test(a_module_is_found_while_others_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
