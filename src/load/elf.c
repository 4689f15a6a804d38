/* A look-up through DT_GNU_HASH, as the dynamic linker does it (the layout is described in the
 * GNU gABI extensions, "GNU hash ELF sections"). */
#include "load/elf.h"

#include <string.h>

struct tables {
    const ElfW(Sym) *symbols;
    const char *strings;
    const uint32_t *hash;
};

/* glibc relocates the addresses of a dynamic section where it is writable. */
static const void *table_at(const struct link_map *module, ElfW(Addr) value)
{
    return (const void *)(value < module->l_addr ? value + module->l_addr : value);
}

static bool find_tables(const struct link_map *module, struct tables *out)
{
    *out = (struct tables){NULL, NULL, NULL};
    for (const ElfW(Dyn) *d = module->l_ld; d != NULL && d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB)
            out->symbols = table_at(module, d->d_un.d_ptr);
        else if (d->d_tag == DT_STRTAB)
            out->strings = table_at(module, d->d_un.d_ptr);
        else if (d->d_tag == DT_GNU_HASH)
            out->hash = table_at(module, d->d_un.d_ptr);
    }
    return out->symbols != NULL && out->strings != NULL && out->hash != NULL;
}

static uint32_t hash_of(const char *name)
{
    uint32_t h = 5381;

    for (; *name != '\0'; name++)
        h = h * 33 + (unsigned char)*name;
    return h;
}

void *fo_elf_function(const struct link_map *module, const char *name)
{
    struct tables t;
    if (!find_tables(module, &t))
        return NULL;
    uint32_t hash = hash_of(name), buckets = t.hash[0], first = t.hash[1], filter = t.hash[2];
    const uint32_t *bucket = t.hash + 4 + filter * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
    const uint32_t *chain = bucket + buckets;
    uint32_t i = buckets != 0 ? bucket[hash % buckets] : 0;

    if (i < first)
        return NULL;
    for (;; i++) {
        const ElfW(Sym) *s = &t.symbols[i];
        uint32_t h = chain[i - first];
        if ((h | 1) == (hash | 1) && s->st_shndx != SHN_UNDEF &&
            ELF64_ST_TYPE(s->st_info) == STT_FUNC && strcmp(t.strings + s->st_name, name) == 0)
            return (void *)(module->l_addr + s->st_value);
        if ((h & 1) != 0)
            return NULL;
    }
}
