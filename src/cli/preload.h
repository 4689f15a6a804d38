/* The word for the library in LD_PRELOAD, which only glibc's dynamic linker can find. */
#ifndef FO_CLI_PRELOAD_H
#define FO_CLI_PRELOAD_H

#include <stddef.h>

enum { FO_PRELOAD_EXTRA = 64 }; /* bytes, by which the word may be longer than the path */

/* Write the word for the library at this absolute path into `out`.  It has the token $LIB, which
 * only glibc replaces: musl's dynamic linker finds no such file and ignores the word, while the
 * path itself would end the program.  If this system's dynamic linker does not find the library by
 * the token, the word is the path itself. */
void fo_preload_word(const char *library, char *out, size_t size);

/* The same, shorter if the library is in the system's own folder of libraries:
 * "/usr/$LIB/libfreeonce.so.0".  A glibc with another folder does not find that. */
void fo_preload_short_word(const char *library, char *out, size_t size);

#endif
