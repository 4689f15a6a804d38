/* Do the cures for OpenSSL in shared memory reach an OpenSSL of this process? */
#ifndef FO_LOAD_REACH_H
#define FO_LOAD_REACH_H

#include "load/openssl.h"

/* For each cure that is applied and does not reach it: print a message, once in a process, with the
 * effect. */
void fo_reach_check(const struct fo_openssl *o);

#endif
