/* See environment.h. */
#include "cli/run/environment.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/library.h"
#include "cli/message.h"
#include "cli/preload.h"
#include "options/options.h"

struct list {
    char **strings;
    size_t count, room;
};

static void *check_memory(void *p)
{
    if (p == NULL) {
        fo_error("no memory for the command's environment");
        exit(FO_EXIT_RUN_FAILED);
    }
    return p;
}

static size_t name_length(const char *variable)
{
    return strcspn(variable, "=");
}

static char **find(const struct list *list, const char *variable)
{
    size_t n = name_length(variable);

    for (size_t i = 0; i < list->count; i++)
        if (name_length(list->strings[i]) == n && memcmp(list->strings[i], variable, n) == 0)
            return &list->strings[i];
    return NULL;
}

/* "NAME=VALUE", in place of what is there. */
static void put(struct list *list, const char *prefix, const char *variable)
{
    char *copy;

    if (asprintf(&copy, "%s%s", prefix, variable) < 0)
        copy = NULL;
    check_memory(copy);
    char **old = find(list, copy);
    if (old != NULL) {
        free(*old);
        *old = copy;
        return;
    }
    if (list->count + 1 >= list->room) {
        list->room = list->room * 2 + 16;
        list->strings = check_memory(realloc(list->strings, list->room * sizeof *list->strings));
    }
    list->strings[list->count++] = copy;
    list->strings[list->count] = NULL;
}

static void put_default(struct list *list, const char *variable)
{
    if (find(list, variable) == NULL)
        put(list, "", variable);
}

bool fo_run_set(struct fo_run_settings *s, const char *text)
{
    if (s->set_count == FO_RUN_SETTINGS_MAX)
        return false;
    s->set[s->set_count++] = text;
    return true;
}

/* The library goes first; libraries that are in LD_PRELOAD already stay in it. */
static bool put_library(struct list *list, const struct fo_run_settings *s)
{
    const char *library = s->library != NULL ? fo_library_check(s->library) : fo_library_find();
    const char *before = getenv("LD_PRELOAD");
    char word[PATH_MAX + FO_PRELOAD_EXTRA], *all;

    if (library == NULL)
        return false;
    fo_preload_word(library, word, sizeof word);
    if (asprintf(&all, "LD_PRELOAD=%s%s%s", word, before != NULL && *before != '\0' ? " " : "",
                 before != NULL ? before : "") < 0)
        all = NULL;
    put(list, "", check_memory(all));
    free(all);
    return true;
}

/* Replaces the variable of a run that started this one. */
static void put_run(struct list *list, const char *name, const char *journal, unsigned warned)
{
    char *variable;

    if (asprintf(&variable, FO_RUN_VARIABLE "%u:%s:%s", warned, name, journal) < 0)
        variable = NULL;
    put(list, "", check_memory(variable));
    free(variable);
}

/* By the library's own parser; returns the number of problems printed.  The library does not print
 * them again. */
static unsigned check_options(char *const *environment)
{
    fo_options_read(environment);
    unsigned problems = fo_options_problems();
    for (unsigned i = 0; i < problems; i++) {
        char text[512];
        struct fo_text t = {text, sizeof text - 1, 0};
        fo_options_put_problem(&t, i);
        text[t.used] = '\0';
        fo_warning("%s", text);
    }
    return problems;
}

int fo_run_environment(char ***environment, const struct fo_run_settings *s, const char *journal,
                       const char *name)
{
    static const char *const ci[] = {"FREEONCE_QUARANTINE=4M", "FREEONCE_FILL=1",
                                     "FREEONCE_CANARY=1", "FREEONCE_FAULTS=1"};
    struct list list = {NULL, 0, 0};

    for (char **e = environ; *e != NULL; e++)
        put(&list, "", *e);
    *environment = list.strings;
    if (!put_library(&list, s))
        return FO_EXIT_RUN_FAILED;
    for (size_t i = 0; s->ci && i < sizeof ci / sizeof ci[0]; i++)
        put_default(&list, ci[i]);
    if (s->leaks)
        put_default(&list, "FREEONCE_LEAKS=1");
    put(&list, "FREEONCE_JOURNAL=", journal);
    put_default(&list, "FREEONCE_LOG=journal"); /* the run reports the findings at its end */
    if (s->require)
        put_default(&list, "FREEONCE_REQUIRE=1");
    for (int i = 0; i < s->set_count; i++)
        put(&list, "FREEONCE_", s->set[i]);
    unsigned warned = check_options(list.strings);
    put_run(&list, name, journal, warned);
    *environment = list.strings;
    return warned == 0 || !s->require ? FO_EXIT_OK : FO_EXIT_CONFIG;
}

void fo_run_environment_free(char **environment)
{
    for (char **e = environment; e != NULL && *e != NULL; e++)
        free(*e);
    free(environment);
}
