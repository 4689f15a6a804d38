/* See wipe.h. */
#include "base/wipe.h"

#include <string.h>

void fo_wipe(void *memory, size_t size)
{
    memset(memory, 0, size);
    __asm__ volatile("" : : "r"(memory) : "memory");
}
