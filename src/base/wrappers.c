/* See wrappers.h.  dlsym(RTLD_NEXT) is not used: it waits for a thread that is loading a library,
 * for ever in a child that was forked meanwhile, and it skips definitions behind one of another
 * version.
 *
 * Only what was loaded with the program is searched.  A library that was opened by dlopen(3) comes
 * before OpenSSL for some callers, and not for others. */
#include "base/wrappers.h"

#include "base/elf.h"

static const struct link_map *last; /* the last module that was loaded with the program */

static const struct link_map *own_map(void)
{
    static const uint8_t here;

    return fo_elf_map((uintptr_t)&here);
}

void fo_wrappers_started(void)
{
    const struct link_map *map = own_map();

    while (map != NULL && map->l_next != NULL)
        map = map->l_next;
    last = map;
}

static const struct link_map *next_map(const struct link_map *map)
{
    return map != last ? map->l_next : NULL;
}

static void *search(const char *name, const char *versions, const struct link_map *end)
{
    const struct link_map *map = own_map();
    void *found = NULL;

    while (map != NULL && found == NULL && (map = next_map(map)) != NULL && map != end) {
        const struct fo_module module = {.base = map->l_addr, .dynamic = map->l_ld};
        found = fo_elf_bound_function(&module, name, versions);
    }
    return found;
}

void *fo_wrapper(const char *name, unsigned major, uintptr_t openssl)
{
    return search(name, major == 4 ? "OPENSSL_4." : "OPENSSL_3.",
                  openssl != 0 ? fo_elf_map(openssl) : NULL);
}

void *fo_next_function(const char *name, const char *versions)
{
    return search(name, versions, NULL);
}
