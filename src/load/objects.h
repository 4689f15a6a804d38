/* OpenSSL's functions that free an object or count a reference to one: is it freed already?  The
 * table of them is objects.def, what OpenSSL's names lead to is in entries_objects.c. */
#ifndef FO_LOAD_OBJECTS_H
#define FO_LOAD_OBJECTS_H

#include "base/base.h"
#include "load/library.h"

enum fo_object {
#define FO_OBJECT(name, type, shape, part, since3, since4) FO_OBJECT_##name,
#include "load/objects.def"
#undef FO_OBJECT
    FO_OBJECT_COUNT,
};

/* OpenSSL's functions, for each row and each major version, as far as they were found and are the
 * same for every caller.  On x86-64 and arm64 an argument that is not expected is not seen, and a
 * result that is not there is not looked at: one type does for all shapes. */
typedef void *fo_object_function(void *p, const void *second);
#define FO_OBJECT_SLOT(object, major) ((object) + ((major) == 4 ? FO_OBJECT_COUNT : 0))
extern FO_HIDDEN fo_object_function *fo_object_real[FO_OBJECT_COUNT * 2];

/* Call the function of this slot for the code at `caller`: with p and, if it takes two arguments,
 * `second`; return what it returns, if anything.  A live object, and everything that never was one,
 * goes on to OpenSSL.  A freed one is reported and left alone; the answer is NULL. */
void *fo_object_free(void *p, const void *second, fo_object_function **slot, uintptr_t caller);

/* The same for a function that frees nothing. */
void *fo_object_reference(void *p, const void *second, fo_object_function **slot, uintptr_t caller);

/* The same two, by the short way where there is one. */
void *fo_object_free_short(void *p, const void *second, fo_object_function **slot,
                           uintptr_t caller);
void *fo_object_reference_short(void *p, const void *second, fo_object_function **slot,
                                uintptr_t caller);

/* The same two for a function that the caller was given by dlsym(3): it is called, whatever the
 * slot has. */
void *fo_object_call(fo_object_function *function, void *p, const void *second,
                     fo_object_function **slot, uintptr_t caller);

/* The row of the function `name` in libcrypto's or libssl's part of the table; -1: there is none.
 */
int fo_object_named(enum fo_part part, const char *name);

/* What dlsym(3) should answer for the function `name` of OpenSSL's which it found at `real`: our
 * entry that goes on to `real` and to nothing else, or NULL: `real` itself. */
void *fo_object_asked(const char *name, void *real);

/* Free p by this function of OpenSSL's, for the code at `caller` that called it by the name of this
 * slot; or report that it is freed already. */
void fo_object_free_now(fo_object_function *function, void *p, fo_object_function **slot,
                        uintptr_t caller);

/* In no OpenSSL of that version.  Then the call meant another library, which the dynamic linker may
 * know: our definitions are hidden from a search without a version.  Never NULL. */
fo_object_function *fo_object_find_elsewhere(const char *name);

/* Another library came: functions that were found may not be those that a caller means. */
void fo_objects_forget(void);

#endif
