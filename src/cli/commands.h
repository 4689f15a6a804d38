/* The subcommands' entry points.  Each gets its own argv, with "freeonce NAME" as argv[0], and
 * returns an exit status of exit.h. */
#ifndef FO_CLI_COMMANDS_H
#define FO_CLI_COMMANDS_H

#define FO_COMMAND(name, function, text) int function(int argc, char **argv);
#include "cli/commands.def"
#undef FO_COMMAND

#endif
