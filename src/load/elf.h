/* Symbols of one loaded module, without the dynamic linker's help.  dlsym(3) would need a handle,
 * and the dlopen(3) that gets one initialises libraries: from our constructor, which runs before
 * libc's, that leaves the program without environ. */
#ifndef FO_LOAD_ELF_H
#define FO_LOAD_ELF_H

#include <link.h>

#include "core/base.h"

/* The address of the function that this module itself defines under `name`, or NULL.  Takes no
 * lock; the module must stay loaded meanwhile. */
void *fo_elf_function(const struct link_map *module, const char *name);

#endif
