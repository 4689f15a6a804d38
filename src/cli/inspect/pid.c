/* See pid.h. */
#include "cli/inspect/pid.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

error_t fo_take_pid(int key, char *argument, struct argp_state *state, pid_t *pid,
                    const char **core)
{
    char *end;
    long number;

    switch (key) {
    case ARGP_KEY_ARG:
        if (state->arg_num != 0)
            argp_error(state, "one process at a time");
        if (core != NULL && argument[strspn(argument, "0123456789")] != '\0') {
            *core = argument;
            return 0;
        }
        errno = 0;
        number = strtol(argument, &end, 10);
        if (*argument < '1' || *argument > '9' || *end != '\0' || errno != 0 || number > INT_MAX)
            argp_error(state, "\"%s\" is no number of a process", argument);
        *pid = (pid_t)number;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which process? Name its PID");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}
