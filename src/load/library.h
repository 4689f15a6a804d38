/* Which libcrypto or libssl does a call mean, whose symbol version says OpenSSL 3 or 4?  Usually
 * there is one of each.  A process can hold several of one major version: what a Python package
 * brings along beside the system's. */
#ifndef FO_LOAD_LIBRARY_H
#define FO_LOAD_LIBRARY_H

#include "core/base.h"

enum fo_part { FO_PART_CRYPTO, FO_PART_SSL };

/* Note the libraries that came since the last look. */
void fo_libraries_look(void);

/* From now on the program itself runs, and what is loaded comes and goes by dlopen(3). */
void fo_libraries_started(void);

/* Is this code in one of them? */
bool fo_libraries_contain(uintptr_t code);

/* Then the major version of that one; 0: it is in none. */
unsigned fo_libraries_major(uintptr_t code);

/* The function that the code at `caller` would have called without us, or NULL: there is none.
 * If it is the same for every caller it is kept in the slot (if not NULL), until
 * fo_objects_forget() is called. */
void *fo_library_function(void **slot, enum fo_part part, unsigned major, const char *name,
                          uintptr_t caller);

#endif
