/* Do the words for an error number agree with libc's? */
#include <errno.h>
#include <string.h>

#include "fixture.h"
#include "base/errors.h"

/* The tests run in the C locale. */
static void words_are_those_of_strerror(void **state)
{
    unsigned known = 0;

    (void)state;
    for (int error = -1; error < 200; error++) {
        const char *words = fo_error_words(error);
        if (strcmp(words, "unknown error") == 0)
            continue;
        assert_string_equal(words, strerror(error));
        known++;
    }
    assert_in_range(known, 50, 200);
    assert_string_equal(fo_error_words(EACCES), "Permission denied");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_those_of_strerror),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
