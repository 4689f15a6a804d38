/* Do the cures for OpenSSL in shared memory reach an OpenSSL of this process? */
#ifndef FO_LOAD_REACH_H
#define FO_LOAD_REACH_H

#include "load/openssl.h"

/* For each cure that is applied and does not get there: say so, once in a process, and when that
 * matters. */
void fo_reach_check(const struct fo_openssl *o);

#endif
