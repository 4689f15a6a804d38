/* Where is the library that this command preloads into programs? */
#ifndef FO_CLI_LIBRARY_H
#define FO_CLI_LIBRARY_H

#include <stdbool.h>

/* The absolute path of libfreeonce.so, fit for LD_PRELOAD: FREEONCE_LIBRARY, else the library that
 * belongs to this executable, installed or in a build tree.  NULL after a message that lists the
 * places searched.  The string is static: valid until the next call, not to be freed. */
const char *fo_library_find(void);

/* The same for a path that the user named.  NULL after a message: no such file, or a path that
 * LD_PRELOAD cannot hold (the dynamic linker splits it at spaces and colons). */
const char *fo_library_check(const char *path);

/* Can every user read the file, and enter the folders on the way to it? */
bool fo_library_is_readable(const char *path);

#endif
