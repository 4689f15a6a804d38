/* libc's free and realloc, for the library's own use.  The library's entries of the same names
 * (load/libc_entries.c) come first in the search order and look up the owner of each pointer; a
 * pointer that is passed here is known to be libc's. */
#ifndef FO_BASE_LIBC_MEMORY_H
#define FO_BASE_LIBC_MEMORY_H

#include <stddef.h>

/* The functions of the malloc which the library calls: of libc, or of an allocator that is
 * preloaded or linked into the program, at any place in the search order. */
extern struct fo_libc_memory {
    void (*free)(void *p);
    void *(*realloc)(void *p, size_t size);
} fo_libc_memory;

/* Look them up now.  Else the first call does, where dlsym(3) may have to wait for a thread that is
 * loading a library. */
void fo_libc_memory_find(void);

#endif
