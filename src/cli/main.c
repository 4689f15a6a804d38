/* The command freeonce: calls the subcommand that the first word names, otherwise `run`. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/exit.h"

static const struct command {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *text;
} commands[] = {
#define FO_COMMAND(name, function, text) {name, function, text},
#include "cli/commands.def"
#undef FO_COMMAND
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void help(void)
{
    fputs("Usage: freeonce [run] [OPTION...] [--] COMMAND [ARGUMENT...]\n"
          "       freeonce SUBCOMMAND [OPTION...] ...\n"
          "Finds double frees and their like in programs that use OpenSSL.\n\n",
          stdout);
    for (int i = 0; i < COMMANDS; i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].text);
    fputs("\nExamples:\n"
          "  freeonce --ci -- make test           fail when any process frees a block twice\n"
          "  freeonce report journal              what did the processes find?\n"
          "  freeonce systemd kamailio.service    a drop-in that guards this service\n"
          "\n`freeonce SUBCOMMAND --help` lists the options of each; freeonce(1) is the manual.\n",
          stdout);
}

/* argp prints argv[0] in its messages. */
static int call(const struct command *c, int argc, char **argv)
{
    static char name[32];

    snprintf(name, sizeof name, "freeonce %s", c->name);
    argv[0] = name;
    return c->main(argc, argv);
}

int main(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : "--help";

    if (strcmp(first, "--help") == 0 || strcmp(first, "-?") == 0 || strcmp(first, "help") == 0) {
        help();
        return argc > 1 ? FO_EXIT_OK : FO_EXIT_USAGE;
    }
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
        puts("freeonce " FREEONCE_VERSION);
        return FO_EXIT_OK;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(first, commands[i].name) == 0)
            return call(&commands[i], argc - 1, argv + 1);
    return call(&commands[0], argc, argv);
}
