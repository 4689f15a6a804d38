/* The choice of the backend: see choose.c. */
#ifndef FO_LOAD_CHOOSE_H
#define FO_LOAD_CHOOSE_H

#include <stddef.h>

/* The first allocation: choose the backend, find out whether its memory is shared, and allocate.
 * fo_hot.alloc is this function until the backend is chosen. */
void *fo_choose_first(size_t size, const char *file, int line);

#endif
