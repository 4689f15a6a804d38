/* To which libcrypto or libssl does a call belong, whose symbol version is that of OpenSSL 3 or 4?
 * Usually there is one of each.  A process can have several of one major version, such as that of a
 * Python package and the system's.
 *
 * Where names are bound without their versions (musl), a call may belong to any library with
 * functions of these names: OpenSSL 3, OpenSSL 4, or another one, such as OpenSSL 1.1 and LibreSSL.
 * There all of them are in the table, and the caller decides. */
#ifndef FO_LOAD_LIBRARY_H
#define FO_LOAD_LIBRARY_H

#include "base/base.h"
#include "base/libc.h"

enum fo_part { FO_PART_CRYPTO, FO_PART_SSL };

/* Can a call under the version of OpenSSL `asked` belong to a library of this major version? */
static inline bool fo_library_can_be_meant(unsigned asked, unsigned major)
{
    return asked == major || !FO_LIBC_HAS_VERSIONS;
}

/* Is another library in the table than OpenSSL 3 and 4? */
extern bool fo_libraries_have_other;

/* Note the libraries that were loaded since the last call. */
void fo_libraries_check(void);

/* From now on the program runs: libraries that are loaded later are loaded by dlopen(3), and can be
 * unloaded. */
void fo_libraries_started(void);

/* Is this code in a libcrypto or libssl? */
bool fo_libraries_contain(uintptr_t code);

/* The major version of the libcrypto or libssl with this code; 0: the code is in none. */
unsigned fo_libraries_major(uintptr_t code);

/* The function that the code at `caller` would have called without freeonce: OpenSSL's, or another
 * library's in front of it (wrappers.h).  NULL: there is none.  If it is the same for every caller
 * it is kept in the slot, until fo_objects_forget() is called. */
void *fo_library_function(void **slot, enum fo_part part, unsigned major, const char *name,
                          uintptr_t caller);

/* The same for functions outside the tables, each with a slot of this type, zero at first. */
struct fo_library_slot {
    void *function[2]; /* for OpenSSL 3 and 4 */
    unsigned known[2]; /* how many libraries were known when it was found */
};
void *fo_library_function_kept(struct fo_library_slot *slot, enum fo_part part, unsigned major,
                               const char *name, uintptr_t caller);

/* The major version of the library, loaded now, that defines `name` as `function`; 0: none does. */
unsigned fo_library_defines(enum fo_part part, const char *name, const void *function);

/* Does every call of `name` for this major version, by any caller, end in `function`? */
bool fo_library_is_always_chosen(enum fo_part part, unsigned major, const char *name,
                                 const void *function);

/* Another library's function of this name in front of OpenSSL's; NULL: none. */
void *fo_library_wrapper(enum fo_part part, unsigned major, const char *name);

/* OpenSSL's own function, for calls that the library makes itself. */
void *fo_library_own_function(enum fo_part part, unsigned major, const char *name,
                              uintptr_t caller);

#endif
