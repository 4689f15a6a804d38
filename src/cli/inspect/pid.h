/* The process that a subcommand is asked about. */
#ifndef FO_CLI_INSPECT_PID_H
#define FO_CLI_INSPECT_PID_H

#include <argp.h>
#include <sys/types.h>

/* For an argp parser with one argument, PID: what is left of the keys. */
error_t fo_take_pid(int key, char *argument, struct argp_state *state, pid_t *pid);

#endif
