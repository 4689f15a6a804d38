/* Does a command line take LD_PRELOAD away from what it starts, as sudo and env -i do? */
#ifndef FO_CLI_WRAPPER_H
#define FO_CLI_WRAPPER_H

/* A sentence about the first such program among the words, those of a shell's command included;
 * NULL: there is none. */
const char *fo_wrapper_in(const char *line);

/* The same for a line that such a program begins. */
const char *fo_wrapper_starts(const char *line);

/* The same for the commands that start a line of a shell script: text in messages is not meant.
 * The script's text is changed. */
const char *fo_wrapper_in_script(char *script);

#endif
