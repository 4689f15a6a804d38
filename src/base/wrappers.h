/* Libraries that define functions of OpenSSL's names and are searched between this library and
 * OpenSSL: one that logs keys or traces, preloaded behind this one, or linked to the program in
 * front of libssl.  Without this library the program's calls would be bound to them. */
#ifndef FO_BASE_WRAPPERS_H
#define FO_BASE_WRAPPERS_H

#include "base/base.h"

/* Record that everything that is loaded now was loaded with the program.  Called once, in the
 * constructor. */
void fo_wrappers_started(void);

/* The function `name` to which calls of OpenSSL 3 or 4 (`major`) would be bound without this
 * library, if it is not OpenSSL's own; NULL: it is.  `openssl` is an address in OpenSSL's own
 * library; 0: none is loaded yet.  The answer never changes, since what was loaded with the program
 * stays loaded.  Takes no lock. */
void *fo_wrapper(const char *name, unsigned major, uintptr_t openssl);

/* The next definition of `name` behind this library, among what was loaded with the program, to
 * which references are bound whose version begins with `versions`; NULL: there is none.  Takes no
 * lock. */
void *fo_next_function(const char *name, const char *versions);

#endif
