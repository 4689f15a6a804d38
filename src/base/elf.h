/* Symbols of one loaded module, found without the dynamic linker.  dlsym(3) needs a handle, and the
 * dlopen(3) that returns one initialises libraries: in this library's constructor, which runs
 * before libc's, that leaves the program without environ. */
#ifndef FO_BASE_ELF_H
#define FO_BASE_ELF_H

#include <link.h>

#include "base/base.h"

/* A loaded module: what is added to its addresses, its dynamic section, its address range, its
 * file. */
struct fo_module {
    ElfW(Addr) base;
    const ElfW(Dyn) * dynamic;
    uintptr_t start, end;
    bool executable;  /* the program itself */
    const char *path; /* empty for the executable */
};

/* The module around this code.  Takes no lock.  False: none. */
bool fo_elf_module(uintptr_t code, struct fo_module *out);

/* The same from the dynamic linker's list, as it is done with a glibc before 2.35: its entry; NULL:
 * none.  Takes no lock.  A library whose file header does not lie at
 * its base is not found, nor one in a name space of its own (dlmopen(3)). */
const struct link_map *fo_elf_module_listed(uintptr_t address, struct fo_module *out);

/* Was the module around `code` loaded before that around `other`?  At start, that is the order in
 * which symbols are searched.  Takes no lock: a module that was loaded before one that stays loaded
 * must stay loaded, too. */
bool fo_elf_is_first(uintptr_t code, uintptr_t other);

/* The address of the function that this module itself defines under `name`, or NULL.  Takes no
 * lock; the module must stay loaded meanwhile. */
void *fo_elf_function(const struct fo_module *module, const char *name);

/* The same, but only a definition to which the dynamic linker binds a reference whose version
 * begins with `versions`, such as "OPENSSL_3."; else NULL.  A definition without a version matches
 * each version. */
void *fo_elf_bound_function(const struct fo_module *module, const char *name, const char *versions);

/* The dynamic linker's entry of the module around `code`, NULL: none.  Takes no lock. */
const struct link_map *fo_elf_map(uintptr_t code);

/* The GNU build-id of a module; returns its length in bytes, at most 64; 0: it has none, or its
 * program headers are not mapped. */
size_t fo_elf_build_id(const struct fo_module *module, const unsigned char **id);

/* Copy the printable string at `address` to out, if it lies in read-only memory of a loaded module,
 * as the names of source files do.  So a report that follows a damaged pointer shows nothing of the
 * program's own data.  False: it does not, or see fo_probe_string().  Takes no lock. */
bool fo_elf_string(const char *address, char *out, size_t size);

/* Does this address lie in an executable segment of a loaded module?  Takes no lock. */
bool fo_elf_is_code(uintptr_t address);

/* Does this module define symbols under this version, such as "OPENSSL_3.0.0"? */
bool fo_elf_has_version(const struct fo_module *module, const char *version);

/* Does the module stay loaded until the process ends? */
bool fo_elf_is_permanent(const struct fo_module *module);

/* Did the dynamic linker bind a reference of this module to an address in [start, end)?  Of several
 * libraries with the same symbols, that is the one which the module uses. */
bool fo_elf_has_reference(const struct fo_module *module, uintptr_t start, uintptr_t end);

/* Has this module a slot for the address of a symbol of this name, as for a function that it calls?
 */
bool fo_elf_has_import(const struct fo_module *module, const char *name);

/* The symbol whose address the dynamic linker puts into this slot of the module's global offset
 * table, now or at the first call; NULL: it is no such slot. */
const char *fo_elf_slot_name(const struct fo_module *module, uintptr_t slot);

/* Call `visit` for each loaded module, in search order, under the dynamic linker's lock.  Only base
 * and dynamic section of the module are set.  Does nothing if no module was loaded since the
 * previous call with the same `seen`. */
void fo_elf_each(void (*visit)(const struct fo_module *module, void *data), void *data,
                 unsigned long long *seen);

/* Does exactly one loaded module, other than this library, define a function of this name? */
bool fo_elf_is_defined_once(const char *name);

/* The first definition in any loaded module but this library to which a reference is bound whose
 * version begins with `versions`, or NULL.  Takes the dynamic linker's lock. */
void *fo_elf_function_elsewhere(const char *name, const char *versions);

/* Where the module's variables lie that are zero at first (.bss).  Takes the dynamic linker's lock.
 * False: it has none. */
bool fo_elf_zeros(const struct fo_module *module, uintptr_t *start, uintptr_t *end);

/* Find functions of this name in all loaded modules, in any scope: at most `room`.  Returns how
 * many; 0 at once if no module was loaded since the previous call. */
unsigned fo_elf_search(const char *name, void **found, unsigned room);

#endif
