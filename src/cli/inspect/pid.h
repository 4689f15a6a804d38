/* The process that a subcommand is asked about. */
#ifndef FO_CLI_INSPECT_PID_H
#define FO_CLI_INSPECT_PID_H

#include <argp.h>
#include <sys/types.h>

/* For an argp parser with one argument, PID: what is left of the keys.  If `core` is not NULL, what
 * is no number is taken for a file's name. */
error_t fo_take_pid(int key, char *argument, struct argp_state *state, pid_t *pid,
                    const char **core);

#endif
