/* Is the function behind the library's own the one to which a program's reference is bound? */
#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <pthread.h>

#include "fixture.h"
#include "base/real.h"

static void *of_libc(const char *name, const char *version)
{
    void *handle = dlopen(LIBC_SO, RTLD_NOW | RTLD_NOLOAD);

    assert_non_null(handle);
    return dlvsym(handle, name, version);
}

#if defined(__x86_64__)
/* Before glibc 2.36 dlsym(3) finds the old version. */
static void the_version_is_taken_where_libc_has_two(void **state)
{
    void *old = of_libc("pthread_cond_init", "GLIBC_2.2.5");
    void *new = of_libc("pthread_cond_init", "GLIBC_2.3.2");

    (void)state;
    assert_non_null(old);
    assert_non_null(new);
    assert_ptr_not_equal(old, new);
    assert_ptr_equal(fo_real_of_both(old, new), new);
    assert_ptr_equal(fo_real_of_both(new, new), new);
}
#endif

/* The test is loaded before libc, as is a library that is preloaded behind the library. */
static void a_definition_in_front_of_libc_is_taken(void **state)
{
    void *mine, *libcs = dlsym(RTLD_DEFAULT, "getppid");

    (void)state;
    *(void (**)(void **)) & mine = a_definition_in_front_of_libc_is_taken;
    assert_ptr_equal(fo_real_of_both(mine, libcs), mine);
    assert_ptr_equal(fo_real_of_both(libcs, mine), mine);
    assert_ptr_equal(fo_real_of_both(mine, NULL), mine);
}

static void cond_init_is_what_the_program_is_bound_to(void **state)
{
    static void *slot;
    void *bound = of_libc("pthread_cond_init",
#if defined(__x86_64__)
                          "GLIBC_2.3.2"
#else
                          "GLIBC_2.17"
#endif
    );

    (void)state;
    assert_non_null(bound);
    assert_ptr_equal(fo_real_cond_init(&slot), bound);
    assert_ptr_equal(slot, bound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
        cmocka_unit_test(the_version_is_taken_where_libc_has_two),
#endif
        cmocka_unit_test(a_definition_in_front_of_libc_is_taken),
        cmocka_unit_test(cond_init_is_what_the_program_is_bound_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
