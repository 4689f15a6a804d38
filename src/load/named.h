/* How a function of the library gets OpenSSL's name.  Its version is hidden (one @): a search
 * without a version never finds it, so only callers of OpenSSL are bound to it.
 *
 * musl's dynamic linker skips hidden definitions and compares names alone.  There the name has no
 * version, and callers of every library with the same names are bound to it; the entry for OpenSSL
 * 3 serves all of them if there is one (load/library.h). */
#ifndef FO_LOAD_NAMED_H
#define FO_LOAD_NAMED_H

#include "base/libc.h"

/* For __asm__ outside of functions: `entry` is the function `name` of OpenSSL `version`; all three
 * are strings. */
#ifdef __GLIBC__
#define FO_NAMED(entry, name, version) ".symver " entry "," name "@OPENSSL_" version "\n"
#else
#define FO_NAMED(entry, name, version)                                                             \
    ".ifndef " name "\n.globl " name "\n.type " name ", STT_FUNC\n.set " name "," entry "\n."      \
    "endif\n"
#endif

#endif
