/* Memory functions that call libc's, and count the requests. */
#ifndef FORWARDS_H
#define FORWARDS_H

#include <stddef.h>

extern unsigned long forward_calls, forward_bytes;

void *forward_malloc(size_t size, const char *file, int line);
void *forward_realloc(void *p, size_t size, const char *file, int line);
void forward_free(void *p, const char *file, int line);

#endif
