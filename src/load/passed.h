/* Objects that processes pass to each other by their addresses, while OpenSSL's memory is private:
 * the receiver has no object at the address, and OpenSSL crashes.  One message names the remedy. */
#ifndef FO_LOAD_PASSED_H
#define FO_LOAD_PASSED_H

#include "base/base.h"

/* `function` of OpenSSL, of this major version, is called for p, which may not be an object of this
 * process: if so, print the message.  The call is not refused. */
FO_COLD void fo_objects_check_passed(const void *p, const char *type, const char *function,
                                     unsigned major);

#endif
