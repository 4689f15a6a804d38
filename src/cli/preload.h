/* How is the library written in LD_PRELOAD, so that glibc's dynamic linker alone finds it? */
#ifndef FO_CLI_PRELOAD_H
#define FO_CLI_PRELOAD_H

#include <stddef.h>

enum { FO_PRELOAD_EXTRA = 64 }; /* bytes, longer than the path */

/* The word for the library at this absolute path.  It holds the token $LIB, which only glibc
 * replaces: the dynamic linker of musl finds no such file and ignores the word, where the path
 * itself would end the program.  The path itself where this system's dynamic linker does not find
 * the library by the token.  The word is in `out`. */
void fo_preload_word(const char *library, char *out, size_t size);

/* The same in fewer letters where the library is in the system's own folder of libraries:
 * "/usr/$LIB/libfreeonce.so.0".  A glibc that has another folder does not find it there. */
void fo_preload_short_word(const char *library, char *out, size_t size);

#endif
