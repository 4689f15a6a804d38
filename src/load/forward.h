/* Do the memory functions that a program registers with OpenSSL only hand on to libc's? */
#ifndef FO_LOAD_FORWARD_H
#define FO_LOAD_FORWARD_H

#include "base/base.h"

/* Is the function at `code` nothing but a jump to the function that its module imports as `name`,
 * such as "free"?
 * Decided by reading its first instructions; the function is not called.  False where its code
 * cannot be read or is more than jumps: a function compiled without optimisation, for one. */
bool fo_is_forwarder(uintptr_t code, const char *name);

#endif
