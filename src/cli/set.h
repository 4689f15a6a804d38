/* --set NAME=VALUE of freeonce run and freeonce systemd. */
#ifndef FO_CLI_SET_H
#define FO_CLI_SET_H

#include <argp.h>

/* The text from NAME on, without FREEONCE_.  Ends with argp_error() if the library's own parser
 * refuses it.  Changes fo_options. */
const char *fo_set_check(const char *argument, struct argp_state *state);

#endif
