/* Opened with RTLD_DEEPBIND, so that its malloc and free are libc's, with any preload. */
#include <stdlib.h>
#include <string.h>

int deep(void);

int deep(void)
{
    for (size_t size = 1; size < 20000; size += 97) {
        char *p = malloc(size);
        if (p == NULL)
            return 1;
        memset(p, 1, size);
        p = realloc(p, size * 2);
        free(p);
    }
    return 0;
}
