/* OpenSSL's functions that use an object: was it freed?  In private memory: did another process
 * make it (passed.h)?  uses.def lists them; entries_uses.c defines OpenSSL's names. */
#ifndef FO_LOAD_USES_H
#define FO_LOAD_USES_H

#include "base/hot.h"
#include "heap/hot.h"
#include "process/process.h"

enum fo_use {
#define FO_USE(name, type, when, part) FO_USE_##name,
#include "load/uses.def"
#undef FO_USE
    FO_USE_COUNT,
};

/* None has more arguments.  One type serves for all, as in objects.h. */
typedef void *fo_use_function(void *p, void *second, void *third, void *fourth, void *fifth);

/* OpenSSL's functions, for each row and each major version, where calls are not judged. */
#define FO_USE_SLOT(use, major) ((use)*2 + ((major) == 4))
extern FO_HIDDEN fo_use_function *fo_use_real[FO_USE_COUNT * 2];

/* Is p a freed block of the region?  Two comparisons, for any value. */
static FO_ALWAYS_INLINE bool fo_use_is_of_freed(const void *p)
{
    return fo_direct_contains(fo_direct_of(fo_hot.process), (uintptr_t)p) &&
           (FO_HOT_LOAD(&fo_header_of((uintptr_t)p)->word) & FO_REGION_DEAD) != 0;
}

/* The same on the slow path, for which the quarantine's blocks count, too, with FREEONCE_FILL. */
FO_COLD bool fo_use_can_be_of_freed(const void *p);

/* Report the use of p, which is freed, by OpenSSL's `function`, which the code at `caller` called.
 */
FO_COLD void fo_use_report(const void *p, const char *type, const char *function, uintptr_t caller);

/* Judge a call for the object p by the code at `caller`; return OpenSSL's function of this entry,
 * to be called in any case. */
fo_use_function *fo_use_judge(const void *p, size_t entry, uintptr_t caller);

/* This process is about to fork: from now on processes may pass objects to each other. */
void fo_uses_before_fork(void);

/* Another OpenSSL was loaded; see fo_objects_forget(). */
void fo_uses_forget(void);

#endif
