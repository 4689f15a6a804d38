/* OpenSSL's functions that free an object or count a reference to one: is it freed already?
 * objects.def lists them; entries_objects.c defines OpenSSL's names. */
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

/* OpenSSL's functions, for each row and each major version, if they were found and are the same for
 * every caller.  On x86-64 and arm64 a function ignores an argument that it does not have, and the
 * caller of a void function ignores the result: one type serves for all shapes. */
typedef void *fo_object_function(void *p, const void *second);
#define FO_OBJECT_SLOT(object, major) ((object) + ((major) == 4 ? FO_OBJECT_COUNT : 0))
extern FO_HIDDEN fo_object_function *fo_object_real[FO_OBJECT_COUNT * 2];

/* Call the function of this slot for the code at `caller`: with p and, if it takes two arguments,
 * `second`; return its result, if it has one.  A freed object is reported and not passed to
 * OpenSSL; the result is NULL. */
void *fo_object_free(void *p, const void *second, fo_object_function **slot, uintptr_t caller);

/* The same for a function that frees nothing. */
void *fo_object_reference(void *p, const void *second, fo_object_function **slot, uintptr_t caller);

/* The same two, with a fast path. */
void *fo_object_free_fast(void *p, const void *second, fo_object_function **slot, uintptr_t caller);
void *fo_object_reference_fast(void *p, const void *second, fo_object_function **slot,
                               uintptr_t caller);

/* The same two for a function that dlsym(3) returned: `function` is called, not that of the
 * slot. */
void *fo_object_call(fo_object_function *function, void *p, const void *second,
                     fo_object_function **slot, uintptr_t caller);

/* The row of the function `name` of libcrypto or libssl; -1: there is none. */
int fo_object_named(enum fo_part part, const char *name);

/* What dlsym(3) should return for OpenSSL's function `name`, which it found at `real`: an entry of
 * the library that calls `real` and no other function, or NULL: `real` itself. */
void *fo_object_dlsym_entry(const char *name, void *real);

/* Free p by this function of OpenSSL's, or report that it is freed already.  The code at `caller`
 * called the function by the name of this slot. */
void fo_object_free_now(fo_object_function *function, void *p, fo_object_function **slot,
                        uintptr_t caller);

/* The function `name` if no OpenSSL of that version has it: that of another library, found by the
 * dynamic linker.  (A search without a version does not find freeonce's definitions.)  Never
 * NULL. */
fo_object_function *fo_object_find_elsewhere(const char *name);

/* How many calls for freed objects were not passed to OpenSSL? */
uint32_t fo_objects_count_refused(void);

/* Another OpenSSL was loaded: the functions in the slots may not be those of every caller. */
void fo_objects_forget(void);

#endif
