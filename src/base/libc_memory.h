/* libc's free and realloc for the library's own use.  Ours of the same names (load/libc_entries.c)
 * stand in front of them and ask whose each pointer is; what is called here is known to be libc's.
 */
#ifndef FO_BASE_LIBC_MEMORY_H
#define FO_BASE_LIBC_MEMORY_H

#include <stddef.h>

/* Those that belong to the malloc which the library calls: of libc, or of an allocator that is
 * preloaded or linked into the program, wherever that stands in the order of libraries. */
extern struct fo_libc_memory {
    void (*free)(void *p);
    void *(*realloc)(void *p, size_t size);
} fo_libc_memory;

/* Look them up now.  Otherwise it is done at the first call, where dlsym(3) may have to wait for a
 * thread that is loading a library. */
void fo_libc_memory_find(void);

#endif
