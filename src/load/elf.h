/* Symbols of one loaded module, without the dynamic linker's help.  dlsym(3) would need a handle,
 * and the dlopen(3) that gets one initialises libraries: from our constructor, which runs before
 * libc's, that leaves the program without environ. */
#ifndef FO_LOAD_ELF_H
#define FO_LOAD_ELF_H

#include <link.h>

#include "core/base.h"

/* A loaded module: what is added to its addresses, its dynamic section, its extent. */
struct fo_module {
    ElfW(Addr) base;
    const ElfW(Dyn) * dynamic;
    uintptr_t start, end;
    bool executable; /* the program itself */
};

/* The module around this code.  Takes no lock.  False: none. */
bool fo_elf_module(uintptr_t code, struct fo_module *out);

/* The address of the function that this module itself defines under `name`, or NULL.  Takes no
 * lock; the module must stay loaded meanwhile. */
void *fo_elf_function(const struct fo_module *module, const char *name);

/* The GNU build-id of a module; returns its length in bytes, 0: it has none. */
size_t fo_elf_build_id(const struct fo_module *module, const unsigned char **id);

/* Functions of this name in all loaded modules, in whatever scope: at most `room`, returns how
 * many.  Nothing is done, and 0 returned, if no module came since the call before. */
unsigned fo_elf_search(const char *name, void **found, unsigned room);

#endif
