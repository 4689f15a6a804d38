/* Do the memory functions that a program registers with OpenSSL only forward to libc's? */
#ifndef FO_LOAD_FORWARD_H
#define FO_LOAD_FORWARD_H

#include "base/base.h"

/* Is the function at `code` nothing but a jump to the function that its module imports as `name`,
 * such as "free"?  Its first instructions are read; the function is not called.  False if its code
 * cannot be read or has other instructions, such as that of a function compiled without
 * optimisation. */
bool fo_is_forwarder(uintptr_t code, const char *name);

#endif
