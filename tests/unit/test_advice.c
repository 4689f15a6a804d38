/* Does the advice of reports name functions that OpenSSL has, and does each finding have advice? */
#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "report/advice.h"

static const struct {
    const char *object, *owner;
} owners[] = {
#define FO_OWNER(object, owner) {object, owner},
#include "report/owners.def"
#undef FO_OWNER
};

static const char *const types[] = {
#define FO_OBJECT(function, type, shape, library, v3, v4) type,
#include "load/objects.def"
#undef FO_OBJECT
};

enum {
#define FO_FINDING(KIND, id, free_text, realloc_text) NUMBER_OF_##KIND,
#include "report/findings.def"
#undef FO_FINDING
    KINDS
};

static void every_kind_has_advice(void **state)
{
    (void)state;
    for (int kind = FO_FINDING_DOUBLE_FREE; kind < KINDS; kind++)
        assert_non_null(fo_advice_of_kind((enum fo_finding_kind)kind));
}

static bool is_a_type(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i], name) == 0)
            return true;
    return false;
}

static void owners_are_of_types(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++)
        if (!is_a_type(owners[i].object))
            fail_msg("%s is no type of objects.def", owners[i].object);
}

static void *libssl(void)
{
    void *library = dlopen("libssl.so.3", RTLD_NOW);

    return library != NULL ? library : dlopen("libssl.so.4", RTLD_NOW);
}

/* A function is named as "X509_free()", a macro without the brackets. */
static void functions_exist(void **state)
{
    void *library = libssl();
    unsigned found = 0;

    (void)state;
    assert_non_null(library);
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++) {
        for (const char *end = owners[i].owner; (end = strstr(end, "()")) != NULL; end += 2) {
            const char *start = end;
            char name[100];
            while (start > owners[i].owner && (isalnum(start[-1]) || start[-1] == '_'))
                start--;
            snprintf(name, sizeof name, "%.*s", (int)(end - start), start);
            if (dlsym(library, name) == NULL)
                fail_msg("%s: OpenSSL has no %s()", owners[i].object, name);
            found++;
        }
    }
    assert_in_range(found, sizeof owners / sizeof owners[0], 1000);
    dlclose(library);
}

static void advice_is_by_object(void **state)
{
    char text[2048];
    struct fo_text t = FO_TEXT(text);

    (void)state;
    fo_advice(&t, FO_FINDING_DOUBLE_FREE, "X509");
    text[t.used] = '\0';
    assert_non_null(strstr(text, "Which of the two owns it?"));
    assert_non_null(strstr(text, "X509_up_ref()"));

    t.used = 0; /* the owner does not matter for an overflow */
    fo_advice(&t, FO_FINDING_OVERFLOW, "X509");
    text[t.used] = '\0';
    assert_null(strstr(text, "X509_up_ref()"));

    t.used = 0;
    fo_advice(&t, FO_FINDING_DOUBLE_FREE, "block");
    text[t.used] = '\0';
    assert_null(strstr(text, "lend"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_advice),
        cmocka_unit_test(owners_are_of_types),
        cmocka_unit_test(functions_exist),
        cmocka_unit_test(advice_is_by_object),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
