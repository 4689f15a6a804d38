/* The three functions that OpenSSL calls instead of malloc, realloc and free, with its contract:
 * size 0 returns NULL (as with its default functions), realloc(NULL, n) allocates,
 * realloc(p, 0) frees, free(NULL) does nothing, `file` may be NULL. */
#ifndef FO_BLOCK_HOOKS_H
#define FO_BLOCK_HOOKS_H

#include "base/base.h"

void *fo_malloc(size_t size, const char *file, int line);
void *fo_realloc(void *p, size_t size, const char *file, int line);
void fo_free(void *p, const char *file, int line);

#endif
