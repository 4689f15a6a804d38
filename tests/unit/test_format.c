/* The formatter of the report path: are numbers right, and is nothing written behind the buffer? */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "base/format.h"

static char buffer[64];

static struct fo_text fresh(size_t size)
{
    memset(buffer, '#', sizeof buffer);
    return (struct fo_text){buffer, size, 0};
}

/* The text equals this, and the bytes behind it are unchanged. */
static void expect(const struct fo_text *t, const char *text)
{
    assert_int_equal(t->used, strlen(text));
    assert_memory_equal(buffer, text, t->used);
    for (size_t i = t->used; i < sizeof buffer; i++)
        assert_int_equal(buffer[i], '#');
}

static void numbers_are_printed_as_printf_does(void **state)
{
    static const uint64_t values[] = {
        0,  1,   9,          10,         15,        16,
        99, 100, UINT32_MAX, UINT64_MAX, INT64_MAX, UINT64_C(10000000000000000000)};
    char wanted[64];

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct fo_text t = fresh(sizeof buffer);
        fo_put_dec(&t, values[i]);
        fo_put(&t, " ");
        fo_put_hex(&t, values[i]);
        snprintf(wanted, sizeof wanted, "%" PRIu64 " 0x%" PRIx64, values[i], values[i]);
        expect(&t, wanted);
    }
}

static void text_is_copied_as_it_is(void **state)
{
    struct fo_text t = fresh(sizeof buffer);

    (void)state;
    fo_put(&t, "");
    fo_put(&t, "100 %s %n%");
    fo_put_char(&t, '\n');
    expect(&t, "100 %s %n%\n");
}

static void what_does_not_fit_is_cut_off(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 12; size++) {
        static const char whole[] = "ab0xff10!   ";
        char wanted[16] = "";
        struct fo_text t = fresh(size);
        fo_put(&t, "ab");
        fo_put_hex(&t, 255);
        fo_put_dec(&t, 10);
        fo_put_char(&t, '!');
        fo_put_pad(&t, 0, 12);
        memcpy(wanted, whole, size);
        expect(&t, wanted);
    }
}

static void padding_fills_a_column_with_one_blank_at_least(void **state)
{
    struct fo_text t = fresh(sizeof buffer);

    (void)state;
    fo_put(&t, "a");
    fo_put_pad(&t, 0, 4);
    size_t start = t.used;
    fo_put(&t, "longer");
    fo_put_pad(&t, start, 4);
    fo_put(&t, "|");
    expect(&t, "a   longer |");
}

static void padding_ends_when_the_buffer_is_full(void **state)
{
    struct fo_text t = fresh(5);

    (void)state;
    fo_put(&t, "abc");
    fo_put_pad(&t, 0, 40);
    expect(&t, "abc  ");
    fo_put_pad(&t, 0, 40);
    expect(&t, "abc  ");
}

static void text_of_other_processes_is_cleaned(void **state)
{
    static const char *const texts[][2] = {
        {"nginx: worker", "nginx: worker"},
        {"a\nb\rc\td", "a?b?c?d"},
        {"\033[2Jx\177", "?[2Jx?"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"}, /* UTF-8 */
        {"\xc2\x9b"
         "2J",
         "??2J"},                /* a control character of 8 bits */
        {"\xfc\xe2\x82", "???"}, /* no UTF-8, and cut off */
        {"\xed\xa0\x80", "???"}, /* a surrogate */
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct fo_text t = fresh(sizeof buffer);
        fo_put_clean(&t, texts[i][0], 100);
        expect(&t, texts[i][1]);
    }
    struct fo_text t = fresh(sizeof buffer);
    fo_put_clean(&t, "gr\xc3\xbc", 3);
    expect(&t, "gr?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_printed_as_printf_does),
        cmocka_unit_test(text_is_copied_as_it_is),
        cmocka_unit_test(what_does_not_fit_is_cut_off),
        cmocka_unit_test(padding_fills_a_column_with_one_blank_at_least),
        cmocka_unit_test(text_of_other_processes_is_cleaned),
        cmocka_unit_test(padding_ends_when_the_buffer_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
