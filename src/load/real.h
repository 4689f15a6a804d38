/* The next definition of a function that we interpose: what the program would have called. */
#ifndef FO_LOAD_REAL_H
#define FO_LOAD_REAL_H

#include "core/base.h"

/* dlsym(3) of the C library, or of whoever interposes it behind us. */
typedef void *fo_dlsym_function(void *handle, const char *name);
fo_dlsym_function *fo_real_dlsym_function(void);
void *fo_real_dlsym(void *handle, const char *name);

/* The function `name` behind us; ends the program when there is none, for then nothing works.
 * `slot` keeps it.  Safe before the constructor ran. */
void *fo_real(void **slot, const char *name);

#endif
