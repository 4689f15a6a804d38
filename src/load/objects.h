/* OpenSSL's functions that free an object or count a reference to one: is it freed already?  The
 * table of them is objects.def, what OpenSSL's names lead to is in entries_objects.c.
 *
 * `entry` is a row of the table and OpenSSL's major version, `caller` the code that called. */
#ifndef FO_LOAD_OBJECTS_H
#define FO_LOAD_OBJECTS_H

#include "core/base.h"

enum fo_object {
#define FO_OBJECT(name, type, shape, part, since3, since4) FO_OBJECT_##name,
#include "load/objects.def"
#undef FO_OBJECT
    FO_OBJECT_COUNT,
};

#define FO_OBJECT_ENTRY(object, major) ((unsigned)(object) << 1 | ((major) == 4))

/* Call OpenSSL's function, whatever its shape: p is its first argument, `second` its second one if
 * it takes two; its result, if it has one, is returned.  A live object, and everything that never
 * was one, goes on to OpenSSL.  A freed one is reported and left alone; NULL. */
void *fo_object_call(void *p, const void *second, unsigned entry, uintptr_t caller);

/* Another library came: functions that were found may not be those that a caller means. */
void fo_objects_forget(void);

#endif
