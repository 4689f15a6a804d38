/* Which libcrypto or libssl does a call mean, whose symbol version says OpenSSL 3 or 4?  Usually
 * there is one of each.  A process can hold several of one major version: what a Python package
 * brings along beside the system's. */
#ifndef FO_LOAD_LIBRARY_H
#define FO_LOAD_LIBRARY_H

#include "base/base.h"

enum fo_part { FO_PART_CRYPTO, FO_PART_SSL };

/* Note the libraries that came since the last look. */
void fo_libraries_check(void);

/* From now on the program itself runs, and what is loaded comes and goes by dlopen(3). */
void fo_libraries_started(void);

/* Is this code in one of them? */
bool fo_libraries_contain(uintptr_t code);

/* Then the major version of that one; 0: it is in none. */
unsigned fo_libraries_major(uintptr_t code);

/* The function that the code at `caller` would have called without us, or NULL: there is none.
 * That is OpenSSL's, or another library's in front of it (wrappers.h).
 * If it is the same for every caller it is kept in the slot, until fo_objects_forget() is called.
 */
void *fo_library_function(void **slot, enum fo_part part, unsigned major, const char *name,
                          uintptr_t caller);

/* The same for functions outside those tables, with a slot of their own.  Zero at first. */
struct fo_library_slot {
    void *function[2]; /* for OpenSSL 3 and 4 */
    unsigned known[2]; /* how many libraries were known then */
};
void *fo_library_function_kept(struct fo_library_slot *slot, enum fo_part part, unsigned major,
                               const char *name, uintptr_t caller);

/* Is `function` what one of them, loaded now, defines under `name`?  Then its major version; else
 * 0. */
unsigned fo_library_defines(enum fo_part part, const char *name, const void *function);

/* Does every call of `name` for this major version, whoever makes it, end in `function`? */
bool fo_library_is_always_chosen(enum fo_part part, unsigned major, const char *name,
                                 const void *function);

/* Another library's function of this name in front of OpenSSL's; NULL: none. */
void *fo_library_wrapper(enum fo_part part, unsigned major, const char *name);

/* OpenSSL's own function, for calls of ours that the program did not make. */
void *fo_library_own_function(enum fo_part part, unsigned major, const char *name,
                              uintptr_t caller);

#endif
