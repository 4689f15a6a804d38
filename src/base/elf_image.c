/* The parts of a module's file that are mapped: its program headers, its build-id, its constants.
 * Called on the report path.  The dynamic linker accepts files whose program headers or notes lie
 * where nothing is mapped, so every range is checked before it is read. */
#include <dlfcn.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/elf.h"
#include "base/probe.h"

enum { NOTES_MAX = 16 << 10, BUILD_ID_MAX = 64 };

struct headers {
    const ElfW(Phdr) * first;
    size_t count;
};

/* Does one segment of the file have all of these bytes? */
static bool is_loaded(const struct fo_module *module, const struct headers *h, uintptr_t at,
                      size_t size)
{
    for (size_t i = 0; i < h->count; i++) {
        const ElfW(Phdr) *p = &h->first[i];
        uintptr_t offset = at - (module->base + p->p_vaddr);
        if (p->p_type == PT_LOAD && offset < p->p_filesz && size <= p->p_filesz - offset)
            return true;
    }
    return false;
}

/* The kernel has their address (AT_PHDR).  If the executable has holes between its segments, the
 * dynamic linker knows each segment as a module of its own. */
static bool find_headers_of_executable(struct headers *out)
{
    *out = (struct headers){(const ElfW(Phdr) *)getauxval(AT_PHDR), getauxval(AT_PHNUM)};
    return getauxval(AT_PHENT) == sizeof *out->first;
}

static bool find_headers_of_library(const struct fo_module *module, struct headers *out)
{
    const ElfW(Ehdr) *e = (const ElfW(Ehdr) *)module->start;
    size_t extent = module->end - module->start;

    if (extent < sizeof *e || !fo_is_readable(module->start, sizeof *e) ||
        memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 || e->e_phentsize != sizeof *out->first ||
        e->e_phoff > extent || e->e_phnum * sizeof *out->first > extent - e->e_phoff)
        return false;
    *out = (struct headers){(const ElfW(Phdr) *)(module->start + e->e_phoff), e->e_phnum};
    return true;
}

static bool find_headers(const struct fo_module *module, struct headers *out)
{
    if (!(module->executable ? find_headers_of_executable(out)
                             : find_headers_of_library(module, out)))
        return false;
    uintptr_t at = (uintptr_t)out->first;
    size_t size = out->count * sizeof *out->first;
    return out->count != 0 && out->count <= UINT16_MAX && at % _Alignof(ElfW(Phdr)) == 0 &&
           fo_is_readable(at, size) && is_loaded(module, out, at, size);
}

/* Find the build-id among the notes at `at`: the note with the name GNU and the type of a build-id.
 */
static size_t build_id_in(const char *at, size_t size, const unsigned char **id)
{
    while (size >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)at;
        size_t name = ((size_t)note->n_namesz + 3) & ~(size_t)3;
        size_t length = sizeof *note + name + (((size_t)note->n_descsz + 3) & ~(size_t)3);
        if (length > size)
            break;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
            memcmp(note + 1, "GNU", 4) == 0) {
            *id = (const unsigned char *)(note + 1) + name;
            return note->n_descsz < BUILD_ID_MAX ? note->n_descsz : BUILD_ID_MAX;
        }
        at += length;
        size -= length;
    }
    return 0;
}

size_t fo_elf_build_id(const struct fo_module *module, const unsigned char **id)
{
    struct headers h;
    size_t length = 0;

    if (!find_headers(module, &h))
        return 0;
    for (size_t i = 0; i < h.count && length == 0; i++) {
        const ElfW(Phdr) *p = &h.first[i];
        uintptr_t at = module->base + p->p_vaddr;
        size_t size = p->p_memsz < NOTES_MAX ? p->p_memsz : NOTES_MAX;
        if (p->p_type == PT_NOTE && at % _Alignof(ElfW(Nhdr)) == 0 && size != 0 &&
            is_loaded(module, &h, at, size) && fo_is_readable(at, size))
            length = build_id_in((const char *)at, size, id);
    }
    return length;
}

/* The end of the segment around this address, if the segment has the flags `with` and none of
 * `without`; 0: there is none. */
static uintptr_t end_of_segment(uintptr_t address, ElfW(Word) with, ElfW(Word) without)
{
    struct fo_module module;
    struct headers h;

    if (!fo_elf_module(address, &module) || !find_headers(&module, &h))
        return 0;
    for (size_t i = 0; i < h.count; i++) {
        const ElfW(Phdr) *p = &h.first[i];
        uintptr_t start = module.base + p->p_vaddr;
        if (p->p_type == PT_LOAD && (p->p_flags & (with | without)) == with &&
            address - start < p->p_filesz)
            return start + p->p_filesz;
    }
    return 0;
}

bool fo_elf_is_code(uintptr_t address)
{
    return end_of_segment(address, PF_X, 0) != 0;
}

bool fo_elf_string(const char *address, char *out, size_t size)
{
    uintptr_t end = end_of_segment((uintptr_t)address, 0, PF_W), room = end - (uintptr_t)address;

    return end != 0 && fo_probe_string(address, out, room < size ? room : size);
}
