/* Does a command line remove LD_PRELOAD from a program's environment, as sudo and env -i do? */
#ifndef FO_CLI_WRAPPER_H
#define FO_CLI_WRAPPER_H

/* A sentence about the first such program among the words, which may be a shell's command; NULL:
 * there is none. */
const char *fo_wrapper_in(const char *line);

/* The same, for a line that begins with a program of the table; otherwise NULL. */
const char *fo_wrapper_starts(const char *line);

/* The same, for the first command of each line of a shell script: other words may be text of
 * messages.  Changes the script's text. */
const char *fo_wrapper_in_script(char *script);

#endif
