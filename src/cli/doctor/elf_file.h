/* What an ELF file says to the dynamic linker: needed libraries, search paths, dynamic symbols. */
#ifndef FO_CLI_DOCTOR_ELF_FILE_H
#define FO_CLI_DOCTOR_ELF_FILE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The file may be damaged or hostile: every offset and count is checked when the file is read. */
struct fo_elf_file {
    int fd;
    uint64_t size;
    Elf64_Phdr *headers;
    size_t header_count;
    Elf64_Dyn *dynamic;
    size_t dynamic_count;
    char *strings; /* the dynamic string table, with a NUL behind it */
    size_t strings_size;
    Elf64_Sym *symbols;
    size_t symbol_count;
};

/* False: the file cannot be opened (errno), or is damaged or no 64-bit ELF file (errno 0).  A
 * static program is read and has no dynamic entries.  Free it in any case. */
bool fo_elf_file_read(struct fo_elf_file *file, const char *path);
void fo_elf_file_free(struct fo_elf_file *file);

/* The next string of this tag, as DT_NEEDED; *at starts with 0.  NULL: there is no further one. */
const char *fo_elf_file_next(const struct fo_elf_file *file, int64_t tag, size_t *at);

/* Does the file define, or else import, a dynamic symbol of this name? */
bool fo_elf_file_defines(const struct fo_elf_file *file, const char *name);
bool fo_elf_file_imports(const struct fo_elf_file *file, const char *name);

/* Does the dynamic string table hold this string, as a symbol version? */
bool fo_elf_file_names(const struct fo_elf_file *file, const char *text);

/* The text that the defined symbol `name` has in the file.  False: there is none. */
bool fo_elf_file_text(const struct fo_elf_file *file, const char *name, char *out, size_t size);

/* Does the file hold these bytes anywhere? */
bool fo_elf_file_holds(const struct fo_elf_file *file, const char *bytes);

#endif
