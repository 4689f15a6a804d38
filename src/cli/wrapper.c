/* See wrapper.h. */
#include "cli/wrapper.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct wrapper {
    const char *program, *needs, *what;
} wrappers[] = {
    {"sudo", "", "sudo removes LD_PRELOAD and most else from the environment"},
    {"doas", "", "doas removes LD_PRELOAD and most else from the environment"},
    {"env", "-i", "env -i empties the environment"},
    {"env", "-", "env - empties the environment"},
    {"env", "--ignore-environment", "env --ignore-environment empties the environment"},
    {"su", "-", "su - empties the environment"},
    {"su", "-l", "su -l empties the environment"},
    {"su", "--login", "su --login empties the environment"},
    {"runuser", "-", "runuser - empties the environment"},
    {"runuser", "-l", "runuser -l empties the environment"},
    {"runuser", "--login", "runuser --login empties the environment"},
    {"setpriv", "--reset-env", "setpriv --reset-env empties the environment"},
    {"docker", "", "a container gets an environment of its own (docker run -e ...)"},
    {"podman", "", "a container gets an environment of its own (podman run -e ...)"},
    {"systemd-nspawn", "", "a container gets an environment of its own"},
    {"bwrap", "--clearenv", "bwrap --clearenv empties the environment"},
};
enum { WRAPPERS = sizeof wrappers / sizeof wrappers[0], WORD_MAX = 64, OPTIONS_MAX = 5 };

/* Separators of a shell's commands separate words, too. */
static const char separators[] = " \t\n;|&(){}\"'`=";

/* The next word, cut to WORD_MAX; false: there is none. */
static bool next_word(const char **at, char word[WORD_MAX])
{
    const char *start = *at + strspn(*at, separators);
    size_t length = strcspn(start, separators);
    size_t kept = length < WORD_MAX ? length : WORD_MAX - 1;

    memcpy(word, start + length - kept, kept); /* a path's end has the program's name */
    word[kept] = '\0';
    *at = start + length;
    return length != 0;
}

/* Is it among the options that follow the program's name? */
static bool has_option(const char *rest, const char *option)
{
    char word[WORD_MAX];

    if (*option == '\0')
        return true;
    for (int i = 0; i < OPTIONS_MAX && next_word(&rest, word) && word[0] == '-'; i++)
        if (strcmp(word, option) == 0)
            return true;
    return false;
}

static const char *wrapper_of(const char *word, const char *rest)
{
    for (size_t w = 0; w < WRAPPERS; w++)
        if (strcmp(basename(word), wrappers[w].program) == 0 && has_option(rest, wrappers[w].needs))
            return wrappers[w].what;
    return NULL;
}

const char *fo_wrapper_in(const char *line)
{
    char word[WORD_MAX];

    while (next_word(&line, word)) {
        const char *what = wrapper_of(word, line);
        if (what != NULL)
            return what;
    }
    return NULL;
}

const char *fo_wrapper_starts(const char *line)
{
    const char *rest = line;
    char word[WORD_MAX];

    if (!next_word(&rest, word))
        return NULL;
    for (size_t w = 0; w < WRAPPERS; w++)
        if (strcmp(basename(word), wrappers[w].program) == 0)
            return fo_wrapper_in(line); /* env A=1 sudo */
    return NULL;
}

const char *fo_wrapper_in_script(char *script)
{
    static const char *const keywords[] = {"exec ", "then ", "else ", "do "};

    for (char *line = script, *next; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        line += strspn(line, " \t");
        for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
            if (strncmp(line, keywords[i], strlen(keywords[i])) == 0)
                line += strlen(keywords[i]);
        line[strcspn(line, "#;|&")] = '\0';
        const char *what = fo_wrapper_starts(line);
        if (what != NULL)
            return what;
    }
    return NULL;
}
