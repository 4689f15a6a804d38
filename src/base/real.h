/* The next definition of a function that the library interposes: the one that the program would
 * have called. */
#ifndef FO_BASE_REAL_H
#define FO_BASE_REAL_H

#include "base/base.h"

/* dlsym(3) of the C library, or of another library that interposes it behind this one.  In a
 * program without it (glibc before 2.34, not linked to libdl) a function that finds what was loaded
 * with the program. */
typedef void *fo_dlsym_function(void *handle, const char *name);
fo_dlsym_function *fo_real_dlsym_function(void);
void *fo_real_dlsym(void *handle, const char *name);

/* The same for dlvsym(3); version NULL: as dlsym. */
typedef void *fo_dlvsym_function(void *handle, const char *name, const char *version);
fo_dlvsym_function *fo_real_dlvsym_function(void);
void *fo_real_dlvsym(void *handle, const char *name, const char *version);

/* The first definition, or the next behind this library (RTLD_DEFAULT, RTLD_NEXT), of a function
 * that is as old as the C library: the one to which a program's reference is bound.  dlsym(3) skips
 * definitions whose version is marked as old, such as those of libc_malloc_debug.so; dlvsym(3)
 * skips those without a version, as other allocators have. */
void *fo_real_malloc_function(void *handle, const char *name);

/* glibc's __libc_single_threaded, which is not 0 while no second thread was ever made; before glibc
 * 2.32, which does not have it, a 0. */
const char *fo_real_single_threaded(void);

/* Of two definitions of a function behind this library, the one to which a program's reference with
 * a version is bound.  `by_name` is dlsym(3)'s, which before glibc 2.36 is the oldest of libc's
 * versions (BZ 14932); `by_version` is dlvsym(3)'s, which skips other libraries' definitions
 * without a version. */
void *fo_real_of_both(void *by_name, void *by_version);

/* pthread_cond_init: x86-64's glibc has two; the first has no clock and does not write to all of
 * the condition variable.  `slot` as below. */
void *fo_real_cond_init(void **slot);

/* The function `name` behind this library, kept in `slot`.  Ends the program if there is none:
 * without it nothing works.  Safe before the constructor has run. */
void *fo_real(void **slot, const char *name);

#endif
