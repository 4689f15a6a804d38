/* See flags.h. */
#include "cli/flags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

static const struct argp_option own[] = {
    {"help", '?', NULL, 0, NULL, 0}, {"usage", 0x300, NULL, 0, NULL, 0}, {0}};

static bool is_end(const struct argp_option *o)
{
    return o->name == NULL && o->key == 0 && o->doc == NULL;
}

/* By the beginning of its long name, as getopt_long(3) does, or by its letter. */
static const struct argp_option *find_in(const struct argp_option *o, const char *name,
                                         size_t length, int letter)
{
    for (; o != NULL && !is_end(o); o++)
        if (letter != 0 ? o->key == letter : o->name != NULL && strncmp(o->name, name, length) == 0)
            return o;
    return NULL;
}

static const struct argp_option *find(const struct argp *argp, const char *name, size_t length,
                                      int letter)
{
    const struct argp_option *found = find_in(argp->options, name, length, letter);

    for (const struct argp_child *c = argp->children; found == NULL && c != NULL && c->argp != NULL;
         c++)
        found = find(c->argp, name, length, letter);
    return found != NULL ? found : find_in(own, name, length, letter);
}

static void add_names(char *names, size_t size, const struct argp_option *o)
{
    for (; o != NULL && !is_end(o); o++) {
        size_t used = strlen(names);
        if (o->name != NULL && (o->flags & OPTION_HIDDEN) == 0)
            snprintf(names + used, size - used, "%s|", o->name);
    }
}

/* Without a near name nothing is printed here: argp reports the error. */
static void suggest(const char *program, const char *name, size_t length, const struct argp *argp)
{
    char names[1024] = "", word[32], nearest[32];

    if (length >= sizeof word)
        return;
    memcpy(word, name, length);
    word[length] = '\0';
    add_names(names, sizeof names, argp->options);
    for (const struct argp_child *c = argp->children; c != NULL && c->argp != NULL; c++)
        add_names(names, sizeof names, c->argp->options);
    add_names(names, sizeof names, own);
    if (!fo_nearest_choice(word, names, nearest, sizeof nearest))
        return;
    fprintf(stderr, "%s: there is no option --%s; did you mean --%s?\n", program, word, nearest);
    exit(argp_err_exit_status);
}

void fo_flags_check(int argc, char **argv, const struct argp *argp, bool in_order)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *word = argv[i];
        if (word[0] != '-' || word[1] == '\0') {
            if (in_order)
                return;
            continue;
        }
        bool is_long = word[1] == '-';
        const char *name = word + 2;
        size_t length = is_long ? strcspn(name, "=") : 0;
        const struct argp_option *option =
            find(argp, name, length, is_long ? 0 : (unsigned char)word[1]);
        if (option == NULL) {
            if (is_long)
                suggest(argv[0], name, length, argp);
            return;
        }
        if (option->arg != NULL && (is_long ? name[length] == '\0' : name[0] == '\0'))
            i++; /* the option's value */
    }
}
