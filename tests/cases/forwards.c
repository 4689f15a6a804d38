/* Compiled with optimisation in each build: the last two are one jump each, as in packages. */
#include "forwards.h"

#include <stdlib.h>

unsigned long forward_calls, forward_bytes;

void *forward_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    forward_calls++;
    forward_bytes += size;
    return malloc(size);
}

void *forward_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(p, size);
}

void forward_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}
