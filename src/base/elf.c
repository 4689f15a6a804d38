/* A look-up through DT_GNU_HASH, as the dynamic linker does it (the layout is described in the
 * GNU gABI extensions, "GNU hash ELF sections"). */
#include "base/elf.h"

#include <dlfcn.h>
#include <string.h>

#include "base/libc.h"

struct tables {
    const ElfW(Sym) * symbols;
    const char *strings;
    const uint32_t *hash;
    const ElfW(Versym) * versions; /* of each symbol; NULL: no symbol has a version */
    const ElfW(Verdef) * defined;  /* versions that the module defines */
};

/* glibc relocates the addresses of a dynamic section where it is writable. */
static const void *table_at(const struct fo_module *module, ElfW(Addr) value)
{
    return (const void *)(value < module->base ? value + module->base : value);
}

/* All, or only those that lead from a name to a symbol, which come first: a short process looks
 * more than a hundred names up. */
static bool find_tables(const struct fo_module *module, struct tables *out, bool all)
{
    bool found = false;

    *out = (struct tables){NULL, NULL, NULL, NULL, NULL};
    for (const ElfW(Dyn) *d = module->dynamic; d != NULL && d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB)
            out->symbols = table_at(module, d->d_un.d_ptr);
        else if (d->d_tag == DT_STRTAB)
            out->strings = table_at(module, d->d_un.d_ptr);
        else if (d->d_tag == DT_GNU_HASH)
            out->hash = table_at(module, d->d_un.d_ptr);
        else if (d->d_tag == DT_VERSYM)
            out->versions = table_at(module, d->d_un.d_ptr);
        else if (d->d_tag == DT_VERDEF)
            out->defined = table_at(module, d->d_un.d_ptr);
        found = out->symbols != NULL && out->strings != NULL && out->hash != NULL;
        if (found && !all)
            break;
    }
    return found;
}

static uint32_t hash_of(const char *name)
{
    uint32_t h = 5381;

    for (; *name != '\0'; name++)
        h = h * 33 + (unsigned char)*name;
    return h;
}

/* Sanitizers interpose libc's functions for strings, and call dlvsym(3) before those work. */
static bool begins_with(const char *text, const char *beginning)
{
    while (*beginning != '\0' && *text == *beginning)
        text++, beginning++;
    return *beginning == '\0';
}

static bool is_same(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b)
        a++, b++;
    return *a == *b;
}

static const char *version_name(const struct tables *t, const ElfW(Verdef) * at)
{
    return t->strings + ((const ElfW(Verdaux) *)((const char *)at + at->vd_aux))->vda_name;
}

static const ElfW(Verdef) * next_version(const ElfW(Verdef) * at)
{
    return at->vd_next != 0 ? (const void *)((const char *)at + at->vd_next) : NULL;
}

enum { VERSION_HIDDEN = 0x8000, VERSION_NUMBER = 0x7fff };

/* Does the dynamic linker bind a reference to symbol i whose version begins with `versions`?
 * (check_match() in glibc's elf/dl-lookup.c.) */
static bool is_bound(const struct tables *t, uint32_t i, const char *versions)
{
    if (t->versions == NULL)
        return true;
    unsigned version = t->versions[i], number = version & VERSION_NUMBER;
    if (number <= VER_NDX_GLOBAL || !FO_LIBC_HAS_VERSIONS)
        return (version & VERSION_HIDDEN) == 0;
    const ElfW(Verdef) *at = t->defined;
    while (at != NULL && at->vd_ndx != number)
        at = next_version(at);
    return at != NULL && begins_with(version_name(t, at), versions);
}

/* The Bloom filter of most modules shows that they do not have the name. */
static bool can_define(const struct tables *t, uint32_t hash)
{
    enum { BITS = sizeof(ElfW(Addr)) * 8 };
    const ElfW(Addr) *filter = (const void *)(t->hash + 4);
    ElfW(Addr) word = filter[hash / BITS & (t->hash[2] - 1)];

    return (word >> hash % BITS & word >> (hash >> t->hash[3]) % BITS & 1) != 0;
}

/* `versions`: NULL for any. */
static void *find_function(const struct tables *t, ElfW(Addr) base, const char *name,
                           const char *versions)
{
    uint32_t hash = hash_of(name), buckets = t->hash[0], first = t->hash[1];
    if (buckets == 0 || !can_define(t, hash))
        return NULL;
    const uint32_t *bucket = t->hash + 4 + t->hash[2] * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
    const uint32_t *chain = bucket + buckets;
    uint32_t i = bucket[hash % buckets];

    if (i < first)
        return NULL;
    for (;; i++) {
        const ElfW(Sym) *s = &t->symbols[i];
        uint32_t h = chain[i - first];
        if ((h | 1) == (hash | 1) && s->st_shndx != SHN_UNDEF &&
            ELF64_ST_TYPE(s->st_info) == STT_FUNC && is_same(t->strings + s->st_name, name) &&
            (versions == NULL || is_bound(t, i, versions)))
            return (void *)(base + s->st_value);
        if ((h & 1) != 0)
            return NULL;
    }
}

void *fo_elf_function(const struct fo_module *module, const char *name)
{
    struct tables t;

    return find_tables(module, &t, false) ? find_function(&t, module->base, name, NULL) : NULL;
}

void *fo_elf_bound_function(const struct fo_module *module, const char *name, const char *versions)
{
    struct tables t;

    return find_tables(module, &t, false) && can_define(&t, hash_of(name)) &&
                   find_tables(module, &t, true)
               ? find_function(&t, module->base, name, versions)
               : NULL;
}

bool fo_elf_has_version(const struct fo_module *module, const char *version)
{
    struct tables t;

    if (!find_tables(module, &t, true))
        return false;
    for (const ElfW(Verdef) *at = t.defined; at != NULL; at = next_version(at))
        if (is_same(version_name(&t, at), version))
            return true;
    return false;
}

bool fo_elf_is_permanent(const struct fo_module *module)
{
    for (const ElfW(Dyn) *d = module->dynamic; d != NULL && d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_FLAGS_1)
            return (d->d_un.d_val & DF_1_NODELETE) != 0;
    return false;
}

#if defined(__x86_64__)
enum { JUMP_SLOT = R_X86_64_JUMP_SLOT, GLOB_DAT = R_X86_64_GLOB_DAT };
#else
enum { JUMP_SLOT = R_AARCH64_JUMP_SLOT, GLOB_DAT = R_AARCH64_GLOB_DAT };
#endif

struct relocations {
    const ElfW(Rela) * first;
    size_t bytes;
};

/* out[0]: relocations of calls; out[1]: all others. */
static void find_relocations(const struct fo_module *module, struct relocations out[2])
{
    memset(out, 0, 2 * sizeof out[0]);
    for (const ElfW(Dyn) *d = module->dynamic; d != NULL && d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_JMPREL)
            out[0].first = table_at(module, d->d_un.d_ptr);
        else if (d->d_tag == DT_PLTRELSZ)
            out[0].bytes = d->d_un.d_val;
        else if (d->d_tag == DT_RELA)
            out[1].first = table_at(module, d->d_un.d_ptr);
        else if (d->d_tag == DT_RELASZ)
            out[1].bytes = d->d_un.d_val;
    }
}

/* The next relocation that fills a slot with the address of a symbol, or NULL. */
static const ElfW(Rela) * next_slot(struct relocations *left)
{
    while (left->first != NULL && left->bytes >= sizeof *left->first) {
        const ElfW(Rela) *r = left->first++;
        unsigned type = (unsigned)ELF64_R_TYPE(r->r_info);
        left->bytes -= sizeof *r;
        if (type == JUMP_SLOT || type == GLOB_DAT)
            return r;
    }
    return NULL;
}

bool fo_elf_has_reference(const struct fo_module *module, uintptr_t start, uintptr_t end)
{
    struct relocations parts[2];

    find_relocations(module, parts);
    for (int part = 0; part < 2; part++)
        for (const ElfW(Rela) * r; (r = next_slot(&parts[part])) != NULL;) {
            /* The linker may bind the slot now: what it holds is compared, and not followed. */
            uintptr_t bound = FO_RELAXED_LOAD((const uintptr_t *)(module->base + r->r_offset));
            if (bound >= start && bound < end)
                return true;
        }
    return false;
}

bool fo_elf_has_import(const struct fo_module *module, const char *name)
{
    struct relocations parts[2];
    struct tables t;

    find_relocations(module, parts);
    if (!find_tables(module, &t, false))
        return false;
    for (int part = 0; part < 2; part++)
        for (const ElfW(Rela) * r; (r = next_slot(&parts[part])) != NULL;)
            if (is_same(t.strings + t.symbols[ELF64_R_SYM(r->r_info)].st_name, name))
                return true;
    return false;
}

const char *fo_elf_slot_name(const struct fo_module *module, uintptr_t slot)
{
    struct relocations parts[2];
    struct tables t;

    find_relocations(module, parts);
    if (!find_tables(module, &t, false))
        return NULL;
    for (int part = 0; part < 2; part++)
        for (const ElfW(Rela) * r; (r = next_slot(&parts[part])) != NULL;)
            if (module->base + r->r_offset == slot)
                return t.strings + t.symbols[ELF64_R_SYM(r->r_info)].st_name;
    return NULL;
}

struct walk {
    void (*visit)(const struct fo_module *, void *);
    void *data;
    unsigned long long *seen; /* modules loaded so far, at the walk before: an old number, read
                                 relaxed, costs a walk */
    unsigned long long loads; /* the same, at this walk */
};

static int step(struct dl_phdr_info *info, size_t size, void *data)
{
    struct walk *w = data;
    struct fo_module m = {.base = info->dlpi_addr};

    (void)size;
    w->loads = info->dlpi_adds + FO_LIBC_LOADS_AT_START;
    if (w->loads == FO_RELAXED_LOAD(w->seen))
        return 1;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            m.dynamic = (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    w->visit(&m, w->data);
    return 0;
}

void fo_elf_each(void (*visit)(const struct fo_module *module, void *data), void *data,
                 unsigned long long *seen)
{
    struct walk w = {.visit = visit, .data = data, .seen = seen};

    dl_iterate_phdr(step, &w);
    FO_RELAXED_STORE(seen, w.loads);
}

struct search {
    const char *name;
    void **found;
    unsigned room, count;
};

static void search_module(const struct fo_module *module, void *data)
{
    struct search *s = data;
    void *function = fo_elf_function(module, s->name);

    if (function != NULL && s->count < s->room)
        s->found[s->count++] = function;
}

unsigned fo_elf_search(const char *name, void **found, unsigned room)
{
    static unsigned long long seen;
    struct search s = {name, found, room, 0};

    fo_elf_each(search_module, &s, &seen);
    return s.count;
}

struct first {
    const char *name, *versions;
    const ElfW(Dyn) * own;
    void *found;
};

static void find_first(const struct fo_module *module, void *data)
{
    struct first *f = data;

    if (f->found == NULL && module->dynamic != f->own)
        f->found = fo_elf_bound_function(module, f->name, f->versions);
}

void *fo_elf_function_elsewhere(const char *name, const char *versions)
{
    static const uint8_t here;
    const struct link_map *own = fo_elf_map((uintptr_t)&here);
    struct first f = {name, versions, own != NULL ? own->l_ld : NULL, NULL};
    unsigned long long no_loads = 0;

    fo_elf_each(find_first, &f, &no_loads);
    return f.found;
}

struct count {
    const char *name;
    const ElfW(Dyn) * own;
    unsigned count;
};

static void count_definition(const struct fo_module *module, void *data)
{
    struct count *c = data;

    if (module->dynamic != c->own && fo_elf_function(module, c->name) != NULL)
        c->count++;
}

bool fo_elf_is_defined_once(const char *name)
{
    static const uint8_t here;
    const struct link_map *own = fo_elf_map((uintptr_t)&here);
    struct count c = {name, own != NULL ? own->l_ld : NULL, 0};
    unsigned long long no_loads = 0;

    fo_elf_each(count_definition, &c, &no_loads);
    return c.count == 1;
}

struct zeros {
    const struct fo_module *module;
    uintptr_t start, end;
};

static int find_zeros(struct dl_phdr_info *info, size_t size, void *data)
{
    enum { ALIGNMENT = sizeof(uintptr_t) };
    struct zeros *z = data;
    uintptr_t first = (uintptr_t)info->dlpi_addr;
    bool is_found = false;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t at = first + p->p_vaddr;
        is_found = is_found || (p->p_type == PT_DYNAMIC && at == (uintptr_t)z->module->dynamic);
        if (p->p_type != PT_LOAD || (p->p_flags & PF_W) == 0 || p->p_memsz <= p->p_filesz)
            continue;
        z->start = (at + p->p_filesz + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
        z->end = at + p->p_memsz;
    }
    if (!is_found)
        z->start = z->end = 0;
    return is_found;
}

bool fo_elf_zeros(const struct fo_module *module, uintptr_t *start, uintptr_t *end)
{
    struct zeros z = {.module = module};

    if (dl_iterate_phdr(find_zeros, &z) == 0 || z.start >= z.end)
        return false;
    *start = z.start;
    *end = z.end;
    return true;
}
