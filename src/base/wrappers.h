/* Libraries that define functions of OpenSSL's names and are searched between this library and
 * OpenSSL: one that logs keys or traces, preloaded behind this one, or linked to the program in
 * front of libssl.  Without this library the program's calls would be bound to them. */
#ifndef FO_BASE_WRAPPERS_H
#define FO_BASE_WRAPPERS_H

#include "base/base.h"

/* Everything that is loaded now was loaded with the program.  Called once, in the constructor. */
void fo_wrappers_started(void);

/* The function `name` that calls of OpenSSL 3 or 4 (`major`) would be bound to without this
 * library, if that is not OpenSSL's own; NULL: it is.  `openssl` lies in OpenSSL's own library; 0:
 * there is none yet.
 * The answer never changes.  What was loaded with the program stays.  Takes no lock. */
void *fo_wrapper(const char *name, unsigned major, uintptr_t openssl);

/* The next definition of `name` behind us to which references are bound whose version begins with
 * `versions`, among what was loaded with the program; NULL: there is none.  Takes no lock. */
void *fo_next_function(const char *name, const char *versions);

#endif
