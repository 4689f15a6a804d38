/* Which loaded module is around an address?  glibc 2.35 and newer answer that without a lock
 * (_dl_find_object(3)).  For older ones, down to 2.28, this file reads the dynamic linker's list of
 * modules and the program headers of each, without a lock, too: a report comes from a signal
 * handler, or from a child that was forked while another thread loaded a library, and there
 * dl_iterate_phdr(3) would wait for ever.
 *
 * Another thread may load or unload a library meanwhile.  glibc appends a module to the list when
 * it is mapped, and unmaps it before it takes the entry out and frees it.  So each entry and each
 * header is checked before it is read, and a module counts only if its own headers lead to the
 * dynamic section that its entry names.  At worst a module that is loaded or unloaded at this
 * instant is not found, or what was loaded after it. */
#include <elf.h>
#include <sys/auxv.h>

#include "base/elf.h"
#include "base/libc.h"
#include "base/probe.h"

enum { PAGE = 4096, HEADERS_MAX = 256, MODULES_MAX = 1 << 16 };

/* --- glibc 2.35 and newer ------------------------------------------------------------------------
 */

/* struct dl_find_object, which older headers do not have. */
struct found_object {
    unsigned long long flags;
    void *start, *end;
    struct link_map *map;
    void *eh_frame;
    unsigned long long reserved[7];
};

typedef int find_object_function(void *address, struct found_object *out);

static bool is_libc(const char *path)
{
    static const char file[] = "/libc.so.6";
    size_t length = 0;

    while (path[length] != '\0')
        length++;
    for (size_t i = 0; i < sizeof file; i++)
        if (length + 1 < sizeof file || path[length + 1 - sizeof file + i] != file[i])
            return false;
    return true;
}

/* Looked up without dlsym(3), which takes the dynamic linker's lock.  libc is among the modules at
 * the list's beginning, which stay.  Sanitizers interpose libc's functions for strings, and call
 * this before those work. */
static find_object_function *look_up(void)
{
    find_object_function *function = NULL;

    for (const struct link_map *map = _r_debug.r_map; map != NULL; map = map->l_next)
        if (is_libc(map->l_name)) {
            const struct fo_module libc = {.base = map->l_addr, .dynamic = map->l_ld};
            *(void **)&function = fo_elf_bound_function(&libc, "_dl_find_object", "GLIBC_2.35");
            return function;
        }
    return NULL;
}

static int is_never_found(void *address, struct found_object *out)
{
    (void)address;
    (void)out;
    return -1;
}

/* NULL: this glibc is older. */
static find_object_function *find_object(void)
{
    static find_object_function *known; /* all threads find the same: relaxed */
    find_object_function *function = __atomic_load_n(&known, __ATOMIC_RELAXED);

    if (fo_unlikely(function == NULL)) {
        function = look_up();
        if (function == NULL)
            function = is_never_found;
        __atomic_store_n(&known, function, __ATOMIC_RELAXED);
    }
    return function != is_never_found ? function : NULL;
}

/* --- older ---------------------------------------------------------------------------------------
 */

/* What is read here may have been freed, as said above, and counts only if it is sound. */
#define MAY_BE_FREED __attribute__((no_sanitize("address", "thread")))

struct headers {
    const ElfW(Phdr) * first;
    size_t count;
};

MAY_BE_FREED static bool is_elf(const ElfW(Ehdr) * e)
{
    return e->e_ident[EI_MAG0] == ELFMAG0 && e->e_ident[EI_MAG1] == ELFMAG1 &&
           e->e_ident[EI_MAG2] == ELFMAG2 && e->e_ident[EI_MAG3] == ELFMAG3;
}

MAY_BE_FREED static bool find_headers(const struct link_map *map, bool executable,
                                      struct headers *out)
{
    const ElfW(Ehdr) *e = (const ElfW(Ehdr) *)map->l_addr;

    if (executable) {
        *out = (struct headers){(const ElfW(Phdr) *)getauxval(AT_PHDR), getauxval(AT_PHNUM)};
    } else {
        if (!fo_is_readable((uintptr_t)e, sizeof *e) || !is_elf(e) ||
            e->e_phentsize != sizeof *out->first || e->e_phoff % _Alignof(ElfW(Phdr)) != 0)
            return false;
        *out = (struct headers){(const ElfW(Phdr) *)((const char *)e + e->e_phoff), e->e_phnum};
    }
    return out->count != 0 && out->count <= HEADERS_MAX &&
           fo_is_readable((uintptr_t)out->first, out->count * sizeof *out->first);
}

/* From a program's first segment to its last.  What the kernel mapped, the executable and the
 * dynamic linker, may have a hole in which another module lies: it counts as several modules, as in
 * _dl_find_object(3). */
MAY_BE_FREED static void add_segment(struct fo_module *m, const ElfW(Phdr) * p, uintptr_t address)
{
    uintptr_t exact = m->base + p->p_vaddr, start = exact & ~(uintptr_t)(PAGE - 1);
    uintptr_t end = exact + p->p_memsz;
    bool is_behind_hole = m->end != 0 && start > ((m->end + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
    bool by_kernel = m->executable || m->base == getauxval(AT_BASE);

    if (by_kernel && is_behind_hole) {
        if (address >= m->start && address < m->end)
            return;
        m->start = exact;
    } else if (m->end == 0) {
        m->start = start;
    }
    m->end = end;
}

enum relation { NO_MODULE, ELSEWHERE, AROUND };

MAY_BE_FREED static enum relation relate(const struct link_map *map, bool executable,
                                         uintptr_t address, struct fo_module *out)
{
    struct headers h;
    bool is_module = false;

    *out = (struct fo_module){
        .base = map->l_addr,
        .dynamic = map->l_ld,
        .executable = executable,
        .path = map->l_name,
    };
    if (!find_headers(map, executable, &h))
        return NO_MODULE;
    for (size_t i = 0; i < h.count; i++) {
        const ElfW(Phdr) *p = &h.first[i];
        if (p->p_type == PT_LOAD)
            add_segment(out, p, address);
        else if (p->p_type == PT_DYNAMIC)
            is_module = out->base + p->p_vaddr == (uintptr_t)out->dynamic;
    }
    if (!is_module)
        return NO_MODULE;
    return address >= out->start && address < out->end ? AROUND : ELSEWHERE;
}

MAY_BE_FREED static const struct link_map *next_of(const struct link_map *map)
{
    const struct link_map *next = FO_RELAXED_LOAD(&map->l_next); /* glibc orders nothing here */

    return (uintptr_t)next % _Alignof(struct link_map) == 0 &&
                   fo_is_readable((uintptr_t)next, sizeof *next)
               ? next
               : NULL;
}

/* A library begins with its header, where its base is: the nearest base below the address is its
 * library's. */
MAY_BE_FREED const struct link_map *fo_elf_module_listed(uintptr_t address, struct fo_module *out)
{
    const struct link_map *map = _r_debug.r_map;
    uintptr_t nearest = 0;

    if (map != NULL && relate(map, true, address, out) == AROUND)
        return map;
    for (unsigned i = 0; map != NULL && i < MODULES_MAX; i++, map = next_of(map)) {
        if (i == 0 || map->l_addr <= nearest || map->l_addr > address)
            continue;
        switch (relate(map, false, address, out)) {
        case AROUND:
            return map;
        case ELSEWHERE:
            nearest = out->base;
            break;
        case NO_MODULE:
            break;
        }
    }
    return NULL;
}

/* -------------------------------------------------------------------------------------------------
 */

static const struct link_map *find(uintptr_t code, struct fo_module *out)
{
    find_object_function *function = find_object();
    struct found_object found;

    if (function == NULL)
        return fo_elf_module_listed(code, out);
    if (function((void *)code, &found) != 0)
        return NULL;
    *out = (struct fo_module){
        .base = found.map->l_addr,
        .dynamic = found.map->l_ld,
        .start = (uintptr_t)found.start,
        .end = (uintptr_t)found.end,
        .executable = *found.map->l_name == '\0',
        .path = found.map->l_name,
    };
    return found.map;
}

const struct link_map *fo_elf_map(uintptr_t code)
{
    struct fo_module module;

    return find(code, &module);
}

bool fo_elf_module(uintptr_t code, struct fo_module *out)
{
    return find(code, out) != NULL;
}

bool fo_elf_is_first(uintptr_t code, uintptr_t other)
{
    const struct link_map *first = fo_elf_map(code), *map = fo_elf_map(other);

    if (first == NULL)
        return false;
    while (map != NULL && map != first)
        map = map->l_prev;
    return map != NULL;
}
