/* Starting the library once an OpenSSL is in sight, and what it says about itself. */
#ifndef FO_LOAD_ENGINE_H
#define FO_LOAD_ENGINE_H

#include "base/base.h"

#define FO_VERSION_TEXT FREEONCE_VERSION

/* Get ready to be OpenSSL's allocator.  False: it cannot be done, and was told; tries once. */
bool fo_engine_start(void);

/* Something that was just told keeps the library from doing its work: ends the program with
 * status FO_EXIT_REQUIRE if FREEONCE_REQUIRE=1, else returns. */
void fo_engine_refuse(void);

/* With FREEONCE_VERBOSE=1: how we got in, which backend, whether memory is shared, the options. */
void fo_engine_report(const char *backend);

#endif
