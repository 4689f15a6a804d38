/* See set.h. */
#include "cli/set.h"

#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/message.h"
#include "options/options.h"

static void check_by_library(const char *name, struct argp_state *state)
{
    char *setting = NULL, wrong[512];
    struct fo_text t = {wrong, sizeof wrong - 1, 0};

    if (asprintf(&setting, "FREEONCE_%s", name) < 0)
        argp_error(state, "there is no memory");
    fo_options_read((char *[]){setting, NULL});
    free(setting);
    if (fo_options_problems() == 0)
        return;
    fo_options_put_mistake(&t, 0);
    wrong[t.used] = '\0';
    argp_error(state, "--set %s: %s", name, wrong);
}

/* The library's parser does not check backends: the library does when OpenSSL is loaded. */
static void check_backend(const char *value, struct argp_state *state)
{
    static const struct {
        const char *name, *choices;
    } known[] = {
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...) {#NAME, choices},
#include "options/options.def"
#undef FO_OPTION
    };
    char nearest[32];
    size_t i = FO_INDEX_BACKEND;

    bool near = fo_nearest_choice(value, known[i].choices, nearest, sizeof nearest);
    if (strchr(value, '/') == NULL && (!near || strcmp(value, nearest) != 0))
        argp_error(state, "--set BACKEND=%s: there is no such backend%s%s%s", value,
                   near ? "; did you mean " : ", see `freeonce options BACKEND`",
                   near ? nearest : "", near ? "?" : "");
}

const char *fo_set_check(const char *argument, struct argp_state *state)
{
    const char *name = strncmp(argument, "FREEONCE_", 9) == 0 ? argument + 9 : argument;

    if (name[0] == '=' || strchr(name, '=') == NULL)
        argp_error(state, "--set %s: NAME=VALUE is needed", argument);
    for (const char *c = name; *c != '\0'; c++)
        if ((unsigned char)*c < ' ')
            argp_error(state, "--set %.*s: the value holds a control character",
                       (int)strcspn(name, "="), name);
    check_by_library(name, state);
    if (strncmp(name, "BACKEND=", 8) == 0)
        check_backend(name + 8, state);
    return name;
}
