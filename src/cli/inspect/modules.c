/* See modules.h.  A file's beginning is read from the process: the file itself may be another one
 * by now. */
#include "cli/inspect/modules.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/message.h"

enum { HEADERS_MOST = 64, NOTES_MOST = 4096, ID_MOST = 64 };

struct fo_modules {
    struct fo_source *source;
    struct fo_model *model;
    size_t count;
    struct module {
        uint64_t start; /* of its first mapping */
        uint64_t bias;
        const char *path, *build_id;
    } list[1024];
};

struct fo_modules *fo_modules_start(struct fo_source *s, struct fo_model *model)
{
    struct fo_modules *m = calloc(1, sizeof *m);

    if (m == NULL) {
        fo_error("no memory for the modules of the process");
        exit(FO_EXIT_SOFTWARE);
    }
    m->source = s;
    m->model = model;
    return m;
}

void fo_modules_free(struct fo_modules *m)
{
    free(m);
}

static const char *build_id_in(struct fo_modules *m, const unsigned char *notes, size_t size)
{
    char text[2 * ID_MOST + 1];
    Elf64_Nhdr n;

    for (size_t at = 0; at + sizeof n <= size;) {
        memcpy(&n, notes + at, sizeof n);
        if (n.n_namesz > size || n.n_descsz > size)
            return NULL;
        size_t name = at + sizeof n, content = name + ((n.n_namesz + 3u) & ~3u),
               end = content + ((n.n_descsz + 3u) & ~3u);
        if (end > size)
            return NULL;
        if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == sizeof ELF_NOTE_GNU &&
            memcmp(notes + name, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) == 0 && n.n_descsz <= ID_MOST) {
            for (size_t i = 0; i < n.n_descsz; i++)
                snprintf(text + 2 * i, 3, "%02x", notes[content + i]);
            return n.n_descsz != 0 ? fo_model_string(m->model, text) : NULL;
        }
        at = end;
    }
    return NULL;
}

static void read_header(struct fo_modules *m, struct module *module)
{
    Elf64_Ehdr header;
    Elf64_Phdr segments[HEADERS_MOST];
    unsigned char notes[NOTES_MOST];

    module->bias = module->start;
    if (!fo_source_read(m->source, module->start, &header, sizeof header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_phentsize != sizeof segments[0] || header.e_phnum > HEADERS_MOST ||
        header.e_phoff > NOTES_MOST ||
        !fo_source_read(m->source, module->start + header.e_phoff, segments,
                        header.e_phnum * sizeof segments[0]))
        return;
    for (unsigned i = 0; i < header.e_phnum; i++)
        if (segments[i].p_type == PT_LOAD && segments[i].p_offset == 0)
            module->bias = module->start - segments[i].p_vaddr;
    for (unsigned i = 0; i < header.e_phnum && module->build_id == NULL; i++) {
        size_t size = segments[i].p_filesz < sizeof notes ? segments[i].p_filesz : sizeof notes;
        if (segments[i].p_type == PT_NOTE &&
            fo_source_read(m->source, module->bias + segments[i].p_vaddr, notes, size))
            module->build_id = build_id_in(m, notes, size);
    }
}

/* The mapping with the beginning of this one's file: the nearest below. */
static const struct fo_source_mapping *beginning_of(const struct fo_source *s,
                                                    const struct fo_source_mapping *of)
{
    for (const struct fo_source_mapping *m = of; m >= s->mappings; m--)
        if (m->offset == 0 && strcmp(m->file, of->file) == 0)
            return m;
    return NULL;
}

static const struct module *module_of(struct fo_modules *m, const struct fo_source_mapping *first)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->list[i].start == first->start)
            return &m->list[i];
    if (m->count == sizeof m->list / sizeof m->list[0])
        return NULL;
    struct module *module = &m->list[m->count++];
    module->start = first->start;
    module->path = fo_model_string(m->model, first->file);
    read_header(m, module);
    return module;
}

struct fo_code fo_module_code(struct fo_modules *m, uint64_t address)
{
    const struct fo_source_mapping *at = fo_source_mapping_at(m->source, address),
                                   *first = at != NULL && *at->file != '\0'
                                                ? beginning_of(m->source, at)
                                                : NULL;
    const struct module *module = first != NULL ? module_of(m, first) : NULL;

    if (module == NULL)
        return (struct fo_code){.address = address};
    return (struct fo_code){
        .module = module->path, .build_id = module->build_id, .address = address - module->bias};
}
