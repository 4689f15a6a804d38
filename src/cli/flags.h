/* A misspelt option of the command line. */
#ifndef FO_CLI_FLAGS_H
#define FO_CLI_FLAGS_H

#include <argp.h>
#include <stdbool.h>

/* Before argp_parse(): a long option that `argp` does not have, and that is near to one that it
 * has, is named with that, and the command ends with argp_err_exit_status.  in_order: the options
 * end at the first word that is none. */
void fo_flags_check(int argc, char **argv, const struct argp *argp, bool in_order);

#endif
