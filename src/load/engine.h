/* Start of the library when the first OpenSSL of the process is found, and its verbose messages. */
#ifndef FO_LOAD_ENGINE_H
#define FO_LOAD_ENGINE_H

#include "base/base.h"

#define FO_VERSION_TEXT FREEONCE_VERSION

/* Prepare to be OpenSSL's allocator; only the first call tries.  False: it failed, after a
 * message. */
bool fo_engine_start(void);

/* For a problem after which the process is not guarded as its user set, after the message: ends the
 * program with status FO_EXIT_REQUIRE if FREEONCE_REQUIRE=1, else returns. */
void fo_engine_refuse(void);

/* How OpenSSL was found, which backend, whether memory is shared: into the journal, and with
 * FREEONCE_VERBOSE=1 printed with the options. */
void fo_engine_report(const char *backend);

#endif
