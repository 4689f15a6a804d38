/* A misspelt option of the command line. */
#ifndef FO_CLI_FLAGS_H
#define FO_CLI_FLAGS_H

#include <argp.h>
#include <stdbool.h>

/* Call before argp_parse().  If a long option is unknown to `argp` and near to a known one, print a
 * message with both and end the command with argp_err_exit_status.  in_order: the options end at
 * the first word that is no option. */
void fo_flags_check(int argc, char **argv, const struct argp *argp, bool in_order);

#endif
