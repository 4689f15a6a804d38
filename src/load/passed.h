/* Objects that processes pass to each other by their addresses, where OpenSSL's memory is private:
 * the receiver finds nothing there, and OpenSSL crashes.  One message says what is missing. */
#ifndef FO_LOAD_PASSED_H
#define FO_LOAD_PASSED_H

#include "base/base.h"

/* `function` of OpenSSL, of this major version, is called for an object that no block of this
 * process holds, as it seems.  The call goes on. */
FO_COLD void fo_passed_check(const void *p, const char *type, const char *function, unsigned major);

#endif
