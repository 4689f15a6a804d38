/* See library.h.  The table only grows: before an entry is used, it is checked that the library is
 * still loaded.  Entries are made under the dynamic linker's lock and read without a lock. */
#include "load/library.h"

#include "base/elf.h"
#include "base/wrappers.h"
#include "load/changes.h"
#include "load/entries.h"
#include "load/objects.h"
#include "load/uses.h"

enum { LIBRARIES_MAX = 32, MAJOR_OF_OTHER = 1 };

struct library {
    struct fo_module module;
    unsigned major;
    enum fo_part part;
    bool linked; /* loaded with the program: every reference in the process is bound to it */
};

static FO_BEGINNING(2) struct library libraries[LIBRARIES_MAX];
static unsigned library_count;
bool fo_libraries_have_other;
static bool started;

static unsigned count_now(void)
{
    return __atomic_load_n(&library_count, __ATOMIC_ACQUIRE);
}

static bool is_known(const struct fo_module *module, enum fo_part part)
{
    for (unsigned i = 0; i < library_count; i++)
        if (libraries[i].module.start == module->start &&
            libraries[i].module.dynamic == module->dynamic && libraries[i].part == part)
            return true;
    return false;
}

static void add_library(const struct fo_module *seen, enum fo_part part, unsigned major,
                        const char *witness)
{
    struct fo_module module;
    void *code = fo_elf_function(seen, witness);

    if (code == NULL || !fo_elf_module((uintptr_t)code, &module) || is_known(&module, part) ||
        library_count == LIBRARIES_MAX)
        return;
    libraries[library_count] = (struct library){module, major, part, !started};
    __atomic_store_n(&library_count, library_count + 1, __ATOMIC_RELEASE);
    fo_objects_forget();
    fo_secure_forget();
    fo_changes_forget();
    fo_uses_forget();
}

/* Where versions do not tell them apart.  Each libcrypto has this witness, of any name. */
static inline void add_other(const struct fo_module *module)
{
    unsigned before = library_count;

    add_library(module, FO_PART_CRYPTO, MAJOR_OF_OTHER, "OpenSSL_version_num");
    add_library(module, FO_PART_SSL, MAJOR_OF_OTHER, "SSL_get_version");
    fo_libraries_have_other |= library_count != before;
}

/* libfreeonce.so exports the same versions, and is no OpenSSL: it defines neither witness. */
static void visit(const struct fo_module *module, void *data)
{
    static const char versions[][16] = {"OPENSSL_3.0.0", "OPENSSL_4.0.0"};
    bool is_openssl = false;

    (void)data;
    for (unsigned i = 0; i < 2; i++)
        if (fo_elf_has_version(module, versions[i])) {
            add_library(module, FO_PART_CRYPTO, 3 + i, "OPENSSL_version_major");
            add_library(module, FO_PART_SSL, 3 + i, "SSL_get_version");
            is_openssl = true;
        }
    if (!is_openssl && !FO_LIBC_HAS_VERSIONS)
        add_other(module);
}

void fo_libraries_check(void)
{
    static unsigned long long seen;

    fo_elf_each(visit, NULL, &seen);
}

unsigned fo_libraries_major(uintptr_t code)
{
    for (unsigned i = 0, n = count_now(); i < n; i++)
        if (code >= libraries[i].module.start && code < libraries[i].module.end)
            return libraries[i].major;
    return 0;
}

bool fo_libraries_contain(uintptr_t code)
{
    return fo_libraries_major(code) != 0;
}

void fo_libraries_started(void)
{
    if (!FO_LIBC_HAS_VERSIONS) /* where there is no OpenSSL, other libraries were not noted yet */
        fo_libraries_check();
    started = true;
    fo_wrappers_started();
}

static bool is_loaded(const struct library *l)
{
    struct fo_module now;

    return fo_elf_module(l->module.start, &now) && now.dynamic == l->module.dynamic;
}

/* Several candidates: the one that contains the caller, or the one to which the caller's module is
 * bound. */
static const struct library *choose_for_caller(const struct library *const *candidates,
                                               unsigned count, uintptr_t caller)
{
    struct fo_module from;

    if (!fo_elf_module(caller, &from))
        return candidates[0];
    for (unsigned i = 0; i < count; i++)
        if (candidates[i]->module.start == from.start)
            return candidates[i];
    for (unsigned i = 0; i < count; i++)
        if (fo_elf_has_reference(&from, candidates[i]->module.start, candidates[i]->module.end))
            return candidates[i];
    return candidates[0];
}

static const struct library *find_meant(enum fo_part part, unsigned major, uintptr_t caller,
                                        bool *permanent)
{
    const struct library *candidates[LIBRARIES_MAX];
    unsigned n = 0;

    *permanent = true;
    for (unsigned i = 0, all = count_now(); i < all; i++) {
        const struct library *l = &libraries[i];
        if (l->part != part || !fo_library_can_be_meant(major, l->major))
            continue;
        if (l->linked)
            return l;
        if (is_loaded(l))
            candidates[n++] = l;
    }
    *permanent = n == 1 && fo_elf_is_permanent(&candidates[0]->module);
    return n > 1 ? choose_for_caller(candidates, n, caller) : n == 1 ? candidates[0] : NULL;
}

static const struct library *find_library(enum fo_part part, unsigned major, uintptr_t caller,
                                          bool *permanent)
{
    const struct library *l = find_meant(part, major, caller, permanent);

    if (l != NULL)
        return l;
    fo_libraries_check();
    return find_meant(part, major, caller, permanent);
}

static void *find(enum fo_part part, unsigned major, const char *name, uintptr_t caller,
                  bool *permanent)
{
    const struct library *l = find_library(part, major, caller, permanent);
    void *wrapper = fo_wrapper(name, major, l != NULL ? l->module.start : 0);

    if (wrapper != NULL) {
        *permanent = true;
        return wrapper;
    }
    if (l == NULL && !FO_LIBC_HAS_VERSIONS) /* a library that is in no table */
        return fo_elf_function_elsewhere(name, "");
    return l != NULL ? fo_elf_function(&l->module, name) : NULL;
}

unsigned fo_library_defines(enum fo_part part, const char *name, const void *function)
{
    for (unsigned i = 0, n = count_now(); i < n; i++) {
        const struct library *l = &libraries[i];
        if (l->part == part && (uintptr_t)function >= l->module.start &&
            (uintptr_t)function < l->module.end && is_loaded(l) &&
            fo_elf_function(&l->module, name) == function)
            return l->major;
    }
    return 0;
}

bool fo_library_is_always_chosen(enum fo_part part, unsigned major, const char *name,
                                 const void *function)
{
    bool permanent;
    const struct library *l = find_meant(part, major, 0, &permanent);

    return l != NULL && l->linked && fo_wrapper(name, major, l->module.start) == NULL &&
           fo_elf_function(&l->module, name) == function;
}

void *fo_library_wrapper(enum fo_part part, unsigned major, const char *name)
{
    bool permanent;
    const struct library *l = find_meant(part, major, 0, &permanent);

    return fo_wrapper(name, major, l != NULL ? l->module.start : 0);
}

void *fo_library_own_function(enum fo_part part, unsigned major, const char *name, uintptr_t caller)
{
    bool permanent;
    const struct library *l = find_library(part, major, caller, &permanent);

    return l != NULL ? fo_elf_function(&l->module, name) : NULL;
}

static bool is_permanent(enum fo_part part, unsigned major, uintptr_t caller)
{
    bool permanent;

    return find_library(part, major, caller, &permanent) != NULL && permanent;
}

void *fo_library_function(void **slot, enum fo_part part, unsigned major, const char *name,
                          uintptr_t caller)
{
    bool permanent;
    void *found = find(part, major, name, caller, &permanent);

    if (found == NULL || !permanent)
        return found;
    __atomic_store_n(slot, found, __ATOMIC_SEQ_CST);
    /* If another library was loaded meanwhile, the slots may have been cleared before the store. */
    if (!is_permanent(part, major, caller))
        __atomic_store_n(slot, NULL, __ATOMIC_SEQ_CST);
    return found;
}

void *fo_library_function_kept(struct fo_library_slot *slot, enum fo_part part, unsigned major,
                               const char *name, uintptr_t caller)
{
    void **kept = &slot->function[major - 3];
    unsigned now = count_now();
    bool permanent;

    if (fo_likely(now != 0 && __atomic_load_n(&slot->known[major - 3], __ATOMIC_ACQUIRE) == now))
        return FO_RELAXED_LOAD(kept); /* relaxed: `known` was acquired */
    void *found = find(part, major, name, caller, &permanent);
    if (found != NULL && permanent && now == count_now()) {
        FO_RELAXED_STORE(kept, found);
        __atomic_store_n(&slot->known[major - 3], now, __ATOMIC_RELEASE);
    }
    return found;
}
