/* Symbols of one loaded module, without the dynamic linker's help.  dlsym(3) would need a handle,
 * and the dlopen(3) that gets one initialises libraries: from our constructor, which runs before
 * libc's, that leaves the program without environ. */
#ifndef FO_BASE_ELF_H
#define FO_BASE_ELF_H

#include <link.h>

#include "base/base.h"

/* A loaded module: what is added to its addresses, its dynamic section, its extent, its file. */
struct fo_module {
    ElfW(Addr) base;
    const ElfW(Dyn) * dynamic;
    uintptr_t start, end;
    bool executable;  /* the program itself */
    const char *path; /* empty for the executable */
};

/* The module around this code.  Takes no lock.  False: none. */
bool fo_elf_module(uintptr_t code, struct fo_module *out);

/* Was the module around `code` loaded before that around `other`?  At start, that is the order in
 * which symbols are searched.  Takes no lock: what was loaded before a module that stays must stay,
 * too. */
bool fo_elf_is_first(uintptr_t code, uintptr_t other);

/* The address of the function that this module itself defines under `name`, or NULL.  Takes no
 * lock; the module must stay loaded meanwhile. */
void *fo_elf_function(const struct fo_module *module, const char *name);

/* The same, but NULL where the dynamic linker would not bind a reference to it whose version begins
 * with `versions`, such as "OPENSSL_3.": it has another version.  A definition without a version
 * serves all. */
void *fo_elf_bound_function(const struct fo_module *module, const char *name, const char *versions);

/* The dynamic linker's entry of the module around `code`, NULL: none.  Takes no lock. */
const struct link_map *fo_elf_map(uintptr_t code);

/* The GNU build-id of a module; returns its length in bytes, at most 64; 0: it has none, or its
 * program headers are not mapped. */
size_t fo_elf_build_id(const struct fo_module *module, const unsigned char **id);

/* Copy the printable string at `address` to out, if it lies in read-only memory of a loaded module,
 * as the names of source files do.  False: it does not, or see fo_probe_string().  So a damaged
 * pointer makes no report of what the program has in its memory.  Takes no lock. */
bool fo_elf_string(const char *address, char *out, size_t size);

/* Does this address lie in an executable segment of a loaded module?  Takes no lock. */
bool fo_elf_is_code(uintptr_t address);

/* Does this module define symbols under this version, such as "OPENSSL_3.0.0"? */
bool fo_elf_has_version(const struct fo_module *module, const char *version);

/* Can the module not go away before the process does? */
bool fo_elf_is_permanent(const struct fo_module *module);

/* Did the dynamic linker bind a reference of this module to an address in [start, end)?  That
 * tells which of several libraries with the same symbols the module got. */
bool fo_elf_has_reference(const struct fo_module *module, uintptr_t start, uintptr_t end);

/* Has this module a slot for the address of a symbol of this name, as for a function that it calls?
 */
bool fo_elf_has_import(const struct fo_module *module, const char *name);

/* The symbol whose address the dynamic linker puts into this slot of the module's global offset
 * table, now or at the first call; NULL: it is no such slot. */
const char *fo_elf_slot_name(const struct fo_module *module, uintptr_t slot);

/* Call `visit` for each loaded module, in the order of the search, under the dynamic linker's lock.
 * Of the module only base and dynamic section are known.  Nothing is done if no module came since
 * the call before with the same `seen`. */
void fo_elf_each(void (*visit)(const struct fo_module *module, void *data), void *data,
                 unsigned long long *seen);

/* Does exactly one loaded module, other than this library, define a function of this name? */
bool fo_elf_is_defined_once(const char *name);

/* Where the module's variables lie that are zero at first (.bss).  Takes the dynamic linker's lock.
 * False: it has none. */
bool fo_elf_zeros(const struct fo_module *module, uintptr_t *start, uintptr_t *end);

/* Functions of this name in all loaded modules, in whatever scope: at most `room`, returns how
 * many.  Nothing is done, and 0 returned, if no module came since the call before. */
unsigned fo_elf_search(const char *name, void **found, unsigned room);

#endif
